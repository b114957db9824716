// AVX-512 F, BW, DQ, VL: 32 registers of 16 floats. A 14 x 32 tile fills 31 of them: 28 sums, 2 vectors, 1 broadcast.
#pragma once

#include <immintrin.h>
#include <stddef.h>

#define FASTCONV_ISA avx512

#include "isa/lanes.hpp"

namespace fastconv::avx512 {
namespace {

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int lanes = 16;
  using Mask = __mmask16;
  __m512 v;

  static Mask first(ptrdiff_t n) { return Mask((1u << clamped(n, lanes)) - 1u); }
  // Lanes i with column + i in [0, width), none if the width is not above 0.
  using Window = Mask;
  static Window window(ptrdiff_t width, ptrdiff_t column) { return Mask(first(width - column) & ~first(-column)); }
  static Vec zero() { return {_mm512_setzero_ps()}; }
  static Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec load(const float* p, Mask m) { return {_mm512_maskz_loadu_ps(m, p)}; }
  static Vec load_window(const float* row, ptrdiff_t width, ptrdiff_t column) {
    return load(row + column, window(width, column));
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void stream(float* p) const { _mm512_stream_ps(p, v); }  // past the caches; aligned
  void store(float* p, Mask m) const { _mm512_mask_storeu_ps(p, m, v); }
};

template <>
struct Vec<double> {
  static constexpr int lanes = 8;
  using Mask = __mmask8;
  __m512d v;

  static Mask first(ptrdiff_t n) { return Mask((1u << clamped(n, lanes)) - 1u); }
  using Window = Mask;
  static Window window(ptrdiff_t width, ptrdiff_t column) { return Mask(first(width - column) & ~first(-column)); }
  static Vec zero() { return {_mm512_setzero_pd()}; }
  static Vec broadcast(double x) { return {_mm512_set1_pd(x)}; }
  static Vec load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static Vec load(const double* p, Mask m) { return {_mm512_maskz_loadu_pd(m, p)}; }
  static Vec load_window(const double* row, ptrdiff_t width, ptrdiff_t column) {
    return load(row + column, window(width, column));
  }
  void store(double* p) const { _mm512_storeu_pd(p, v); }
  void stream(double* p) const { _mm512_stream_pd(p, v); }
  void store(double* p, Mask m) const { _mm512_mask_storeu_pd(p, m, v); }
};

using F = Vec<float>;
using D = Vec<double>;

// The value is to stay in a register: GCC would rather load it again for each of its uses, as their memory operand.
inline F hold(F a) {
  asm("" : "+v"(a.v));
  return a;
}
inline D hold(D a) {
  asm("" : "+v"(a.v));
  return a;
}

inline F add(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
inline D add(D a, D b) { return {_mm512_add_pd(a.v, b.v)}; }
inline F sub(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline D sub(D a, D b) { return {_mm512_sub_pd(a.v, b.v)}; }
inline F mul(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline D mul(D a, D b) { return {_mm512_mul_pd(a.v, b.v)}; }
inline F div(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
inline D div(D a, D b) { return {_mm512_div_pd(a.v, b.v)}; }
inline F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }  // b if either is NaN
inline D max(D a, D b) { return {_mm512_max_pd(a.v, b.v)}; }
inline F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
inline D min(D a, D b) { return {_mm512_min_pd(a.v, b.v)}; }
inline F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline D fma(D a, D b, D c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
inline F fnma(F a, F b, F c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }  // c - a * b
inline D fnma(D a, D b, D c) { return {_mm512_fnmadd_pd(a.v, b.v, c.v)}; }
inline F round(F a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline D round(D a) { return {_mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline F scale2(F a, F n) { return {_mm512_scalef_ps(a.v, n.v)}; }  // a * 2^n
inline D scale2(D a, D n) { return {_mm512_scalef_pd(a.v, n.v)}; }

// Before other threads are told of what was streamed.
inline void order_streams() { _mm_sfence(); }

// A vector of doubles from and to either element type.
inline D load_double(const float* p) { return {_mm512_cvtps_pd(_mm256_loadu_ps(p))}; }
inline D load_double(const double* p) { return D::load(p); }
inline void store_double(D a, float* p) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(a.v)); }
inline void store_double(D a, double* p) { a.store(p); }

// out[c] = column c of the lanes x lanes block at `from`. Rows are gathered 128 bits at a time by masked broadcasts,
// which run on the load ports; only the transposition inside each 128-bit lane takes shuffles (32 for 16 x 16).
inline void transpose_load(const float* from, ptrdiff_t ld, F (&out)[16]) {
  for (int g = 0; g < 4; ++g) {
    __m512 z[4];
    for (int r = 0; r < 4; ++r) {
      const float* p = from + r * ld + 4 * g;
      z[r] = _mm512_castps128_ps512(_mm_loadu_ps(p));
      z[r] = _mm512_mask_broadcast_f32x4(z[r], 0x00f0, _mm_loadu_ps(p + 4 * ld));
      z[r] = _mm512_mask_broadcast_f32x4(z[r], 0x0f00, _mm_loadu_ps(p + 8 * ld));
      z[r] = _mm512_mask_broadcast_f32x4(z[r], 0xf000, _mm_loadu_ps(p + 12 * ld));
    }
    const __m512d ab_low = _mm512_castps_pd(_mm512_unpacklo_ps(z[0], z[1]));
    const __m512d ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(z[0], z[1]));
    const __m512d cd_low = _mm512_castps_pd(_mm512_unpacklo_ps(z[2], z[3]));
    const __m512d cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(z[2], z[3]));
    out[4 * g + 0].v = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_low, cd_low));
    out[4 * g + 1].v = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_low, cd_low));
    out[4 * g + 2].v = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high));
    out[4 * g + 3].v = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high));
  }
}
inline void transpose_load(const double* from, ptrdiff_t ld, D (&out)[8]) {
  for (int g = 0; g < 4; ++g) {
    __m512d z[2];
    for (int r = 0; r < 2; ++r) {
      const double* p = from + r * ld + 2 * g;
      z[r] = _mm512_castpd128_pd512(_mm_loadu_pd(p));
      z[r] = _mm512_mask_broadcast_f64x2(z[r], 0x0c, _mm_loadu_pd(p + 2 * ld));
      z[r] = _mm512_mask_broadcast_f64x2(z[r], 0x30, _mm_loadu_pd(p + 4 * ld));
      z[r] = _mm512_mask_broadcast_f64x2(z[r], 0xc0, _mm_loadu_pd(p + 6 * ld));
    }
    out[2 * g].v = _mm512_unpacklo_pd(z[0], z[1]);
    out[2 * g + 1].v = _mm512_unpackhi_pd(z[0], z[1]);
  }
}

// even[i] = (a, b)[2i], odd[i] = (a, b)[2i + 1]
inline void split_even_odd(F a, F b, F& even, F& odd) {
  const __m512i e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  even.v = _mm512_permutex2var_ps(a.v, e, b.v);
  odd.v = _mm512_permutex2var_ps(a.v, _mm512_add_epi32(e, _mm512_set1_epi32(1)), b.v);
}
inline void split_even_odd(D a, D b, D& even, D& odd) {
  const __m512i e = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
  even.v = _mm512_permutex2var_pd(a.v, e, b.v);
  odd.v = _mm512_permutex2var_pd(a.v, _mm512_add_epi64(e, _mm512_set1_epi64(1)), b.v);
}

// Half a vector (VL): 7-wide maps fill it better, and an unaligned load crosses a cache line half as often.
template <class T>
struct Narrow {};

template <>
struct Vec<Narrow<float>> {
  static constexpr int lanes = 8;
  using Mask = __mmask8;
  using Window = Mask;
  __m256 v;

  static Mask first(ptrdiff_t n) { return Mask((1u << clamped(n, lanes)) - 1u); }
  static Window window(ptrdiff_t width, ptrdiff_t column) { return Mask(first(width - column) & ~first(-column)); }
  static Vec zero() { return {_mm256_setzero_ps()}; }
  static Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec load(const float* p, Mask m) { return {_mm256_maskz_loadu_ps(m, p)}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(float* p, Mask m) const { _mm256_mask_storeu_ps(p, m, v); }
};

template <>
struct Vec<Narrow<double>> {
  static constexpr int lanes = 4;
  using Mask = __mmask8;
  using Window = Mask;
  __m256d v;

  static Mask first(ptrdiff_t n) { return Mask((1u << clamped(n, lanes)) - 1u); }
  static Window window(ptrdiff_t width, ptrdiff_t column) { return Mask(first(width - column) & ~first(-column)); }
  static Vec zero() { return {_mm256_setzero_pd()}; }
  static Vec broadcast(double x) { return {_mm256_set1_pd(x)}; }
  static Vec load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static Vec load(const double* p, Mask m) { return {_mm256_maskz_loadu_pd(m, p)}; }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
  void store(double* p, Mask m) const { _mm256_mask_storeu_pd(p, m, v); }
};

using HalfF = Vec<Narrow<float>>;
using HalfD = Vec<Narrow<double>>;

inline HalfF add(HalfF a, HalfF b) { return {_mm256_add_ps(a.v, b.v)}; }
inline HalfD add(HalfD a, HalfD b) { return {_mm256_add_pd(a.v, b.v)}; }
inline HalfF max(HalfF a, HalfF b) { return {_mm256_max_ps(a.v, b.v)}; }
inline HalfD max(HalfD a, HalfD b) { return {_mm256_max_pd(a.v, b.v)}; }
inline HalfF min(HalfF a, HalfF b) { return {_mm256_min_ps(a.v, b.v)}; }
inline HalfD min(HalfD a, HalfD b) { return {_mm256_min_pd(a.v, b.v)}; }
inline HalfF fma(HalfF a, HalfF b, HalfF c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline HalfD fma(HalfD a, HalfD b, HalfD c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
inline void split_even_odd(HalfF a, HalfF b, HalfF& even, HalfF& odd) {
  const __m256i e = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
  even.v = _mm256_permutex2var_ps(a.v, e, b.v);
  odd.v = _mm256_permutex2var_ps(a.v, _mm256_add_epi32(e, _mm256_set1_epi32(1)), b.v);
}
inline void split_even_odd(HalfD a, HalfD b, HalfD& even, HalfD& odd) {
  const __m256i e = _mm256_set_epi64x(6, 4, 2, 0);
  even.v = _mm256_permutex2var_pd(a.v, e, b.v);
  odd.v = _mm256_permutex2var_pd(a.v, _mm256_add_epi64(e, _mm256_set1_epi64x(1)), b.v);
}

// Every lane takes its upper neighbour's value, the last one the first of `next`.
inline F shift_in(F a, F next) {
  return {_mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(next.v), _mm512_castps_si512(a.v), 1))};
}
inline D shift_in(D a, D next) {
  return {_mm512_castsi512_pd(_mm512_alignr_epi64(_mm512_castpd_si512(next.v), _mm512_castpd_si512(a.v), 1))};
}
inline HalfF shift_in(HalfF a, HalfF next) {
  return {_mm256_castsi256_ps(_mm256_alignr_epi32(_mm256_castps_si256(next.v), _mm256_castps_si256(a.v), 1))};
}
inline HalfD shift_in(HalfD a, HalfD next) {
  return {_mm256_castsi256_pd(_mm256_alignr_epi64(_mm256_castpd_si256(next.v), _mm256_castpd_si256(a.v), 1))};
}
// Every lane takes its lower neighbour's value, the first one the last of `previous`.
inline F shift_up(F previous, F a) {
  return {_mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(previous.v), 15))};
}
inline D shift_up(D previous, D a) {
  return {_mm512_castsi512_pd(_mm512_alignr_epi64(_mm512_castpd_si512(a.v), _mm512_castpd_si512(previous.v), 7))};
}
inline HalfF shift_up(HalfF previous, HalfF a) {
  return {_mm256_castsi256_ps(_mm256_alignr_epi32(_mm256_castps_si256(a.v), _mm256_castps_si256(previous.v), 7))};
}
inline HalfD shift_up(HalfD previous, HalfD a) {
  return {_mm256_castsi256_pd(_mm256_alignr_epi64(_mm256_castpd_si256(a.v), _mm256_castpd_si256(previous.v), 3))};
}
inline F shift_in(F a, float next) {
  const __m512 down = _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(a.v), 1));
  return {_mm512_mask_broadcastss_ps(down, 0x8000, _mm_set_ss(next))};
}
inline D shift_in(D a, double next) {
  const __m512d down = _mm512_castsi512_pd(_mm512_alignr_epi64(_mm512_castpd_si512(a.v), _mm512_castpd_si512(a.v), 1));
  return {_mm512_mask_broadcastsd_pd(down, 0x80, _mm_set_sd(next))};
}

inline constexpr int tile_pixel_rows = 14, tile_pixel_vectors = 2, tile_short_rows = 8;
inline constexpr int tile_unroll = 2;
inline constexpr int tile_channel_pixels = 14, tile_channel_vectors = 2;
// Panels of 3 vectors suit runs of 7 to 9 pixels (512 channels at 7 x 7: 100 % of peak against 94 with 2, 83 with 4);
// parts are long because weights stream from L2 without loss (512 at 28 x 28: 98 % against 96 with 512, 94 with 256).
inline constexpr int run_vectors = 3, run_part = 1024;
// Zen 4, one thread, float32: what the cost estimates compare with.
inline constexpr double nominal_gflops = 112.0;
inline constexpr int mask_registers = 0;  // vector registers that a mask takes
inline constexpr int vector_registers = 32;

}  // namespace
}  // namespace fastconv::avx512
