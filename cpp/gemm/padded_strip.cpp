#include "gemm/padded_strip.hpp"

#include <algorithm>
#include <type_traits>

#include "gemm/im2col_block.hpp"

namespace fastconv {

StripShape strip_shape(const ConvProblem& p, Extent rows, Extent columns) {
  StripShape shape{};
  shape.rows = rows;
  shape.columns = columns;
  const Extent dense_rows = (rows - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1;
  shape.rows_by_tap = rows * p.R < dense_rows;
  shape.input_rows = shape.rows_by_tap ? rows * p.R : dense_rows;
  const Extent reach = (p.S - 1) * p.dilation_w;  // columns right of the first tap
  shape.phases = std::min(p.stride_w, reach + 1);
  shape.phase_length = columns + reach / p.stride_w;
  shape.row_length = shape.phases * shape.phase_length;
  // Vector loads of the last row run past its end by less than a vector.
  shape.channel_stride = p.dtype == DType::float32 ? odd_lines<float>(shape.input_rows * shape.row_length + 16)
                                                   : odd_lines<double>(shape.input_rows * shape.row_length + 8);
  return shape;
}

std::ptrdiff_t strip_offset(const ConvProblem& p, const StripShape& shape, Extent r, Extent s) {
  const Extent row = shape.rows_by_tap ? r * shape.rows : r * p.dilation_h, column = s * p.dilation_w;
  return row * shape.row_length + column % p.stride_w * shape.phase_length + column / p.stride_w;
}

void strip_offsets(const ConvProblem& p, const StripShape& shape, Extent channels, std::ptrdiff_t* offset) {
  const Extent taps = p.R * p.S;
  for (Extent r = 0; r < p.R; ++r)
    for (Extent s = 0; s < p.S; ++s) offset[r * p.S + s] = strip_offset(p, shape, r, s);
  for (Extent i = taps; i < channels * taps; ++i) offset[i] = offset[i - taps] + shape.channel_stride;
}

namespace {

// to[i] = row[first + i * stride], zero outside [0, W).
template <class T>
void copy_row(const T* row, Extent W, Extent first, Extent stride, Extent count, T* to) {
  const Extent begin = first < 0 ? std::min(count, (-first + stride - 1) / stride) : 0;
  const Extent end = W - 1 < first ? begin : std::clamp((W - 1 - first) / stride + 1, begin, count);
  std::fill(to, to + begin, T(0));
  const auto pick = [&](auto step) {
    for (Extent i = begin; i < end; ++i) to[i] = row[first + i * step];
  };
  switch (stride) {  // a constant stride lets the compiler shuffle vectors
    case 1:
      std::copy(row + first + begin, row + first + end, to + begin);
      break;
    case 2:
      pick(std::integral_constant<Extent, 2>{});
      break;
    case 4:
      pick(std::integral_constant<Extent, 4>{});
      break;
    default:
      pick(stride);
  }
  std::fill(to + end, to + count, T(0));
}

}  // namespace

template <class T>
void copy_strip(const ConvProblem& p, const KernelSet<T>& set, const StripShape& shape, const T* image, Extent channels,
                Extent first_row, Extent rows, Extent first_column, T* strip) {
  const Extent top = first_row * p.stride_h - p.pad_top;
  const Extent left = first_column * p.stride_w - p.pad_left;
  const Extent used = shape.rows_by_tap ? shape.input_rows : (rows - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1;
  if (p.stride_w == 1 && !shape.rows_by_tap) {
    for (Extent c = 0; c < channels; ++c)
      set.window_rows({image + c * p.H * p.W, p.H, p.W, top, 1, left, used, shape.row_length,
                       strip + c * shape.channel_stride, shape.row_length});
    return;
  }
  for (Extent c = 0; c < channels; ++c)
    for (Extent i = 0; i < used; ++i) {
      if (shape.rows_by_tap && i % shape.rows >= rows) continue;
      const Extent y = top + (shape.rows_by_tap ? i / shape.rows * p.dilation_h + i % shape.rows * p.stride_h : i);
      T* to = strip + c * shape.channel_stride + i * shape.row_length;
      if (y < 0 || y >= p.H)
        std::fill(to, to + shape.row_length, T(0));
      else
        for (Extent phase = 0; phase < shape.phases; ++phase)
          copy_row(image + (c * p.H + y) * p.W, p.W, left + phase, p.stride_w, shape.phase_length,
                   to + phase * shape.phase_length);
    }
}

template void copy_strip(const ConvProblem&, const KernelSet<float>&, const StripShape&, const float*, Extent, Extent,
                         Extent, Extent, float*);
template void copy_strip(const ConvProblem&, const KernelSet<double>&, const StripShape&, const double*, Extent, Extent,
                         Extent, Extent, double*);

}  // namespace fastconv
