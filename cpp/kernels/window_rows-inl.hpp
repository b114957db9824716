// Rows of a window that may reach over an image's borders, zeros there: what padded strips and im2col blocks are made
// of. Windows of small layers are a few pixels wide: library copies and fills of each piece took a good part of a call
// (8 channels of 8 x 8, 3 x 3: 2.6 us instead of 2.0 with the strip, 4.4 instead of 3.2 with the block).
#pragma once

#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

template <class T>
void window_rows(const WindowRows<T>& w) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  T* to = w.to;
  // Whole vectors: what a row writes too much, the next one overwrites. The last row must not.
  for (ptrdiff_t i = 0; i + 1 < w.rows; ++i, to += w.to_ld) {
    const ptrdiff_t y = w.row + i * w.row_step;
    const T* row = w.image + y * w.W;
    if (y < 0 || y >= w.H)
      for (ptrdiff_t j = 0; j < w.columns; j += L) V::zero().store(to + j);
    else
      for (ptrdiff_t j = 0; j < w.columns; j += L) V::load_window(row, w.W, w.column + j).store(to + j);
  }
  const ptrdiff_t y = w.row + (w.rows - 1) * w.row_step;
  for (ptrdiff_t j = 0; j < w.columns; j += L) {
    const V v = y < 0 || y >= w.H ? V::zero() : V::load_window(w.image + y * w.W, w.W, w.column + j);
    if (j + L <= w.columns)
      v.store(to + j);
    else
      v.store(to + j, V::first(int(w.columns - j)));
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
