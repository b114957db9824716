// Winograd's output transform A^T m A with output channels as lanes, and the way back to NCHW: as many tiles of a tile
// row as make one vector of output pixels are transformed, then stored transposed with bias and activation.
#pragma once

#include "kernels/transpose_store-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// A^T m: row j of A^T holds the j-th powers of the points; infinity counts in the last row.
template <class T>
inline void winograd_output_1d(const Vec<T> (&s)[4], Vec<T> (&y)[2]) {
  y[0] = add(add(s[1], s[2]), s[0]);
  y[1] = add(sub(s[1], s[2]), s[3]);
}
template <class T>
inline void winograd_output_1d(const Vec<T> (&s)[6], Vec<T> (&y)[4]) {
  using V = Vec<T>;
  constexpr double a = winograd_a, b = winograd_b;
  const V va = V::broadcast(T(a)), a2 = V::broadcast(T(a * a)), a3 = V::broadcast(T(a * a * a));
  const V vb = V::broadcast(T(b)), b2 = V::broadcast(T(b * b)), b3 = V::broadcast(T(b * b * b));
  const V even_a = add(s[1], s[2]), odd_a = sub(s[1], s[2]), even_b = add(s[3], s[4]), odd_b = sub(s[3], s[4]);
  y[0] = add(add(even_a, even_b), s[0]);
  y[1] = fma(vb, odd_b, mul(va, odd_a));
  y[2] = fma(b2, even_b, mul(a2, even_a));
  y[3] = fma(b3, odd_b, fma(a3, odd_a, s[5]));
}

// One tile and one vector of channels: m x m vectors to to[i * ld + j * lanes].
template <class T, int m>
inline void winograd_output_tile(const T* from, ptrdiff_t plane, T* to, ptrdiff_t ld) {
  using V = Vec<T>;
  constexpr int L = V::lanes, edge = m + 2;
  V half[m][edge];
#pragma GCC unroll 6
  for (int j = 0; j < edge; ++j) {
    V s[edge], y[m];
#pragma GCC unroll 6
    for (int i = 0; i < edge; ++i) s[i] = V::load(from + (i * edge + j) * plane);
    winograd_output_1d<T>(s, y);
#pragma GCC unroll 4
    for (int i = 0; i < m; ++i) half[i][j] = y[i];
  }
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
    V y[m];
    winograd_output_1d<T>(half[i], y);
#pragma GCC unroll 4
    for (int j = 0; j < m; ++j) y[j].store(to + i * ld + j * L);
  }
}

template <class T, int m>
void winograd_output(const WinogradOutput<T>& block) {
  constexpr int L = Vec<T>::lanes;
  constexpr int group = L > m ? L / m : 1;  // tiles
  constexpr ptrdiff_t ld = ptrdiff_t(group) * m * L;
  alignas(64) T pixels[m * ld];
  Epilogue<T> epilogue = *block.epilogue;
  for (ptrdiff_t c = 0; c < block.channels; c += L) {
    const ptrdiff_t channels = block.channels - c < L ? block.channels - c : L;
    for (ptrdiff_t tile_row = 0; tile_row < block.tile_rows; ++tile_row) {
      const ptrdiff_t rows = block.rows - tile_row * m < m ? block.rows - tile_row * m : m;
      for (ptrdiff_t column = 0; column < block.tile_columns; column += group) {
        const T* from = block.from + (tile_row * block.tile_columns + column) * block.from_ld + c;
        const ptrdiff_t tiles = block.tile_columns - column < group ? block.tile_columns - column : group;
        for (ptrdiff_t tile = 0; tile < tiles; ++tile)
          winograd_output_tile<T, m>(from + tile * block.from_ld, block.plane, pixels + tile * m * L, ld);
        const ptrdiff_t columns = block.columns - column * m < group * m ? block.columns - column * m : group * m;
        T* to = block.to + c * block.to_ld + tile_row * m * block.row_ld + column * m;
        for (ptrdiff_t i = 0; i < rows; ++i)
          transpose_store<T>({pixels + i * ld, L, columns, channels, to + i * block.row_ld, block.to_ld, &epilogue});
      }
    }
    if (epilogue.bias) epilogue.bias += L;
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
