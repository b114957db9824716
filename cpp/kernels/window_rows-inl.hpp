// Rows of a window that may reach over an image's borders, zeros there: what padded strips and im2col blocks are made
// of. Windows of small layers are a few pixels wide: library copies and fills of each piece took a good part of a call
// (8 channels of 8 x 8, 3 x 3: 2.6 us instead of 2.0 with the strip, 4.4 instead of 3.2 with the block).
#pragma once

#include "kernels/memory_set.hpp"
#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// phase[j] = every m-th value from the j-th on, of m vectors that follow one another.
template <int m, class T>
inline void deinterleave(const Vec<T> (&in)[m], Vec<T> (&phase)[m]) {
  static_assert(m == 1 || m == 2 || m == 4);
  if constexpr (m == 1) {
    phase[0] = in[0];
  } else if constexpr (m == 2) {
    split_even_odd(in[0], in[1], phase[0], phase[1]);
  } else {
    Vec<T> even[2], odd[2];
    split_even_odd(in[0], in[1], even[0], odd[0]);
    split_even_odd(in[2], in[3], even[1], odd[1]);
    split_even_odd(even[0], even[1], phase[0], phase[2]);
    split_even_odd(odd[0], odd[1], phase[1], phase[3]);
  }
}

// Every m-th pixel. (Where several vectors are shuffled, masks only at the image's borders: they take as long as all
// the rest. Single vectors go by masks always: a branch per short row takes longer.)
template <int m, bool OnePhase, class T>
void window_rows_by(const WindowRows<T>& w) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  const ptrdiff_t phases = OnePhase ? 1 : w.phases;
  T* to = w.to;
  for (ptrdiff_t i = 0; i < w.rows; ++i, to += w.to_ld) {
    const ptrdiff_t y = w.row + i * w.row_step;
    // What one phase's row writes too much, the next ones overwrite. Nothing may go beyond the last.
    const ptrdiff_t most = OnePhase ? (w.rows - 1 - i) * w.to_ld + w.columns : w.columns;
    const auto put = [&](V v, ptrdiff_t phase, ptrdiff_t j) {
      T* const out = to + phase * w.phase_ld + j;
      j + L <= most ? v.store(out) : v.store(out, V::first(int(w.columns - j)));
    };
    if (y < 0 || y >= w.H) {
      for (ptrdiff_t f = 0; f < phases; ++f)
        for (ptrdiff_t j = 0; j < w.columns; j += L) put(V::zero(), f, j);
      continue;
    }
    const T* row = w.image + y * w.W;
    for (ptrdiff_t j = 0, x = w.column; j < w.columns; j += L, x += m * L) {
      V in[m], phase[m];
      const bool inside = m > 1 && x >= 0 && x + m * L <= w.W;
      for (int v = 0; v < m; ++v) in[v] = inside ? V::load(row + x + v * L) : V::load_window(row, w.W, x + v * L);
      deinterleave<m>(in, phase);
      for (int f = 0; f < m && f < phases; ++f) put(phase[f], f, j);
    }
  }
}

// Any step, value by value.
template <class T>
void window_rows_by_values(const WindowRows<T>& w) {
  for (ptrdiff_t i = 0; i < w.rows; ++i)
    for (ptrdiff_t f = 0; f < w.phases; ++f)
      for (ptrdiff_t j = 0; j < w.columns; ++j) {
        const ptrdiff_t y = w.row + i * w.row_step, x = w.column + f + j * w.column_step;
        const bool inside = y >= 0 && y < w.H && x >= 0 && x < w.W;
        w.to[i * w.to_ld + f * w.phase_ld + j] = inside ? w.image[y * w.W + x] : T(0);
      }
}

template <class T>
void window_rows(const WindowRows<T>& w) {
  const bool one = w.phases == 1;
  switch (w.column_step) {
    case 1:
      return window_rows_by<1, true>(w);
    case 2:
      return one ? window_rows_by<2, true>(w) : window_rows_by<2, false>(w);
    case 4:
      return one ? window_rows_by<4, true>(w) : window_rows_by<4, false>(w);
    default:
      return window_rows_by_values(w);
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
