#include "gemm/padded_strip.hpp"

#include <algorithm>

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
  // To copy a row apart takes as long as some vectors of it. (26 channels of 8 x 9, 3x3, dilation 17: 19 us by taps.)
  constexpr Extent apart = 32;
  shape.columns_by_tap = p.S * (columns + apart) < shape.phases * (shape.phase_length + apart);
  if (shape.columns_by_tap) shape.phases = p.S, shape.phase_length = columns;
  shape.row_length = shape.phases * shape.phase_length;
  // Vector loads of the last row run past its end by less than a vector.
  shape.channel_stride = p.dtype == DType::float32 ? odd_lines<float>(shape.input_rows * shape.row_length + 16)
                                                   : odd_lines<double>(shape.input_rows * shape.row_length + 8);
  return shape;
}

std::ptrdiff_t strip_offset(const ConvProblem& p, const StripShape& shape, Extent r, Extent s) {
  const Extent row = shape.rows_by_tap ? r * shape.rows : r * p.dilation_h, column = s * p.dilation_w;
  if (shape.columns_by_tap) return row * shape.row_length + s * shape.phase_length;
  return row * shape.row_length + column % p.stride_w * shape.phase_length + column / p.stride_w;
}

void strip_offsets(const ConvProblem& p, const StripShape& shape, Extent channels, std::ptrdiff_t* offset) {
  const Extent taps = p.R * p.S;
  for (Extent r = 0; r < p.R; ++r)
    for (Extent s = 0; s < p.S; ++s) offset[r * p.S + s] = strip_offset(p, shape, r, s);
  for (Extent i = taps; i < channels * taps; ++i) offset[i] = offset[i - taps] + shape.channel_stride;
}

template <class T>
void copy_strip(const ConvProblem& p, const KernelSet<T>& set, const StripShape& shape, const T* image, Extent channels,
                Extent first_row, Extent rows, Extent first_column, T* strip) {
  const Extent top = first_row * p.stride_h - p.pad_top, left = first_column * p.stride_w - p.pad_left;
  const bool by_tap = shape.rows_by_tap;
  const Extent used = by_tap ? rows : (rows - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1;
  for (Extent c = 0; c < channels; ++c)
    for (Extent r = 0; r < (by_tap ? p.R : 1); ++r) {
      WindowRows<T> w{image + c * p.H * p.W,
                      p.H,
                      p.W,
                      top + r * p.dilation_h,
                      by_tap ? p.stride_h : 1,
                      left,
                      p.stride_w,
                      used,
                      shape.phase_length,
                      strip + c * shape.channel_stride + r * shape.rows * shape.row_length,
                      shape.row_length,
                      shape.phases,
                      shape.phase_length};
      if (!shape.columns_by_tap) {
        set.window_rows(w);
        continue;
      }
      // Row by row: of several, what is written behind a tap's columns would be the next row's first.
      w.rows = w.phases = 1;
      for (Extent i = 0; i < used; ++i, w.row += w.row_step, w.to += shape.row_length)
        for (Extent s = 0; s < p.S; ++s) {
          WindowRows<T> tap = w;
          tap.column += s * p.dilation_w;
          tap.to += s * shape.phase_length;
          set.window_rows(tap);
        }
    }
}

template void copy_strip(const ConvProblem&, const KernelSet<float>&, const StripShape&, const float*, Extent, Extent,
                         Extent, Extent, float*);
template void copy_strip(const ConvProblem&, const KernelSet<double>&, const StripShape&, const double*, Extent, Extent,
                         Extent, Extent, double*);

}  // namespace fastconv
