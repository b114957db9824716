// AVX2 + FMA: 16 registers of 8 floats. A 6 x 16 tile fills 15 of them: 12 sums, 2 vectors, 1 broadcast.
#pragma once

#include <immintrin.h>
#include <stddef.h>

#define FASTCONV_ISA avx2

#include "isa/lanes.hpp"

namespace fastconv::avx2 {
namespace {

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int lanes = 8;
  using Mask = __m256i;
  __m256 v;

  static Mask first(ptrdiff_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(clamped(n, lanes)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  // Lanes i with column + i in [0, width), none if the width is not above 0.
  using Window = Mask;
  static Window window(ptrdiff_t width, ptrdiff_t column) {
    return _mm256_andnot_si256(first(-column), first(width - column));
  }
  static Vec zero() { return {_mm256_setzero_ps()}; }
  static Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec load(const float* p, Mask m) { return {_mm256_maskload_ps(p, m)}; }
  static Vec load_window(const float* row, ptrdiff_t width, ptrdiff_t column) {
    if (column >= 0 && column + lanes <= width) return load(row + column);
    return load(row + column, window(width, column));
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void stream(float* p) const { _mm256_stream_ps(p, v); }  // past the caches; aligned
  void store(float* p, Mask m) const { _mm256_maskstore_ps(p, m, v); }
};

template <>
struct Vec<double> {
  static constexpr int lanes = 4;
  using Mask = __m256i;
  __m256d v;

  static Mask first(ptrdiff_t n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
  using Window = Mask;
  static Window window(ptrdiff_t width, ptrdiff_t column) {
    return _mm256_andnot_si256(first(-column), first(width - column));
  }
  static Vec zero() { return {_mm256_setzero_pd()}; }
  static Vec broadcast(double x) { return {_mm256_set1_pd(x)}; }
  static Vec load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static Vec load(const double* p, Mask m) { return {_mm256_maskload_pd(p, m)}; }
  static Vec load_window(const double* row, ptrdiff_t width, ptrdiff_t column) {
    if (column >= 0 && column + lanes <= width) return load(row + column);
    return load(row + column, window(width, column));
  }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
  void stream(double* p) const { _mm256_stream_pd(p, v); }
  void store(double* p, Mask m) const { _mm256_maskstore_pd(p, m, v); }
};

using F = Vec<float>;
using D = Vec<double>;

// The value is to stay in a register: GCC would rather load it again for each of its uses, as their memory operand.
inline F hold(F a) {
  asm("" : "+x"(a.v));
  return a;
}
inline D hold(D a) {
  asm("" : "+x"(a.v));
  return a;
}

inline F add(F a, F b) { return {_mm256_add_ps(a.v, b.v)}; }
inline D add(D a, D b) { return {_mm256_add_pd(a.v, b.v)}; }
inline F sub(F a, F b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline D sub(D a, D b) { return {_mm256_sub_pd(a.v, b.v)}; }
inline F mul(F a, F b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline D mul(D a, D b) { return {_mm256_mul_pd(a.v, b.v)}; }
inline F div(F a, F b) { return {_mm256_div_ps(a.v, b.v)}; }
inline D div(D a, D b) { return {_mm256_div_pd(a.v, b.v)}; }
inline F max(F a, F b) { return {_mm256_max_ps(a.v, b.v)}; }  // b if either is NaN
inline D max(D a, D b) { return {_mm256_max_pd(a.v, b.v)}; }
inline F min(F a, F b) { return {_mm256_min_ps(a.v, b.v)}; }
inline D min(D a, D b) { return {_mm256_min_pd(a.v, b.v)}; }
inline F fma(F a, F b, F c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline D fma(D a, D b, D c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
inline F fnma(F a, F b, F c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }  // c - a * b
inline D fnma(D a, D b, D c) { return {_mm256_fnmadd_pd(a.v, b.v, c.v)}; }
inline F round(F a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline D round(D a) { return {_mm256_round_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// a * 2^n, n integer-valued and 2^n normal: n goes into the exponent's bits.
inline F scale2(F a, F n) {
  const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
  return {_mm256_mul_ps(a.v, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)))};
}
inline D scale2(D a, D n) {
  const __m256i e = _mm256_cvtepi32_epi64(_mm_add_epi32(_mm256_cvtpd_epi32(n.v), _mm_set1_epi32(1023)));
  return {_mm256_mul_pd(a.v, _mm256_castsi256_pd(_mm256_slli_epi64(e, 52)))};
}

// Before other threads are told of what was streamed.
inline void order_streams() { _mm_sfence(); }

// A vector of doubles from and to either element type.
inline D load_double(const float* p) { return {_mm256_cvtps_pd(_mm_loadu_ps(p))}; }
inline D load_double(const double* p) { return D::load(p); }
inline void store_double(D a, float* p) { _mm_storeu_ps(p, _mm256_cvtpd_ps(a.v)); }
inline void store_double(D a, double* p) { a.store(p); }

// out[c] = column c of the lanes x lanes block at `from`: rows gathered 128 bits at a time, then transposed inside
// lanes.
inline void transpose_load(const float* from, ptrdiff_t ld, F (&out)[8]) {
  for (int g = 0; g < 2; ++g) {
    __m256 z[4];
    for (int r = 0; r < 4; ++r) {
      const float* p = from + r * ld + 4 * g;
      z[r] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * ld), 1);
    }
    const __m256d ab_low = _mm256_castps_pd(_mm256_unpacklo_ps(z[0], z[1]));
    const __m256d ab_high = _mm256_castps_pd(_mm256_unpackhi_ps(z[0], z[1]));
    const __m256d cd_low = _mm256_castps_pd(_mm256_unpacklo_ps(z[2], z[3]));
    const __m256d cd_high = _mm256_castps_pd(_mm256_unpackhi_ps(z[2], z[3]));
    out[4 * g + 0].v = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_low, cd_low));
    out[4 * g + 1].v = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_low, cd_low));
    out[4 * g + 2].v = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high));
    out[4 * g + 3].v = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high));
  }
}
inline void transpose_load(const double* from, ptrdiff_t ld, D (&out)[4]) {
  for (int g = 0; g < 2; ++g) {
    __m256d z[2];
    for (int r = 0; r < 2; ++r) {
      const double* p = from + r * ld + 2 * g;
      z[r] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + 2 * ld), 1);
    }
    out[2 * g].v = _mm256_unpacklo_pd(z[0], z[1]);
    out[2 * g + 1].v = _mm256_unpackhi_pd(z[0], z[1]);
  }
}

// even[i] = (a, b)[2i], odd[i] = (a, b)[2i + 1]
inline void split_even_odd(F a, F b, F& even, F& odd) {
  const __m256d e = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0x88));
  const __m256d o = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0xdd));
  even.v = _mm256_castpd_ps(_mm256_permute4x64_pd(e, 0xd8));
  odd.v = _mm256_castpd_ps(_mm256_permute4x64_pd(o, 0xd8));
}
inline void split_even_odd(D a, D b, D& even, D& odd) {
  even.v = _mm256_permute4x64_pd(_mm256_unpacklo_pd(a.v, b.v), 0xd8);
  odd.v = _mm256_permute4x64_pd(_mm256_unpackhi_pd(a.v, b.v), 0xd8);
}

template <class T>
using Narrow = T;

inline F shift_in(F a, float next) {
  const __m256 down = _mm256_permutevar8x32_ps(a.v, _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0));
  return {_mm256_blend_ps(down, _mm256_set1_ps(next), 0x80)};
}
inline D shift_in(D a, double next) {
  return {_mm256_blend_pd(_mm256_permute4x64_pd(a.v, 0x39), _mm256_set1_pd(next), 0x8)};
}

inline constexpr int tile_pixel_rows = 6, tile_pixel_vectors = 2, tile_short_rows = 6;
// 24 instructions for 12 multiply-adds are too many for a core whose sibling is busy: two steps a turn (10-18 %).
inline constexpr int tile_unroll = 2;
inline constexpr int tile_channel_pixels = 6, tile_channel_vectors = 2;
// 4 x 3: runs of 7 and 14 pixels split well (512 channels at 7 x 7: 73 % of peak against 68 with 6 x 2). Parts fit L1:
// with 1024 steps 512 channels at 28 x 28 fall from 89 to 68 %.
inline constexpr int run_vectors = 3, run_part = 340;
// Zen 4, one thread, float32: what the cost estimates compare with.
inline constexpr double nominal_gflops = 112.0;
inline constexpr int mask_registers = 1;  // vector registers that a mask takes
inline constexpr int vector_registers = 16;

}  // namespace
}  // namespace fastconv::avx2
