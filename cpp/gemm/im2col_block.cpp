#include "gemm/im2col_block.hpp"

#include <algorithm>

namespace fastconv {

template <class T>
void pack_im2col_block(const ConvProblem& problem, const KernelSet<T>& set, const T* image, Extent first_row,
                       Extent last_row, Extent first, Extent count, T* to, Extent ld) {
  const Extent Q = problem.Q(), H = problem.H, W = problem.W;
  // Neighbouring taps in a row of a stride's windows are phases of the same pixels, loaded once for all of them. (3 ->
  // 96 channels, 4x4 by 4 at 224 x 224: copies one by one took 14 % of the time.)
  const Extent most_phases = problem.dilation_w == 1 ? problem.stride_w : 1;
  for (Extent row = first_row, phases; row < last_row; row += phases, to += phases * ld) {
    const Extent s = row % problem.S, r = row / problem.S % problem.R, c = row / (problem.S * problem.R);
    const Extent top = r * problem.dilation_h - problem.pad_top, left = s * problem.dilation_w - problem.pad_left;
    phases = std::min({most_phases, problem.S - s, last_row - row});
    // What is left of a first row of outputs, whole rows, what is there of a last one.
    for (Extent pixel = first; pixel < first + count;) {
      const Extent p = pixel / Q, q = pixel % Q, rest = first + count - pixel;
      const Extent rows = q == 0 && rest >= Q ? rest / Q : 1, columns = std::min(Q - q, rest);
      set.window_rows({image + c * H * W, H, W, top + p * problem.stride_h, problem.stride_h,
                       left + q * problem.stride_w, problem.stride_w, rows, columns, to + (pixel - first), Q, phases,
                       ld});
      pixel += rows * columns;
    }
  }
}

template void pack_im2col_block(const ConvProblem&, const KernelSet<float>&, const float*, Extent, Extent, Extent,
                                Extent, float*, Extent);
template void pack_im2col_block(const ConvProblem&, const KernelSet<double>&, const double*, Extent, Extent, Extent,
                                Extent, double*, Extent);

}  // namespace fastconv
