// There is no product over channels here. With channels last they are lanes, and a tap's sum runs over a block's
// outputs as if these were the taps of a depthwise convolution. With channels first pixels are lanes: rows of a channel
// are copied with their padding, columns split by stride phase, so that a tap is an offset and its sum one of products
// of rows. (Bringing channels side by side instead took most of the time: 144 channels of 56 x 56, 3x3.)
#include "dispatch/depthwise_gradient.hpp"

#include <algorithm>

#include "dispatch/gradient_blocks.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

namespace {

template <class T>
bool by_channels(const ConvProblem& p, const KernelSet<T>& set, int threads, const T* input, const T* gradient,
                 T* weight) {
  const Block block(p);
  const Extent most = std::min<Extent>(p.C, 4 * set.lanes), taps = p.R * p.S;
  return run_tasks<T>(ceil_div(p.C, most), threads, block.positions() * most, block.outputs() * most, taps * most, 0,
                      [&](Extent task, T* strip, T* panel, T* sums, std::ptrdiff_t*) {
                        const Extent c = task * most, channels = std::min(most, p.C - c);
                        const Work<T> w{p, set, block, input, gradient, strip, panel, sums, nullptr};
                        std::fill_n(sums, taps * channels, T(0));
                        each_range(block, [&](const Range& range) {
                          fill_panel(w, range, c, channels, channels, panel);
                          fill_strip(w, range, c, channels);
                          Epilogue<T> onto = no_epilogue<T>();
                          DepthwisePixel<T> d{};
                          d.row_step = p.stride_h * block.strip_columns * channels;
                          d.column_step = p.stride_w * channels;
                          d.weight_row = range.columns * channels;
                          d.weight_column = channels;
                          d.rows = range.rows;
                          d.columns = range.columns;
                          d.channels = channels;
                          d.epilogue = &onto;
                          for (Extent n = 0; n < range.images; ++n)
                            for (Extent tap = 0; tap < taps; ++tap) {
                              const Extent row = n * block.strip_rows + tap / p.S * p.dilation_h,
                                           column = tap % p.S * p.dilation_w;
                              d.x = strip + (row * block.strip_columns + column) * channels;
                              d.weights = panel + n * range.rows * range.columns * channels;
                              d.out = sums + tap * channels;
                              onto.bias = d.out;  // what the sums begin with
                              set.depthwise_pixel(d);
                            }
                        });
                        for (Extent tap = 0; tap < taps; ++tap)
                          for (Extent i = 0; i < channels; ++i) weight[(c + i) * taps + tap] = sums[tap * channels + i];
                      });
}

// How one channel's blocks lie in memory.
struct PlaneBlocks {
  Split row_blocks, column_blocks;
  Extent rows, columns;  // of a block, at most
  Extent phases, phase_length, row_length, strip_rows;

  explicit PlaneBlocks(const ConvProblem& p)
      : row_blocks(1, 1), column_blocks(p.Q(), most), columns(column_blocks.size(0)) {
    row_blocks = Split(p.P(), std::max<Extent>(1, most / columns));
    rows = row_blocks.size(0);
    const Extent last = (p.S - 1) * p.dilation_w;  // tap's column
    phases = std::min(p.stride_w, last + 1);
    phase_length = columns + last / p.stride_w;
    row_length = phases * phase_length;
    strip_rows = (rows - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1;
  }
  Extent strip() const { return strip_rows * row_length; }

 private:
  // Gradients and strip of a block stay in L1 for all taps; and sums of so many in as many lanes lose few digits.
  static constexpr Extent most = 2048;
};

// A task is a channel: its filters' sums, block after block.
template <class T>
bool by_planes(const ConvProblem& p, const KernelSet<T>& set, int threads, const T* input, const T* gradient,
               T* weight) {
  const PlaneBlocks b(p);
  const Extent P = p.P(), Q = p.Q(), Kg = p.K_per_group(), taps = p.R * p.S;
  const bool grid = p.has_unit_stride() && p.has_unit_dilation() && (p.S == 3 || p.S == 5 || p.S == 7);
  return run_tasks<T>(p.C, threads, b.strip(), 0, 0, taps, [&](Extent c, T* strip, T*, T*, std::ptrdiff_t* offset) {
    for (Extent r = 0; r < p.R; ++r)
      for (Extent s = 0; s < p.S; ++s) {
        const Extent column = s * p.dilation_w;
        offset[r * p.S + s] =
            r * p.dilation_h * b.row_length + column % p.stride_w * b.phase_length + column / p.stride_w;
      }
    std::fill_n(weight + c * Kg * taps, Kg * taps, T(0));
    for (Extent n = 0; n < p.N; ++n)
      for (Extent i = 0; i < b.row_blocks.parts; ++i)
        for (Extent j = 0; j < b.column_blocks.parts; ++j) {
          const Extent row = b.row_blocks.begin(i), column = b.column_blocks.begin(j);
          const Extent rows = b.row_blocks.size(i), columns = b.column_blocks.size(j);
          const Extent y0 = row * p.stride_h - p.pad_top, x0 = column * p.stride_w - p.pad_left;
          const T* const image = input + (n * p.C + c) * p.H * p.W;
          if (!grid)
            set.window_rows({image, p.H, p.W, y0, 1, x0, p.stride_w,
                             (rows - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1, b.phase_length, strip,
                             b.row_length, b.phases, b.phase_length});
          for (Extent k = c * Kg; k < (c + 1) * Kg; ++k) {
            const T* const dy = gradient + ((n * p.K + k) * P + row) * Q + column;
            T* const sums = weight + k * taps;
            if (grid)
              set.tap_grid({image, p.H, p.W, y0, x0, dy, Q, rows, columns, p.R, p.S, sums});
            else
              set.tap_sums({strip, dy, p.stride_h * b.row_length, Q, rows, columns, offset, taps, sums});
          }
        }
  });
}

}  // namespace

template <class T>
bool depthwise_gradient(const ConvProblem& p, const KernelSet<T>& set, int threads, const T* input, const T* gradient,
                        T* weight) {
  const auto run = p.layout == Layout::nchw ? by_planes<T> : by_channels<T>;
  return run(p, set, threads, input, gradient, weight);
}

template bool depthwise_gradient(const ConvProblem&, const KernelSet<float>&, int, const float*, const float*, float*);
template bool depthwise_gradient(const ConvProblem&, const KernelSet<double>&, int, const double*, const double*,
                                 double*);

}  // namespace fastconv
