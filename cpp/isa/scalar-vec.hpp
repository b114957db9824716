// Portable vectors: 16 bytes of GCC's and clang's vector extension, which they turn into whatever the target's baseline
// has (SSE2, NEON, plain scalars). The same interface, operation by operation, as avx2-vec.hpp and avx512-vec.hpp.
// (With arrays and loops over lanes in their place the kernels took twice as long to compile: register tiles of
// floats 6.6 s, not 3.3.)
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
  typedef T Lanes __attribute__((vector_size(16)));
  typedef T Unaligned __attribute__((vector_size(16), aligned(sizeof(T)), may_alias));
  Lanes v;

  struct Window {  // lanes that are live: low <= lane < high
    ptrdiff_t low, high;
  };

  static Mask first(ptrdiff_t n) { return clamped(n, lanes); }
  // Lanes i with column + i in [0, width), none if the width is not above 0.
  static Window window(ptrdiff_t width, ptrdiff_t column) { return {-column, width - column}; }
  static Vec zero() { return {Lanes{}}; }
  static Vec broadcast(T x) { return {x - Lanes{}}; }  // less zero: minus zero, too, stays what it is
  static Vec load(const T* p) { return {*reinterpret_cast<const Unaligned*>(p)}; }
  static Vec load(const T* p, Mask n) {
    Vec r{};
    for (int i = 0; i < lanes; ++i) r.v[i] = i < n ? p[i] : T(0);
    return r;
  }
  // Not inlined: kernels unroll it many times, and only at the borders.
  static __attribute__((noinline)) Vec load(const T* p, Window w) {
    Vec r{};
    for (int i = 0; i < lanes; ++i) r.v[i] = i >= w.low && i < w.high ? p[i] : T(0);
    return r;
  }
  // row[column .. column + lanes), zero where that is outside [0, width).
  static Vec load_window(const T* row, ptrdiff_t width, ptrdiff_t column) {
    Vec r{};
    for (int i = 0; i < lanes; ++i) r.v[i] = column + i >= 0 && column + i < width ? row[column + i] : T(0);
    return r;
  }
  void store(T* p) const { *reinterpret_cast<Unaligned*>(p) = v; }
  void stream(T* p) const { store(p); }
  void store(T* p, Mask n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
};

template <class T>
inline Vec<T> add(Vec<T> a, Vec<T> b) {
  return {a.v + b.v};
}
template <class T>
inline Vec<T> sub(Vec<T> a, Vec<T> b) {
  return {a.v - b.v};
}
template <class T>
inline Vec<T> mul(Vec<T> a, Vec<T> b) {
  return {a.v * b.v};
}
template <class T>
inline Vec<T> div(Vec<T> a, Vec<T> b) {
  return {a.v / b.v};
}
template <class T>
inline Vec<T> max(Vec<T> a, Vec<T> b) {  // b if either is NaN, as x86 has it
  return {a.v > b.v ? a.v : b.v};
}
template <class T>
inline Vec<T> min(Vec<T> a, Vec<T> b) {
  return {a.v < b.v ? a.v : b.v};
}

// The value is to stay in a register: GCC would rather load it again for each of its uses, as their memory operand.
template <class T>
inline Vec<T> hold(Vec<T> a) {
  return a;
}

template <class T>
inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {  // not std::fma: without hardware for it that is a library call
  return {a.v * b.v + c.v};
}
template <class T>
inline Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {  // c - a * b
  return {c.v - a.v * b.v};
}
template <class T>
inline Vec<T> round(Vec<T> a) {
  Vec<T> r{};
  for (int i = 0; i < Vec<T>::lanes; ++i) r.v[i] = T(::nearbyint(a.v[i]));
  return r;
}
template <class T>
inline Vec<T> scale2(Vec<T> a, Vec<T> n) {  // a * 2^n, n integer-valued
  Vec<T> r{};
  for (int i = 0; i < Vec<T>::lanes; ++i) r.v[i] = T(::ldexp(a.v[i], int(n.v[i])));
  return r;
}

// Before other threads are told of what was streamed.
inline void order_streams() {}

// A vector of doubles from and to either element type.
template <class T>
inline Vec<double> load_double(const T* p) {
  Vec<double> r{};
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
  const auto a = Vec<T>::load(from).v, b = Vec<T>::load(from + ld).v;
  if constexpr (Vec<T>::lanes == 4) {
    const auto c = Vec<T>::load(from + 2 * ld).v, d = Vec<T>::load(from + 3 * ld).v;
    const auto ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const auto cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    out[0].v = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    out[1].v = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    out[2].v = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    out[3].v = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
  } else {
    out[0].v = __builtin_shufflevector(a, b, 0, 2);
    out[1].v = __builtin_shufflevector(a, b, 1, 3);
  }
}

// even[i] = (a, b)[2i], odd[i] = (a, b)[2i + 1]
template <class T>
inline void split_even_odd(Vec<T> a, Vec<T> b, Vec<T>& even, Vec<T>& odd) {
  if constexpr (Vec<T>::lanes == 4) {
    even.v = __builtin_shufflevector(a.v, b.v, 0, 2, 4, 6);
    odd.v = __builtin_shufflevector(a.v, b.v, 1, 3, 5, 7);
  } else {
    even.v = __builtin_shufflevector(a.v, b.v, 0, 2);
    odd.v = __builtin_shufflevector(a.v, b.v, 1, 3);
  }
}

// Half a vector, where there is one and it is worth having.
template <class T>
using Narrow = T;

// Every lane takes its upper neighbour's value; the last lane takes `next`.
template <class T>
inline Vec<T> shift_in(Vec<T> a, T next) {
  const Vec<T> last = Vec<T>::broadcast(next);
  if constexpr (Vec<T>::lanes == 4)
    return {__builtin_shufflevector(a.v, last.v, 1, 2, 3, 4)};
  else
    return {__builtin_shufflevector(a.v, last.v, 1, 2)};
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
