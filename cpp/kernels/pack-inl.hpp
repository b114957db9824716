// Operands on the way into the order in which the register tiles read them.
#pragma once

#include "kernels/memory_set.hpp"
#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// At the edges through a scratch block, so that neither rows nor columns past the end are read; and where all rows fall
// into one set of L1 (224 x 224 planes: 49 pages), whose lines would be fetched once for each quarter that the
// transposition reads. (A scalar loop takes 5-10 times as long: 3 % of a 1024 x 1024 x 1024 product.)
template <class T>
void transpose_pack(const TransposePack<T>& pack) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  T block[L * L];
  const bool apart = pack.from_ld * ptrdiff_t(sizeof(T)) % 2048 != 0;
  for (ptrdiff_t r0 = 0; r0 < pack.stored; r0 += L) {
    const ptrdiff_t live_rows = pack.rows - r0;
    const bool whole = pack.stored - r0 >= L;
    const auto stored = V::first(int(whole ? L : pack.stored - r0));
    for (ptrdiff_t c0 = 0; c0 < pack.columns; c0 += L) {
      const int columns = int(pack.columns - c0 < L ? pack.columns - c0 : L);
      const auto live = V::first(columns);
      V column[L];
      if (apart && live_rows >= L && columns == L) {
        transpose_load(pack.from + r0 * pack.from_ld + c0, pack.from_ld, column);
      } else {
        for (int r = 0; r < L; ++r)
          (r < live_rows ? V::load(pack.from + (r0 + r) * pack.from_ld + c0, live) : V::zero()).store(block + r * L);
        transpose_load(block, L, column);
      }
      T* to = pack.to + r0;
      // Far from the end, whole vectors do where a column is less than one: what they write too much, the next columns
      // overwrite. (AVX2's masked stores made packing 4 % of a 1024 x 1024 x 1024 product.)
      const bool plain = whole || (r0 == 0 && pack.to_ld == pack.stored && c0 + 2 * L <= pack.columns);
#pragma GCC unroll 16
      for (int c = 0; c < L; ++c) {
        if (c == columns) break;
        const ptrdiff_t place = pack.places ? pack.places[c0 + c] : c0 + c;
        if (plain)
          column[c].store(to + place * pack.to_ld);
        else
          column[c].store(to + place * pack.to_ld, stored);
      }
    }
  }
}

// Rows of a large matrix lie in different pages, where the hardware does not prefetch: so the rows ahead are asked for
// here.
template <class T>
void strip_pack(const StripPack<T>& pack) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  for (ptrdiff_t row = 0; row < pack.rows; ++row) {
    const T* from = pack.from + row * pack.from_ld;
    T* strip = pack.to + row * pack.width;
    if (row + 4 < pack.rows)
      for (ptrdiff_t column = 0; column < pack.columns; column += 64 / ptrdiff_t(sizeof(T)))
        __builtin_prefetch(from + 4 * pack.from_ld + column);
    for (ptrdiff_t column = 0; column < pack.columns; column += pack.width, strip += pack.strip_step)
      for (ptrdiff_t j = 0; j < pack.width && column + j < pack.columns; j += L) {
        const ptrdiff_t left = pack.columns - column - j;
        (left >= L ? V::load(from + column + j) : V::load(from + column + j, V::first(int(left)))).store(strip + j);
      }
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
