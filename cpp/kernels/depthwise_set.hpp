// Depthwise and grouped convolutions, and their gradient by the weights. Plain data only, as in kernel_set.hpp.
#pragma once

#include <stddef.h>

#include "kernels/epilogue.hpp"

namespace fastconv {

inline constexpr int depthwise_strip_rows = 4, depthwise_columns = 32;

// Output rows of consecutive depthwise filters: see depthwise-inl.hpp and depthwise_long-inl.hpp. Row i, column j of a
// filter's plane is the sum over (r, s) of weight[r][s] * image[i * stride + r * dilation_h - pad_top][j * stride + s *
// dilation_w - pad_left].
template <class T>
struct DepthwiseRows {
  const T* image;  // the first filter's channel, H x W
  ptrdiff_t H, W;  // image, Q and pads below 2^30
  ptrdiff_t filters;  // whose channels and outputs follow one another,
  ptrdiff_t channels;  // grouped_rows: of the one group whose filters these are
  ptrdiff_t per_channel;  // this many filters to a channel
  ptrdiff_t position;  // of the first filter among its channel's
  const T* weights;  // R * S per filter, column by column; grouped_rows: see pack in algorithms/grouped.cpp
  ptrdiff_t R, S;  // depthwise_rows: R is 3, 5, 7 (at stride 1: 1, 2, 4 too), S at most depthwise_columns
  ptrdiff_t stride;  // depthwise_rows: 1, or 2 with unit dilation; depthwise_long: 1
  ptrdiff_t dilation_h, dilation_w, pad_top, pad_left;
  ptrdiff_t first_row, last_row, Q;
  T* out;  // first filter's plane, P x Q
  ptrdiff_t plane;  // P * Q
  const Epilogue<T>* epilogue;  // bias points at the first filter's value
};

// One filter from a padded strip: see depthwise_long-inl.hpp. Taps come in runs; those of one run are row_step apart.
template <class T>
struct DepthwiseStrip {
  const T* strip;  // for depthwise_strip_rows rows at least
  ptrdiff_t row_step;  // from one output row's first tap to the next's
  ptrdiff_t runs;
  const ptrdiff_t *offset, *run_taps;  // of each run's first tap; how many taps
  const T* weights;
  ptrdiff_t rows, columns;
  T* out;  // rows of `columns` values follow one another
  const Epilogue<T>* epilogue;
};

// One output with channels as lanes. Its bounds and bias are applied; other activations are the caller's.
template <class T>
struct DepthwisePixel {
  const T* x;  // the first tap's, first channel
  ptrdiff_t row_step, column_step;  // from tap to tap
  const T* weights;  // that tap's, weights[channel]
  ptrdiff_t weight_row, weight_column;
  ptrdiff_t rows, columns;  // of taps
  ptrdiff_t channels;
  T* out;
  const Epilogue<T>* epilogue;
};

// Whole rows of outputs with channels as lanes, borders included; along a row undilated, by stride 1 or 2, with 3, 5 or
// 7 columns of taps. Bounds and bias as above.
template <class T>
struct DepthwiseLanes {
  const T* x;  // the first row of pixels that is looked at: its first pixel's first channel
  ptrdiff_t row_step, pixel_step, W, pad_left;
  ptrdiff_t image_rows;  // looked at
  ptrdiff_t first_tap;  // the row of taps that the first of them meets, for the first row of outputs
  ptrdiff_t taps, columns, stride;
  const T* weights;  // weights[channel] of the first tap
  ptrdiff_t weight_row, weight_column;
  ptrdiff_t pixels, channels;
  T* out;
  ptrdiff_t out_step, out_row;
  ptrdiff_t out_rows;  // 1 or, by stride 1 and undilated, up to depthwise_lane_rows
  const Epilogue<T>* epilogue;
};

// sums[tap] += the sum over rows and columns of y[row * y_row + column] * x[offset[tap] + row * x_row + column].
template <class T>
struct TapSums {
  const T *x, *y;
  ptrdiff_t x_row, y_row;
  ptrdiff_t rows, columns;
  const ptrdiff_t* offset;
  ptrdiff_t taps;
  T* sums;
};

// The same for R x S taps, S being 3, 5 or 7, by stride 1 and undilated, on an image with nothing around it: output (0,
// 0) has its first tap at `row`, `column`.
template <class T>
struct TapGrid {
  const T* image;  // H x W
  ptrdiff_t H, W, row, column;
  const T* y;
  ptrdiff_t y_row, rows, columns;
  ptrdiff_t R, S;
  T* sums;
};

template <class T>
struct DepthwiseKernels {
  void (*depthwise_rows)(const DepthwiseRows<T>&);
};

template <class T>
struct LongKernels {
  void (*depthwise_long)(const DepthwiseRows<T>&);
  void (*depthwise_strip)(const DepthwiseStrip<T>&);
};

template <class T>
struct GroupedKernels {
  int grouped_filters[2];  // at once, at strides 1 and 2
  void (*grouped_rows)(const DepthwiseRows<T>&);
};

template <class T>
struct LaneKernels {
  int depthwise_lane_rows;
  void (*depthwise_lanes)(const DepthwiseLanes<T>&);
  void (*depthwise_pixel)(const DepthwisePixel<T>&);
};

template <class T>
struct TapKernels {
  void (*tap_sums)(const TapSums<T>&);
  void (*tap_grid)(const TapGrid<T>&);
};

}  // namespace fastconv
