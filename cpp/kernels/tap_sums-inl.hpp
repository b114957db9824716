// Sums of products of two images: the gradient of a depthwise layer by its weights. Pixels are lanes, each tap has a
// vector of sums, and only at the end are lanes added to one another.
#pragma once

#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

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
  for (int i = 0; i < N; ++i) {
    T lane[L];
    sum[i].store(lane);
    for (int half = L / 2; half > 0; half /= 2)
      for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
    t.sums[first + i] += lane[0];
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

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
