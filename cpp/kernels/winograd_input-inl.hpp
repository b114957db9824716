// Winograd's input transform B^T d B of one channel, with tiles as lanes.
//
// First down the columns, straight from the image's rows, neighbouring pixels as lanes; the m + 2 resulting rows go to
// scratch. Then along the rows: tiles as lanes, by splitting m vectors of pixels into m phases. The last two pixels of
// a tile are the next tile's first two.
//
// Wide maps go tile row by tile row. Narrow ones (7 tiles, 16 lanes) would leave lanes idle: there the tile rows lie
// end to end in scratch, and since a row's last tile has no next one, a second copy, m pixels on, has those two pixels.
#pragma once

#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// B^T d. Row i of B^T holds the coefficients of the product of (x - p) over all finite points p but the i-th.
template <class T>
inline void winograd_input_1d(const Vec<T> (&d)[4], Vec<T> (&v)[4]) {
  v[0] = sub(d[2], d[0]);
  v[1] = add(d[2], d[1]);
  v[2] = sub(d[2], d[1]);
  v[3] = sub(d[3], d[1]);
}
template <class T>
inline void winograd_input_1d(const Vec<T> (&d)[6], Vec<T> (&v)[6]) {
  using V = Vec<T>;
  constexpr double a = winograd_a, b = winograd_b;
  const V product = V::broadcast(T(a * a * b * b)), sum = V::broadcast(T(a * a + b * b));
  const V a2 = V::broadcast(T(a * a)), b2 = V::broadcast(T(b * b)), va = V::broadcast(T(a)), vb = V::broadcast(T(b));
  v[0] = fma(product, d[0], fnma(sum, d[2], d[4]));
  v[5] = fma(product, d[1], fnma(sum, d[3], d[5]));
  const V even_a = fnma(b2, d[2], d[4]), odd_a = fnma(b2, d[1], d[3]);
  v[1] = fma(va, odd_a, even_a);
  v[2] = fnma(va, odd_a, even_a);
  const V even_b = fnma(a2, d[2], d[4]), odd_b = fnma(a2, d[1], d[3]);
  v[3] = fma(vb, odd_b, even_b);
  v[4] = fnma(vb, odd_b, even_b);
}

// Tile rows [first, last), which lie end to end in scratch. More than one only if EndToEnd.
template <class T, int m, bool EndToEnd>
inline void winograd_input_rows(const WinogradInput<T>& block, ptrdiff_t first, ptrdiff_t last) {
  using V = Vec<T>;
  constexpr int L = V::lanes, edge = m + 2;
  const ptrdiff_t ld = block.scratch_ld, W = block.W, width = m * block.tile_columns;
  T* const ahead = block.scratch + edge * ld + m;  // ahead[x - m] is what scratch[x] is, up to each row's end

  for (ptrdiff_t tile_row = first; tile_row < last; ++tile_row) {
    const T* row[edge];
    bool inside = true;
    for (int i = 0; i < edge; ++i) {
      const ptrdiff_t h = block.row + tile_row * m + i;
      row[i] = h >= 0 && h < block.H ? block.image + h * W : nullptr;
      inside = inside && row[i];
    }
    T* const to = block.scratch + (tile_row - first) * width;
    T* const to_ahead = ahead + (tile_row - first) * width - m;
    T before[edge][2];  // the end of the tile row before, which the first vector overwrites
    if constexpr (EndToEnd)
      for (int i = 0; i < edge; ++i)
        for (int j = 0; j < 2; ++j) before[i][j] = to_ahead[i * ld + j];
    for (ptrdiff_t x = 0; x < width + 2; x += L) {
      const ptrdiff_t w = block.column + x;
      V d[edge], v[edge];
      if (inside && w >= 0 && w + L <= W) {
#pragma GCC unroll 6
        for (int i = 0; i < edge; ++i) d[i] = V::load(row[i] + w);
      } else {
#pragma GCC unroll 6
        for (int i = 0; i < edge; ++i) d[i] = row[i] ? V::load_window(row[i], W, w) : V::zero();
      }
      winograd_input_1d<T>(d, v);
#pragma GCC unroll 6
      for (int i = 0; i < edge; ++i) {
        v[i].store(to + i * ld + x);
        if constexpr (EndToEnd) v[i].store(to_ahead + i * ld + x);
      }
    }
    if constexpr (EndToEnd)
      for (int i = 0; i < edge; ++i)
        for (int j = 0; j < 2; ++j) to_ahead[i * ld + j] = before[i][j];
  }

  const ptrdiff_t tiles = (last - first) * block.tile_columns;
  for (ptrdiff_t tile = 0; tile < tiles; tile += L) {
    const T* from = block.scratch + tile * m;
    T* to = block.to + first * block.tile_columns + tile;
    for (int i = 0; i < edge; ++i, from += ld) {
      V phase[m], d[edge], v[edge];
      deinterleave<m>(from, phase);
      for (int j = 0; j < m; ++j) d[j] = phase[j];
      if constexpr (EndToEnd) {
        V next[m];
        deinterleave<m>(from + edge * ld + m, next);
        d[m] = next[0];
        d[m + 1] = next[1];
      } else {
        d[m] = shift_in(phase[0], from[m * L]);
        d[m + 1] = shift_in(phase[1], from[m * L + 1]);
      }
      winograd_input_1d<T>(d, v);
#pragma GCC unroll 6
      for (int j = 0; j < edge; ++j, to += block.plane) v[j].store(to);
    }
  }
}

template <class T, int m>
void winograd_input(const WinogradInput<T>& block) {
  constexpr int L = Vec<T>::lanes;
  const ptrdiff_t in_vectors = (block.tile_columns + L - 1) / L * L;
  if (block.tile_columns * 4 >= in_vectors * 3 || block.tile_rows == 1) {
    for (ptrdiff_t row = 0; row < block.tile_rows; ++row) winograd_input_rows<T, m, false>(block, row, row + 1);
  } else {
    winograd_input_rows<T, m, true>(block, 0, block.tile_rows);
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
