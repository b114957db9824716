// The one table that each isa/ file exports: pointers to its kernels, for each element type. Plain data only: this
// header is read by units compiled for different instruction sets, so it must not define an inline function.
#pragma once

#include <stddef.h>

#include "fastconv/epilogue.hpp"
#include "kernels/winograd_axes.hpp"

namespace fastconv {

// What a kernel does with finished sums. Bounds are always applied: infinite ones cost two instructions and no branch.
template <class T>
struct Epilogue {
  const T* bias;  // one value per filter, or null
  T low, high;
  ActivationKind kind;
  T slope;
  // Whether outputs just stored, still in L1, are gone over: for every kind but `clip`, and if residual[i] is added to
  // output[i]. Then clip's bounds are the last ones, and those above infinite.
  bool second_pass = false;
  const T *output = nullptr, *residual = nullptr;  // whole arrays
  T last_low = 0, last_high = 0;
};

// One register tile of a matrix product. The reduction's step i reads row i of `packed`, and the row of the other
// operand that starts at streamed + offset[i]. The list of offsets is what lets one microkernel serve an image in place
// (channel strides), a padded strip (channel, tap) and a packed panel alike; it costs one scalar load per step. (The
// idea of an indirection per row: Dukhan, arXiv:1907.02129.)
template <class T>
struct Tile {
  ptrdiff_t steps;  // length of the reduction
  const T* packed;  // weights: rows of m (pixel lanes) or nv * lanes (channel lanes) values
  const T* streamed;  // the other operand
  const ptrdiff_t* offset;
  T* out;  // row i begins at out + i * ld
  ptrdiff_t ld;
  int tail;  // pixel lanes: valid lanes of the last vector, 1 .. lanes
  ptrdiff_t pixel_step;  // channel lanes: from one pixel to the next in the streamed operand
  const T* initial;  // where the sums start, one value per filter; null for zero
  bool accumulate;  // add what `out` holds
  // What to bring into L2 meanwhile, ahead_step values further for every step; null and 0 for nothing.
  const T* ahead;
  ptrdiff_t ahead_step;
  // Null while more of the sum is to come, or if another kernel applies it. Its bias is not looked at: `initial` is.
  const Epilogue<T>* epilogue;
};

template <class T>
using TileKernel = void (*)(const Tile<T>&);

// Rows of weights into columns of a panel: to[place * to_ld + row], `stored` values per column, zeros from `rows` on. A
// column's place is its number, or places[number].
template <class T>
struct TransposePack {
  const T* from;  // from[row * from_ld + column]
  ptrdiff_t from_ld;
  ptrdiff_t rows, columns;
  T* to;
  ptrdiff_t to_ld, stored;  // rows <= stored
  const ptrdiff_t* places;  // null, or one per column; whole vectors of rows must then be stored
};

// Rows of a matrix into strips of `width` columns, each strip contiguous:
// to[strip * strip_step + row * width + column].
template <class T>
struct StripPack {
  const T* from;  // from[row * from_ld + column]
  ptrdiff_t from_ld;
  ptrdiff_t rows, columns;
  T* to;
  ptrdiff_t width, strip_step;  // width a multiple of the lanes
};

// to[i * to_ld + f * phase_ld + j] = image[row + i * row_step][column + f + j * column_step] for rows >= 1, phases and
// columns, zero where that is outside. Rows are written in this order, whole vectors at a time if there is one phase,
// but nothing after the last row's last value.
template <class T>
struct WindowRows {
  const T* image;  // a plane, H x W
  ptrdiff_t H, W;
  ptrdiff_t row, row_step, column, column_step;
  ptrdiff_t rows, columns;
  T* to;
  ptrdiff_t to_ld;
  ptrdiff_t phases = 1, phase_ld = 0;  // at most column_step
};

// A block of `rows` x `columns` values, rows being pixels and columns channels, stored channel by channel.
template <class T>
struct TransposeStore {
  const T* from;  // from[pixel * from_ld + channel], from_ld a multiple of the lanes, all lanes readable
  ptrdiff_t from_ld;
  ptrdiff_t pixels, channels;
  T* to;  // to[channel * to_ld + pixel]
  ptrdiff_t to_ld;
  const Epilogue<T>* epilogue;  // bias points at channel 0's value; null if nothing is left to do
  bool past_caches = false;  // whole vectors at aligned places go straight to memory
};

// One axis of Winograd's transforms: `groups` of `count` lines, each of a few vectors of channels, into as many vectors
// of points (input), or points into outputs. See winograd-inl.hpp.
template <class T>
struct WinogradLines {
  ptrdiff_t groups, count;
  const T* from[cook_toom::most_points];  // of the first line; null for zeros (input only)
  ptrdiff_t from_group, from_step;  // to the next group's, and the next line's
  T* to[cook_toom::most_points];
  ptrdiff_t to_group, to_step;
  const Epilogue<T>* epilogue;  // output[1]: `bias` is one vector; kinds other than clip are left to the caller
};

// Weights of a few channels into Winograd's domain, for one panel of filters. Along an axis: its coefficients
// [point][tap] and how far apart taps lie.
inline constexpr int most_winograd_taps = 7;  // 1, 2, 3, 5 or 7
struct WinogradWeightAxis {
  const double (*weight)[cook_toom::most_points];
  ptrdiff_t points, taps, tap_step;
};
template <class T>
struct WinogradWeights {
  WinogradWeightAxis rows, columns;
  ptrdiff_t channels, lanes;  // lanes: filters of the panel, whole vectors
  const T* from;  // from[tap][filter] of the first channel
  ptrdiff_t from_step;  // to the next channel's
  T* to[cook_toom::most_points * cook_toom::most_points];  // [channel][filter] for each point; null if not wanted
};

// For tiles of one size along an axis: input with and without the point at infinity (and the input that only it takes),
// output without and with the epilogue.
template <class T>
struct WinogradTransforms {
  void (*input[2])(const WinogradLines<T>&);
  void (*output[2])(const WinogradLines<T>&);
};

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

// Two tiles of a plane, as the real and the imaginary part of one complex tile of rows x columns, on their way through
// the transforms: image -> buffer -> spectrum, and back to outputs. See fft-inl.hpp.
template <class T>
struct FftTiles {
  ptrdiff_t rows, columns;  // 16, 32 or 64
  const T* image[2];  // planes, H x W; null for no tile
  ptrdiff_t H, W;
  ptrdiff_t row[2], column[2];  // where the tiles begin; what lies outside of the plane is zero
  T* buffer;  // the real parts of a row's columns, then the imaginary ones; rows `pitch` apart
  ptrdiff_t pitch;
  T* spectrum;  // from vector to vector of frequencies `step`; real parts, then imaginary ones
  ptrdiff_t step;
  T* out[2];
  ptrdiff_t out_ld;
  ptrdiff_t out_rows[2], out_columns[2];  // 0 for no tile
  const Epilogue<T>* epilogue;  // bias points at the filter's value
};

template <class T>
struct FftKernels {
  void (*in_columns)(const FftTiles<T>&);
  void (*in_rows)(const FftTiles<T>&);
  void (*out_rows)(const FftTiles<T>&);
  void (*through_rows)(const FftTiles<T>&);  // in, times the conjugate of the spectrum, and out again
  void (*out_columns)(const FftTiles<T>&);
};

// At each of `points` vectors of frequencies, the sums over the channels: y[filter][tile] of z[channel][tile] and
// w[filters by fft_filters][channel][filter].
template <class T>
struct FftProduct {
  const T* z;
  ptrdiff_t z_step;  // from point to point
  const T* w;
  T* y;
  ptrdiff_t y_step;
  ptrdiff_t points, channels, filters, tiles;
};

inline constexpr int fft_sizes = 3, fft_tiles = 4;

inline constexpr int depthwise_strip_rows = 4, depthwise_columns = 32;

inline constexpr int max_pixel_rows = 14, max_pixel_vectors = 6;
inline constexpr int max_channel_pixels = 28, max_channel_vectors = 4;
inline constexpr int widest_lanes = 16;

template <class T>
struct KernelSet {
  int lanes;
  double nominal_gflops;  // of one thread, for cost estimates: only ratios matter

  // C[m][n vectors] with pixels as lanes; [masked tail][m][nv]. Null where the registers do not hold the tile.
  int pixel_rows, pixel_vectors;  // the largest tile: its rows and vectors
  int short_rows;  // rows of the tiles for short sums: fewer, of more vectors
  TileKernel<T> pixel_tile[2][max_pixel_rows + 1][max_pixel_vectors + 1];

  // C[px][nv vectors] with channels as lanes; [px][nv]. No tail: weights and `out` are padded to whole vectors.
  int channel_pixels, channel_vectors;
  // Runs of an image's row in place (gemm/channel_lanes): vectors of a panel of filters, and steps of a part of the
  // sum.
  int run_vectors, run_part;
  TileKernel<T> channel_tile[max_channel_pixels + 1][max_channel_vectors + 1];

  void (*transpose_store)(const TransposeStore<T>&);
  void (*transpose_pack)(const TransposePack<T>&);
  void (*strip_pack)(const StripPack<T>&);
  void (*window_rows)(const WindowRows<T>&);
  void (*activate)(T* values, ptrdiff_t count, const Epilogue<T>& epilogue);  // the second pass
  void (*depthwise_rows)(const DepthwiseRows<T>&);
  void (*depthwise_long)(const DepthwiseRows<T>&);
  int grouped_filters[2];  // at once, at strides 1 and 2
  void (*grouped_rows)(const DepthwiseRows<T>&);
  void (*depthwise_strip)(const DepthwiseStrip<T>&);
  void (*depthwise_pixel)(const DepthwisePixel<T>&);
  int depthwise_lane_rows;
  void (*depthwise_lanes)(const DepthwiseLanes<T>&);
  void (*tap_sums)(const TapSums<T>&);
  void (*tap_grid)(const TapGrid<T>&);
  WinogradTransforms<T> winograd[winograd_axes][2];  // by WinogradAxis; whole tiles, tails
  void (*winograd_weights)(const WinogradWeights<T>&);
  FftKernels<T> fft[fft_sizes];  // of 16, 32 and 64 rows (or columns)
  int fft_filters;
  void (*fft_product)(const FftProduct<T>&);

  // Measurement: `rounds` times a fixed number of independent FMAs, returning flops done; sums, fills or copies n
  // values.
  double (*fma_rounds)(ptrdiff_t rounds);
  T (*read)(const T* from, ptrdiff_t n);
  void (*write)(T* to, ptrdiff_t n);
  void (*copy)(T* to, const T* from, ptrdiff_t n);
};

struct Kernels {
  const char* isa;
  KernelSet<float> f32;
  KernelSet<double> f64;
};

}  // namespace fastconv
