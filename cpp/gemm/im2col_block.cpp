#include "gemm/im2col_block.hpp"

#include <algorithm>

namespace fastconv {

template <class T>
void pack_im2col_block(const ConvProblem& problem, const KernelSet<T>& set, const T* image, Extent first_row,
                       Extent last_row, Extent first, Extent count, T* to, Extent ld) {
  const Extent Q = problem.Q(), H = problem.H, W = problem.W;
  const Extent stride = problem.stride_w;
  for (Extent row = first_row; row < last_row; ++row, to += ld) {
    const Extent s = row % problem.S, r = row / problem.S % problem.R, c = row / (problem.S * problem.R);
    const Extent shift = s * problem.dilation_w - problem.pad_left;  // image column of q = 0
    // Output columns whose tap lies inside the image: [inside_begin, inside_end).
    const Extent inside_begin = shift < 0 ? std::min(Q, (-shift + stride - 1) / stride) : 0;
    const Extent inside_end = W - 1 < shift ? 0 : std::min(Q, (W - 1 - shift) / stride + 1);
    if (stride == 1) {  // what is left of a first row, whole rows, what is there of a last one
      Extent pixel = first;
      while (pixel < first + count) {
        const Extent p = pixel / Q, q = pixel % Q, left = first + count - pixel;
        const Extent rows = q == 0 && left >= Q ? left / Q : 1, columns = std::min(Q - q, left);
        set.window_rows({image + c * H * W, H, W, p * problem.stride_h + r * problem.dilation_h - problem.pad_top,
                         problem.stride_h, shift + q, rows, columns, to + (pixel - first), Q});
        pixel += rows * columns;
      }
      continue;
    }
    Extent pixel = first;
    T* out = to;
    for (Extent p = first / Q; pixel < first + count; ++p) {
      const Extent q0 = pixel - p * Q, q1 = std::min(Q, first + count - p * Q);
      const Extent y = p * problem.stride_h + r * problem.dilation_h - problem.pad_top;
      const bool inside = y >= 0 && y < H;
      const Extent begin = inside ? std::clamp(inside_begin, q0, q1) : q1;
      const Extent end = inside ? std::clamp(inside_end, begin, q1) : q1;
      const T* from = image + (c * H + y) * W + shift;
      std::fill(out, out + (begin - q0), T(0));
      T* live = out + (begin - q0);
      for (Extent q = begin; q < end; ++q) *live++ = from[q * stride];
      std::fill(out + (end - q0), out + (q1 - q0), T(0));
      out += q1 - q0;
      pixel += q1 - q0;
    }
  }
}

template void pack_im2col_block(const ConvProblem&, const KernelSet<float>&, const float*, Extent, Extent, Extent,
                                Extent, float*, Extent);
template void pack_im2col_block(const ConvProblem&, const KernelSet<double>&, const double*, Extent, Extent, Extent,
                                Extent, double*, Extent);

}  // namespace fastconv
