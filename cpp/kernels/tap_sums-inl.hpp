// Sums of products of two images: the gradient of a depthwise layer by its weights. Pixels are lanes, each tap has a
// vector of sums, and only at the end are lanes added to one another.
//
// Nearly every load goes across two cache lines, which takes as long as two FMAs of AVX-512. So taps that are
// neighbours share theirs: down a column of vectors, a row of the image serves all rows of taps with the gradients
// still held. (144 channels of 56 x 56, 3x3: TAPS us with a load for each product, GRID this way.)
#pragma once

#include "kernels/depthwise_set.hpp"
#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// Lanes are added, one half to the other.
template <class T>
void add_lanes(const Vec<T>& sum, T& to) {
  constexpr int L = Vec<T>::lanes;
  T lane[L];
  sum.store(lane);
  for (int half = L / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  to += lane[0];
}

// As many taps as there are registers for their addresses.
constexpr int most_tap_sums = 9;

template <int N, class T>
void tap_sums_of(const TapSums<T>& t, ptrdiff_t first) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  V sum[N];
#pragma GCC unroll 9
  for (int i = 0; i < N; ++i) sum[i] = V::zero();
  const ptrdiff_t whole = t.columns / L * L;
  const auto live = V::first(int(t.columns - whole));
  const T *x = t.x + t.offset[first], *y = t.y;
  ptrdiff_t offset[N];
  for (int i = 0; i < N; ++i) offset[i] = t.offset[first + i] - t.offset[first];
  for (ptrdiff_t row = 0; row < t.rows; ++row, x += t.x_row, y += t.y_row) {
    const T* from[N];
#pragma GCC unroll 9
    for (int i = 0; i < N; ++i) from[i] = x + offset[i];
    ptrdiff_t j = 0;
    for (; j < whole; j += L) {
      const V v = V::load(y + j);
#pragma GCC unroll 9
      for (int i = 0; i < N; ++i) sum[i] = fma(v, V::load(from[i] + j), sum[i]);
    }
    if (j < t.columns) {
      const V v = V::load(y + j, live);
#pragma GCC unroll 9
      for (int i = 0; i < N; ++i) sum[i] = fma(v, V::load(from[i] + j, live), sum[i]);
    }
  }
#pragma GCC unroll 9
  for (int i = 0; i < N; ++i) add_lanes(sum[i], t.sums[first + i]);
}

// R rows of S columns of taps, from row `first` of taps on.
template <int R, int S, class T>
void tap_grid_of(const TapGrid<T>& t, ptrdiff_t first) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  V sum[R][S];
#pragma GCC unroll 7
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 7
    for (int s = 0; s < S; ++s) sum[r][s] = V::zero();
  const ptrdiff_t top = t.row + first;
  // Rows of the image that all of these taps see.
  const ptrdiff_t begin = R - 1 < -top ? -top : R - 1, end = t.rows < t.H - top ? t.rows : t.H - top;

  // Down a column of vectors: with every row of the image, the gradients of this row and those above.
  const auto down = [&](ptrdiff_t j, auto border) __attribute__((always_inline)) {
    constexpr bool masked = decltype(border)::value;
    const ptrdiff_t left = t.columns - j;
    const auto live = V::first(int(left < L ? left : L));
    typename V::Window window[S];
#pragma GCC unroll 7
    for (int s = 0; s < S; ++s) {  // nothing behind the last output's tap: it may be infinite
      const ptrdiff_t last = t.column + t.columns + s;
      window[s] = V::window(last < t.W ? last : t.W, t.column + j + s);
    }
    const T *x = t.image + top * t.W + t.column + j, *y = t.y + j;
    V held[R];
#pragma GCC unroll 7
    for (int r = 0; r < R; ++r) held[r] = V::zero();
    const auto row = [&](ptrdiff_t i, auto edge) __attribute__((always_inline)) {
      constexpr bool at_edge = decltype(edge)::value;
#pragma GCC unroll 7
      for (int r = R - 1; r > 0; --r) held[r] = held[r - 1];
      if (!at_edge || i < t.rows) held[0] = masked ? V::load(y + i * t.y_row, live) : V::load(y + i * t.y_row);
      if (at_edge && (top + i < 0 || top + i >= t.H)) return;
#pragma GCC unroll 7
      for (int s = 0; s < S; ++s) {
        const V v = masked ? V::load(x + i * t.W + s, window[s]) : V::load(x + i * t.W + s);
#pragma GCC unroll 7
        for (int r = 0; r < R; ++r)
          if (!at_edge || (i >= r && i - r < t.rows)) sum[r][s] = fma(held[r], v, sum[r][s]);
      }
    };
    ptrdiff_t i = 0;
    for (; i < begin && i < t.rows + R - 1; ++i) row(i, Constant<1>());
    for (; i < end; ++i) row(i, Constant<0>());
    for (; i < t.rows + R - 1; ++i) row(i, Constant<1>());
  };
  for (ptrdiff_t j = 0; j < t.columns; j += L)
    if (t.column + j >= 0 && t.column + j + S - 1 + L <= t.W && j + L <= t.columns)
      down(j, Constant<0>());
    else
      down(j, Constant<1>());
#pragma GCC unroll 7
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 7
    for (int s = 0; s < S; ++s) add_lanes(sum[r][s], t.sums[(first + r) * S + s]);
}

template <int S, class T>
void tap_grid_rows(const TapGrid<T>& t) {
  constexpr int fit = (vector_registers - 2) / (S + 1), most = fit < S ? fit : S;
  ptrdiff_t first = 0;
  for (; first + most <= t.R; first += most) tap_grid_of<most, S>(t, first);
  for (; first < t.R; ++first) tap_grid_of<1, S>(t, first);
}

template <class T>
void tap_grid(const TapGrid<T>& t) {
  switch (t.S) {
    case 3:
      return tap_grid_rows<3>(t);
    case 5:
      return tap_grid_rows<5>(t);
    default:
      return tap_grid_rows<7>(t);
  }
}

template <class T>
void tap_sums(const TapSums<T>& t) {
  constexpr void (*of[])(const TapSums<T>&, ptrdiff_t) = {
      nullptr,        tap_sums_of<1>, tap_sums_of<2>, tap_sums_of<3>, tap_sums_of<4>,
      tap_sums_of<5>, tap_sums_of<6>, tap_sums_of<7>, tap_sums_of<8>, tap_sums_of<9>};
  const ptrdiff_t parts = (t.taps + most_tap_sums - 1) / most_tap_sums;
  ptrdiff_t first = 0;
  for (ptrdiff_t part = 0; part < parts; ++part) {  // even ones
    const ptrdiff_t taps = (t.taps - first + parts - part - 1) / (parts - part);
    of[taps](t, first);
    first += taps;
  }
}

template <class T>
constexpr TapKernels<T> tap_sums_table() {
  return {tap_sums<T>, tap_grid<T>};
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
