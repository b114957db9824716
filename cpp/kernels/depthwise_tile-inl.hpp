// The register tiles of depthwise-inl.hpp: M output rows of one vector. A vector of pixels, once loaded, serves up to R
// output rows. Stride 1 goes through the columns of taps one by one; stride 2 in pairs, or all three at once.
#pragma once

#include "kernels/depthwise_set.hpp"
#include "kernels/epilogue-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// V is Vec<T>, or Vec<Narrow<T>> for half vectors.
template <class V, int M>
struct Sums {
  V of[M];
};

// Columns of pixels that are in the image, for each vector that a tile loads from a row.
template <class V>
struct Windows {
  typename V::Window of[depthwise_columns + 1];
  typename V::Window next;  // stride 2: the vector after the first two
};

// A row of tiles in a plane. Step i down the window's rows of pixels is in the image if first <= i < end.
template <class V, class T>
struct DepthwisePlace {
  const T* x;  // the first tap's pixel of the first output
  ptrdiff_t pitch;  // from step to step
  ptrdiff_t S, dilation_w;
  ptrdiff_t first, end;
  const T* weights;
  T* out;
  ptrdiff_t out_pitch;
  int rows;  // to store
  bool partial;  // fewer columns than lanes: `live` ones are stored
  ptrdiff_t columns;  // of outputs, if the tile's rows follow one another, else 0
  typename V::Mask live;
};

// Rows that a tile must look after. `inner`: none. `edge`: up to R / 2 rows of taps may be missing at the top and at
// the bottom. `whole`: R / 2 are missing on both sides. `any`: any may be missing, and fewer than M rows be stored.
// (Testing every row costs 14 x 14 maps an eighth, and 3x3 at stride 2 a quarter.)
enum class Border { inner, edge, whole, any };

template <int R, Border border, class V, class T>
[[gnu::always_inline]] inline bool is_missing(const DepthwisePlace<V, T>& at, int i, int steps) {
  if constexpr (border == Border::any) return __builtin_expect(i < at.first || i >= at.end, 0);
  if constexpr (border == Border::whole) return i < R / 2 || i >= steps - R / 2;
  if constexpr (border == Border::edge) return (i < R / 2 && i < at.first) || (i >= steps - R / 2 && i >= at.end);
  return false;
}

// Keeps the compiler from turning a walk down the rows into as many precomputed addresses, which it then spills: a 3x3
// tile takes half as long again.
template <class T>
[[gnu::always_inline]] inline void step_down(T*& x, ptrdiff_t pitch) {
  x += pitch;
#ifdef __GNUC__
  asm("" : "+r"(x));
#endif
}

// Masked loads and stores cost a 3x3 tile a fifth: only the tiles at the sides use them.
template <bool Masked, class V, class T>
[[gnu::always_inline]] inline V load_pixels(const T* x, typename V::Window window) {
  if constexpr (Masked)
    return V::load(x, window);
  else
    return V::load(x);
}

// Stride 1: adds column s of the taps, R of them one below the other. M + R - 1 loads for M * R products.
template <int R, Border border, bool Masked, class V, int M, class T>
[[gnu::always_inline]] inline void add_column(Sums<V, M>& sums, const DepthwisePlace<V, T>& at, const T* x,
                                              const Windows<V>& windows, ptrdiff_t s) {
  const auto window = windows.of[s];
  V w[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) w[r] = V::broadcast(at.weights[s * R + r]);
  x += s * at.dilation_w;
#pragma GCC unroll 32
  for (int i = 0; i < M + R - 1; ++i, step_down(x, at.pitch)) {
    if (is_missing<R, border>(at, i, M + R - 1)) continue;
    const V v = load_pixels<Masked, V>(x, window);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      if (i - r >= 0 && i - r < M) sums.of[i - r] = fma(w[r], v, sums.of[i - r]);
  }
}

// Stride 2: adds columns s and s + 1 (or s alone), two vectors split into even and odd pixels.
template <int R, int Columns, Border border, bool Masked, class V, int M, class T>
[[gnu::always_inline]] inline void add_column_pair(Sums<V, M>& sums, const DepthwisePlace<V, T>& at, const T* x,
                                                   const Windows<V>& windows, ptrdiff_t s) {
  constexpr int L = V::lanes;
  const auto left = windows.of[s], right = windows.of[s + 1];
  V w[2 * R];
#pragma GCC unroll 16
  for (int r = 0; r < Columns * R; ++r) w[r] = V::broadcast(at.weights[s * R + r]);
  x += s;
#pragma GCC unroll 64
  for (int i = 0; i < 2 * (M - 1) + R; ++i, step_down(x, at.pitch)) {
    if (is_missing<R, border>(at, i, 2 * (M - 1) + R)) continue;
    V even, odd;
    split_even_odd(load_pixels<Masked, V>(x, left), load_pixels<Masked, V>(x + L, right), even, odd);
#pragma GCC unroll 8
    for (int r = i % 2; r < R; r += 2) {
      const int m = (i - r) / 2;
      if (i < r || m >= M) continue;
      sums.of[m] = fma(w[r], even, sums.of[m]);
      if constexpr (Columns == 2) sums.of[m] = fma(w[R + r], odd, sums.of[m]);
    }
  }
}

// Whether all weights of a kernel with three columns are held in registers.
template <int R>
constexpr bool holds_weights = R == 3 && vector_registers >= 32;

// The vectors that a tile at `column` (of its first tap's pixel) loads from a row.
template <class V, int R, int Stride>
void set_windows(Windows<V>& windows, ptrdiff_t column, ptrdiff_t S, ptrdiff_t dilation_w, ptrdiff_t W) {
  constexpr int L = V::lanes;
  if constexpr (Stride == 1) {
    for (ptrdiff_t s = 0; s < S; ++s) windows.of[s] = V::window(W, column + s * dilation_w);
  } else {
    for (ptrdiff_t s = 0; s <= S; ++s) windows.of[s] = V::window(W, column + (s & ~ptrdiff_t{1}) + s % 2 * L);
    windows.next = V::window(W, column + 2 * L);
  }
}

// A row of weights, of pixels as the three columns of taps see them, or parts of a sum.
template <class V>
struct Three {
  V of[3];
};
template <class V>
struct Weights3x3 {
  Three<V> of[3];  // by row
};

template <class V, class T>
[[gnu::always_inline]] inline Weights3x3<V> load_weights(const T* from) {
  Weights3x3<V> w;
  for (int r = 0; r < 3; ++r)
    for (int s = 0; s < 3; ++s) w.of[r].of[s] = V::broadcast(from[s * 3 + r]);
  return w;
}

// Stride 1, all three columns of taps at once. In a row's only tile the neighbours come from the vector itself.
enum class Sides { inner, masked, single };

template <Border border, Sides sides, class V, int M, class T>
[[gnu::always_inline]] inline void add_three_columns(Sums<V, M>& sums, const DepthwisePlace<V, T>& at, const T* x,
                                                     const Windows<V>& windows, const Weights3x3<V>& w) {
  const typename V::Window window[3] = {windows.of[0], windows.of[1], windows.of[2]};
  const ptrdiff_t one = at.dilation_w, pitch = at.pitch;
#pragma GCC unroll 32
  for (int i = 0; i < M + 2; ++i, step_down(x, pitch)) {
    if (is_missing<3, border>(at, i, M + 2)) continue;
    Three<V> v;
    if constexpr (sides == Sides::inner) {
      v = {V::load(x), V::load(x + one), V::load(x + 2 * one)};
    } else if constexpr (sides == Sides::masked) {
      v = {V::load(x, window[0]), V::load(x + one, window[1]), V::load(x + 2 * one, window[2])};
    } else {
      v.of[1] = V::load(x + 1, window[1]);
      v.of[0] = shift_up(V::zero(), v.of[1]);
      v.of[2] = shift_in(v.of[1], V::zero());
    }
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s)
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r)
        if (i >= r && i - r < M) sums.of[i - r] = fma(w.of[r].of[s], v.of[s], sums.of[i - r]);
  }
}

// What all tiles of a filter have in common.
template <class V>
struct Finish {
  V bias, low, high;
  bool clips;
};

// Clips and stores a tile's sums.
template <Border border, bool Masked, class V, int M, class T>
[[gnu::always_inline]] inline void store_tile(Sums<V, M>& sums, const DepthwisePlace<V, T>& at, T* out,
                                              const Finish<V>& finish) {
  const ptrdiff_t pitch = at.out_pitch;
  if (finish.clips) {
#pragma GCC unroll 32
    for (int m = 0; m < M; ++m) sums.of[m] = clip(sums.of[m], finish.low, finish.high);
  }
  const auto live = at.live;
  if (Masked && at.partial) {
#pragma GCC unroll 32
    for (int m = 0; m < M; ++m, step_down(out, pitch)) {
      if (border == Border::any && m >= at.rows) return;
      if (border != Border::any && (M - 1 - m) * at.columns >= V::lanes - at.columns)
        sums.of[m].store(out);  // the rest is overwritten by the rows to come; AVX2's masked stores take 18 cycles
      else
        sums.of[m].store(out, live);
    }
    return;
  }
#pragma GCC unroll 32
  for (int m = 0; m < M; ++m, step_down(out, pitch)) {
    if (border == Border::any && m >= at.rows) return;
    sums.of[m].store(out);
  }
}

template <class V, int M>
[[gnu::always_inline]] inline Sums<V, M> all_equal(V value) {
  Sums<V, M> sums;
#pragma GCC unroll 32
  for (int m = 0; m < M; ++m) sums.of[m] = value;
  return sums;
}

template <class V, int R, int Stride, int M, Border border, bool Masked, class T>
[[gnu::always_inline]] inline void depthwise_tile(const DepthwisePlace<V, T>& at, const T* x, const Windows<V>& windows,
                                                  T* out, const Finish<V>& finish) {
  auto sums = all_equal<V, M>(finish.bias);
  if constexpr (Stride == 2) {
    ptrdiff_t s = 0;
    for (; s + 2 <= at.S; s += 2) add_column_pair<R, 2, border, Masked>(sums, at, x, windows, s);
    if (s < at.S) add_column_pair<R, 1, border, Masked>(sums, at, x, windows, s);
  } else {
    for (ptrdiff_t s = 0; s < at.S; ++s) add_column<R, border, Masked>(sums, at, x, windows, s);
  }
  store_tile<border, Masked>(sums, at, out, finish);
}

template <int M, Border border, Sides sides, class V, class T>
[[gnu::always_inline]] inline void depthwise_tile_3x3(const DepthwisePlace<V, T>& at, const T* x,
                                                      const Windows<V>& windows, const Weights3x3<V>& weights, T* out,
                                                      const Finish<V>& finish) {
  auto sums = all_equal<V, M>(finish.bias);
  add_three_columns<border, sides>(sums, at, x, windows, weights);
  store_tile<border, sides != Sides::inner>(sums, at, out, finish);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
