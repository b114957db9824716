// Kernels for whole numbers of 8 bits, in words: 32 bits that hold the next few values of a sum for one pixel, or for
// one filter. An ISA multiplies words value by value, and adds the products to a sum of 32 bits, exactly. Plain data
// only, as in kernel_set.hpp: each isa/dot_*.cpp exports one table.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace fastconv {

inline constexpr int most_dot_values = 4;  // of a word
inline constexpr int max_dot_rows = 14, max_dot_vectors = 4, max_dot_few = 8;

// One register tile, pixels as lanes: out[m * ld + pixel] = initial[m] + sum over i of weights[i][m] . pixels[offset[i]
// + pixel]. Whole vectors of pixels are read; sums wrap around.
struct DotTile {
  ptrdiff_t steps;
  const int32_t* weights;  // a row of m words per step
  const int32_t* pixels;
  const ptrdiff_t* offset;
  const int32_t* initial;
  int32_t* out;
  ptrdiff_t ld;
  int tail;  // lanes of the last vector that are stored, 1 .. lanes
  int rows;  // m, for kernels that are not made for one
};
using DotTileKernel = void (*)(const DotTile&);

// Rows of bytes into words: value t of word j is from[t][j].
struct DotPack {
  const uint8_t* from[most_dot_values];
  ptrdiff_t columns;
  int32_t* to;
  bool is_signed;
  int zero;  // what stands for 0
};

// How sums become numbers of 8 bits: the exact product of sum and scale, rounded half to even.
struct DotScale {
  float scale;
  int zero, low, high;  // added after rounding; bounds of the result
};

// Finished sums to where they belong: count values less weight_zero * window[i].
struct DotFinish {
  const int32_t* from;
  const int32_t* window;  // null for nothing to take away
  int32_t weight_zero;
  ptrdiff_t count;
  void* to;  // int32_t, or bytes
  const DotScale* scale;  // null for sums as they are
};

// Output rows of one depthwise filter, straight from the image's bytes: strides 1 and 2, unit dilation.
struct DotDepthwise {
  const uint8_t* image;  // a plane, H x W
  ptrdiff_t H, W;
  bool is_signed;
  int zero;
  ptrdiff_t pad_top, pad_left;
  const int32_t* weights;  // words of each row of taps
  int32_t initial;
  ptrdiff_t first_row, rows, Q;
  void* to;  // of the first row: int32_t, or bytes
  const DotScale* scale;
};
inline constexpr int dot_depthwise_rows = 3, dot_depthwise_words = 2;  // of taps: 3, 5, 7; up to 4 or 8 of a row

struct DotKernels {
  const char* isa;
  int lanes;
  int values;  // of a word
  // Words hold values as they are, an unsigned one of pixels and a signed one of weights: the zero points are taken
  // into account in what sums start with, and by window sums. Else words hold what is left of values when the zero
  // points are taken away.
  bool keeps_zeros;
  int rows;  // of the largest tile
  DotTileKernel tile[max_dot_rows + 1][max_dot_vectors + 1];  // null where the registers do not hold it
  // The same for so few pixels that filters are better lanes: by their number. Only m rows of `weights` are read.
  DotTileKernel few[max_dot_few + 1];
  void (*pack)(const DotPack&);
  void (*finish)(const DotFinish&);
  // By stride, rows of taps, words of a row; null where there is none.
  void (*depthwise[2][dot_depthwise_rows][dot_depthwise_words])(const DotDepthwise&);
};

}  // namespace fastconv
