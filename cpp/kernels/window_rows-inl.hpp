// Rows of a window that may reach over an image's borders, zeros there: what padded strips and im2col blocks are made
// of. Windows of small layers are a few pixels wide: library copies and fills of each piece took a good part of a call
// (8 channels of 8 x 8, 3 x 3: 2.6 us instead of 2.0 with the strip, 4.4 instead of 3.2 with the block).
#pragma once

#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// One row, every m-th pixel. `most`: values that may be written of each phase. (Masks only at the image's borders:
// they take as long as all the rest.)
template <int m, bool OnePhase, class T>
void window_row(const WindowRows<T>& w, const T* row, T* to, ptrdiff_t most) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  for (ptrdiff_t j = 0, x = w.column; j < w.columns; j += L, x += m * L) {
    V in[m], phase[m];
    if (x >= 0 && x + m * L <= w.W) {
#pragma GCC unroll 4
      for (int i = 0; i < m; ++i) in[i] = V::load(row + x + i * L);
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < m; ++i) in[i] = V::load_window(row, w.W, x + i * L);
    }
    deinterleave<m>(in, phase);
    const bool whole = j + L <= most;
#pragma GCC unroll 4
    for (int f = 0; f < (OnePhase ? 1 : m); ++f) {
      if (f == w.phases) break;
      T* const out = to + f * w.phase_ld + j;
      whole ? phase[f].store(out) : phase[f].store(out, V::first(int(w.columns - j)));
    }
  }
}

// Any step, value by value.
template <class T>
void window_row_by_values(const WindowRows<T>& w, const T* row, T* to) {
  for (ptrdiff_t f = 0; f < w.phases; ++f)
    for (ptrdiff_t j = 0; j < w.columns; ++j) {
      const ptrdiff_t x = w.column + f + j * w.column_step;
      to[f * w.phase_ld + j] = x >= 0 && x < w.W ? row[x] : T(0);
    }
}

template <class T>
void window_rows(const WindowRows<T>& w) {
  T* to = w.to;
  for (ptrdiff_t i = 0; i < w.rows; ++i, to += w.to_ld) {
    const ptrdiff_t y = w.row + i * w.row_step;
    // What one phase's row writes too much, the next row overwrites. The last row must not.
    const ptrdiff_t most = w.phases == 1 && i + 1 < w.rows ? w.columns + Vec<T>::lanes : w.columns;
    const bool inside = y >= 0 && y < w.H;
    const T* row = inside ? w.image + y * w.W : nullptr;
    if (!inside)
      for (ptrdiff_t f = 0; f < w.phases; ++f)
        for (ptrdiff_t j = 0; j < w.columns; ++j) to[f * w.phase_ld + j] = T(0);
    else if (w.column_step == 1)
      window_row<1, true>(w, row, to, most);
    else if (w.column_step == 2)
      w.phases == 1 ? window_row<2, true>(w, row, to, most) : window_row<2, false>(w, row, to, most);
    else if (w.column_step == 4)
      w.phases == 1 ? window_row<4, true>(w, row, to, most) : window_row<4, false>(w, row, to, most);
    else
      window_row_by_values(w, row, to);
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
