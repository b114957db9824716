// Portable vectors: small arrays that a compiler turns into whatever the target's baseline has (SSE2, NEON, plain
// scalars). The same interface, operation by operation, as avx2-vec.hpp and avx512-vec.hpp.
#pragma once

#include <math.h>
#include <stddef.h>

#define FASTCONV_ISA scalar

#include "isa/lanes.hpp"

namespace fastconv::scalar {
namespace {

template <class T>
struct Vec {
  static constexpr int lanes = 16 / sizeof(T);
  using Mask = int;  // the number of leading lanes that are live
  T v[lanes];

  struct Window {  // lanes that are live: low <= lane < high
    ptrdiff_t low, high;
  };

  static Mask first(ptrdiff_t n) { return clamped(n, lanes); }
  // Lanes i with column + i in [0, width), none if the width is not above 0.
  static Window window(ptrdiff_t width, ptrdiff_t column) { return {-column, width - column}; }
  static Vec zero() { return broadcast(T(0)); }
  static Vec broadcast(T x) {
    Vec r;
    for (int i = 0; i < lanes; ++i) r.v[i] = x;
    return r;
  }
  static Vec load(const T* p) {
    Vec r;
    for (int i = 0; i < lanes; ++i) r.v[i] = p[i];
    return r;
  }
  static Vec load(const T* p, Mask n) {
    Vec r;
    for (int i = 0; i < lanes; ++i) r.v[i] = i < n ? p[i] : T(0);
    return r;
  }
  // Not inlined: kernels unroll it many times, and only at the borders.
  static __attribute__((noinline)) Vec load(const T* p, Window w) {
    Vec r;
    for (int i = 0; i < lanes; ++i) r.v[i] = i >= w.low && i < w.high ? p[i] : T(0);
    return r;
  }
  // row[column .. column + lanes), zero where that is outside [0, width).
  static Vec load_window(const T* row, ptrdiff_t width, ptrdiff_t column) {
    Vec r;
    for (int i = 0; i < lanes; ++i) r.v[i] = column + i >= 0 && column + i < width ? row[column + i] : T(0);
    return r;
  }
  void store(T* p) const {
    for (int i = 0; i < lanes; ++i) p[i] = v[i];
  }
  void stream(T* p) const { store(p); }
  void store(T* p, Mask n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
};

#define FASTCONV_LANEWISE(name, expression)   \
  template <class T>                          \
  inline Vec<T> name(Vec<T> a, Vec<T> b) {    \
    Vec<T> r;                                 \
    for (int i = 0; i < Vec<T>::lanes; ++i) { \
      const T x = a.v[i], y = b.v[i];         \
      r.v[i] = expression;                    \
    }                                         \
    return r;                                 \
  }
FASTCONV_LANEWISE(add, x + y)
FASTCONV_LANEWISE(sub, x - y)
FASTCONV_LANEWISE(mul, x* y)
FASTCONV_LANEWISE(div, x / y)
FASTCONV_LANEWISE(max, x > y ? x : y)  // y if either is NaN, as x86 has it
FASTCONV_LANEWISE(min, x < y ? x : y)
#undef FASTCONV_LANEWISE

// The value is to stay in a register: GCC would rather load it again for each of its uses, as their memory operand.
template <class T>
inline Vec<T> hold(Vec<T> a) {
  return a;
}

template <class T>
inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {  // not std::fma: without hardware for it that is a library call
  Vec<T> r;
  for (int i = 0; i < Vec<T>::lanes; ++i) r.v[i] = a.v[i] * b.v[i] + c.v[i];
  return r;
}
template <class T>
inline Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {  // c - a * b
  Vec<T> r;
  for (int i = 0; i < Vec<T>::lanes; ++i) r.v[i] = c.v[i] - a.v[i] * b.v[i];
  return r;
}
template <class T>
inline Vec<T> round(Vec<T> a) {
  Vec<T> r;
  for (int i = 0; i < Vec<T>::lanes; ++i) r.v[i] = T(::nearbyint(a.v[i]));
  return r;
}
template <class T>
inline Vec<T> scale2(Vec<T> a, Vec<T> n) {  // a * 2^n, n integer-valued
  Vec<T> r;
  for (int i = 0; i < Vec<T>::lanes; ++i) r.v[i] = T(::ldexp(a.v[i], int(n.v[i])));
  return r;
}

// Before other threads are told of what was streamed.
inline void order_streams() {}

// A vector of doubles from and to either element type.
template <class T>
inline Vec<double> load_double(const T* p) {
  Vec<double> r;
  for (int i = 0; i < Vec<double>::lanes; ++i) r.v[i] = double(p[i]);
  return r;
}
template <class T>
inline void store_double(Vec<double> a, T* p) {
  for (int i = 0; i < Vec<double>::lanes; ++i) p[i] = T(a.v[i]);
}

// out[c] = column c of the lanes x lanes block at `from`.
template <class T>
inline void transpose_load(const T* from, ptrdiff_t ld, Vec<T> (&out)[Vec<T>::lanes]) {
  for (int c = 0; c < Vec<T>::lanes; ++c)
    for (int r = 0; r < Vec<T>::lanes; ++r) out[c].v[r] = from[r * ld + c];
}

// even[i] = (a, b)[2i], odd[i] = (a, b)[2i + 1]
template <class T>
inline void split_even_odd(Vec<T> a, Vec<T> b, Vec<T>& even, Vec<T>& odd) {
  constexpr int half = Vec<T>::lanes / 2;
  for (int i = 0; i < half; ++i) {
    even.v[i] = a.v[2 * i];
    odd.v[i] = a.v[2 * i + 1];
    even.v[i + half] = b.v[2 * i];
    odd.v[i + half] = b.v[2 * i + 1];
  }
}

// Half a vector, where there is one and it is worth having.
template <class T>
using Narrow = T;

// Every lane takes its upper neighbour's value; the last lane takes `next`.
template <class T>
inline Vec<T> shift_in(Vec<T> a, T next) {
  Vec<T> r;
  for (int i = 0; i + 1 < Vec<T>::lanes; ++i) r.v[i] = a.v[i + 1];
  r.v[Vec<T>::lanes - 1] = next;
  return r;
}

// Tiles: a few sums more than the baseline has registers cost less here than reloading the operands.
inline constexpr int tile_pixel_rows = 4, tile_pixel_vectors = 2, tile_short_rows = 4;
inline constexpr int tile_unroll = 1;
inline constexpr int tile_channel_pixels = 4, tile_channel_vectors = 2;
inline constexpr int run_vectors = 2, run_part = 340;
// Baseline x86-64, one thread, float32: what the cost estimates compare with.
inline constexpr double nominal_gflops = 12.0;
inline constexpr int mask_registers = 0;  // vector registers that a mask takes
inline constexpr int vector_registers = 16;

}  // namespace
}  // namespace fastconv::scalar
