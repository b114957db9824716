// Passes over memory: operands on the way into the order in which tiles read them, outputs on the way back, the second
// pass over outputs, and measurements. Plain data only, as in kernel_set.hpp.
#pragma once

#include <stddef.h>

#include "kernels/epilogue.hpp"

namespace fastconv {

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

template <class T>
struct MemoryKernels {
  void (*transpose_store)(const TransposeStore<T>&);
  void (*transpose_pack)(const TransposePack<T>&);
  void (*strip_pack)(const StripPack<T>&);
  void (*window_rows)(const WindowRows<T>&);
  void (*activate)(T* values, ptrdiff_t count, const Epilogue<T>& epilogue);  // the second pass

  // Measurement: `rounds` times a fixed number of independent FMAs, returning flops done; sums, fills or copies n
  // values.
  double (*fma_rounds)(ptrdiff_t rounds);
  T (*read)(const T* from, ptrdiff_t n);
  void (*write)(T* to, ptrdiff_t n);
  void (*copy)(T* to, const T* from, ptrdiff_t n);
};

}  // namespace fastconv
