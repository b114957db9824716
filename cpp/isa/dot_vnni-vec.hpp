// AVX-512 VNNI: 32 registers of 16 words, each of four bytes. vpdpbusd multiplies unsigned ones of pixels by signed
// ones of weights and adds all four products to a sum of 32 bits, which wraps around; nothing saturates on the way.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define FASTCONV_ISA dot_vnni

#include "isa/lanes.hpp"

#include "kernels/dot_set.hpp"

namespace fastconv::dot_vnni {
namespace {

constexpr int values_of_word = 4;
constexpr bool keeps_zeros = true;

struct Words {
  static constexpr int lanes = 16;
  __m512i v;

  static __mmask16 first(ptrdiff_t n) { return __mmask16((1u << clamped(n, lanes)) - 1u); }
  static Words broadcast(int32_t x) { return {_mm512_set1_epi32(x)}; }
  static Words load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
  static Words load(const int32_t* p, ptrdiff_t n) { return {_mm512_maskz_loadu_epi32(first(n), p)}; }
  void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
  void store(int32_t* p, ptrdiff_t n) const { _mm512_mask_storeu_epi32(p, first(n), v); }
};

inline Words dot(Words pixels, Words weights, Words sum) { return {_mm512_dpbusd_epi32(sum.v, pixels.v, weights.v)}; }
inline Words times(Words a, Words b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline Words plus(Words a, Words b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Words less(Words a, Words b) { return {_mm512_sub_epi32(a.v, b.v)}; }

// The integer that a double is to be rounded to, in its low 32 bits: from 2^52 on doubles are whole numbers.
template <bool Bounded>
inline __m512i rounded_half(__m256i sum, const DotScale& s) {
  const __m512d whole = _mm512_set1_pd(0x1.8p52), scale = _mm512_set1_pd(s.scale);
  const __m512d x = _mm512_cvtepi32_pd(sum);
  if (!Bounded) return _mm512_castpd_si512(_mm512_fmadd_pd(x, scale, whole));
  const __m512d low = _mm512_set1_pd(s.low - s.zero), high = _mm512_set1_pd(s.high - s.zero);
  const __m512d within = _mm512_min_pd(_mm512_max_pd(_mm512_mul_pd(x, scale), low), high);
  return _mm512_castpd_si512(_mm512_add_pd(within, whole));
}

template <bool Bounded>
inline Words scaled(Words sum, const DotScale& s) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i low = rounded_half<Bounded>(_mm512_castsi512_si256(sum.v), s);
  const __m512i high = rounded_half<Bounded>(_mm512_extracti64x4_epi64(sum.v, 1), s);
  return {_mm512_add_epi32(_mm512_permutex2var_epi32(low, even, high), _mm512_set1_epi32(s.zero))};
}

// Numbers that are within 8 bits, or if not Bounded become so by saturation.
template <bool Bounded>
inline void store_bytes(Words y, const DotScale& s, uint8_t* to, int n) {
  if (!Bounded) {
    const __m128i bytes =
        s.low < 0 ? _mm512_cvtsepi32_epi8(y.v) : _mm512_cvtusepi32_epi8(_mm512_max_epi32(y.v, _mm512_setzero_si512()));
    if (n == Words::lanes)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    else
      _mm_mask_storeu_epi8(to, Words::first(n), bytes);
    return;
  }
  _mm_mask_storeu_epi8(to, Words::first(n), _mm512_cvtepi32_epi8(y.v));
}

// Four vectors of sums at a time, by packs that saturate: those that narrow a single vector cost twice as much.
constexpr int scaled_together = 4;

inline void store_together(const Words (&sum)[4], const DotScale& s, uint8_t* to) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  __m512i y[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    y[i] = _mm512_permutex2var_epi32(rounded_half<false>(_mm512_castsi512_si256(sum[i].v), s), even,
                                     rounded_half<false>(_mm512_extracti64x4_epi64(sum[i].v, 1), s));
  const __m512i zero = _mm512_set1_epi16(short(s.zero));
  const __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(y[0], y[1]), zero);
  const __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(y[2], y[3]), zero);
  const __m512i bytes = s.low < 0 ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b);
  const __m512i places = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_storeu_si512(to, _mm512_permutexvar_epi32(places, bytes));
}

// Four rows of 16 bytes, a register's lane each, into 16 words: first 4 x 4 transposed in units of four bytes, then in
// each lane byte by byte. About 13 bytes a cycle.
inline __m512i interleaved(const DotPack& p, ptrdiff_t at, __mmask16 live) {
  const __m512i places = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  __m512i all = _mm512_castsi128_si512(_mm_maskz_loadu_epi8(live, p.from[0] + at));
  all = _mm512_inserti32x4(all, _mm_maskz_loadu_epi8(live, p.from[1] + at), 1);
  all = _mm512_inserti32x4(all, _mm_maskz_loadu_epi8(live, p.from[2] + at), 2);
  all = _mm512_inserti32x4(all, _mm_maskz_loadu_epi8(live, p.from[3] + at), 3);
  return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(places, all), bytes);
}

void pack(const DotPack& p) {
  const __m512i shift = _mm512_set1_epi8(p.is_signed ? char(0x80) : char(0));  // signed bytes become unsigned ones
  ptrdiff_t j = 0;
  for (; j + 16 <= p.columns; j += 16)
    _mm512_storeu_si512(p.to + j, _mm512_xor_si512(interleaved(p, j, 0xffff), shift));
  if (j == p.columns) return;
  const __mmask16 live = Words::first(int(p.columns - j));
  _mm512_mask_storeu_epi32(p.to + j, live, _mm512_xor_si512(interleaved(p, j, live), shift));
}

// 28 sums, 2 words of pixels, a broadcast.
constexpr int tile_rows = 14;
constexpr bool holds_tile(int m, int nv) { return m * nv <= (nv <= 2 ? 28 : 24); }

}  // namespace
}  // namespace fastconv::dot_vnni
