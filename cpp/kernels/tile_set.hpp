// The register tiles of matrix products (tile-inl.hpp), and what an ISA's vectors are like. Plain data only, as in
// kernel_set.hpp.
#pragma once

#include <stddef.h>

#include "kernels/epilogue.hpp"

namespace fastconv {

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

inline constexpr int max_pixel_rows = 14, max_pixel_vectors = 6;
inline constexpr int max_channel_pixels = 28, max_channel_vectors = 4;
inline constexpr int widest_lanes = 16;

template <class T>
struct TileKernels {
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
};

}  // namespace fastconv
