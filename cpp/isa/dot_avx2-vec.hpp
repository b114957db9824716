// AVX2: 16 registers of 8 words, each of two numbers of 16 bits, which vpmaddwd multiplies and adds.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define FASTCONV_ISA dot_avx2

#include "isa/lanes.hpp"

#include "kernels/dot_pairs-inl.hpp"

namespace fastconv::dot_avx2 {
namespace {

struct Words {
  static constexpr int lanes = 8;
  __m256i v;

  static __m256i first(ptrdiff_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(clamped(n, lanes)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Words broadcast(int32_t x) { return {_mm256_set1_epi32(x)}; }
  static Words load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  static Words load(const int32_t* p, ptrdiff_t n) { return {_mm256_maskload_epi32(p, first(n))}; }
  void store(int32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  void store(int32_t* p, ptrdiff_t n) const { _mm256_maskstore_epi32(p, first(n), v); }
};

inline Words dot(Words a, Words b, Words sum) { return {_mm256_add_epi32(sum.v, _mm256_madd_epi16(a.v, b.v))}; }
inline Words times(Words a, Words b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
inline Words plus(Words a, Words b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline Words less(Words a, Words b) { return {_mm256_sub_epi32(a.v, b.v)}; }

// The integers that products are rounded to: see dot_vnni-vec.hpp.
template <bool Bounded>
inline __m256i rounded_half(__m128i sum, const DotScale& s) {
  const __m256d whole = _mm256_set1_pd(0x1.8p52), scale = _mm256_set1_pd(s.scale);
  const __m256d x = _mm256_cvtepi32_pd(sum);
  if (!Bounded) return _mm256_castpd_si256(_mm256_fmadd_pd(x, scale, whole));
  const __m256d low = _mm256_set1_pd(s.low - s.zero), high = _mm256_set1_pd(s.high - s.zero);
  const __m256d within = _mm256_min_pd(_mm256_max_pd(_mm256_mul_pd(x, scale), low), high);
  return _mm256_castpd_si256(_mm256_add_pd(within, whole));
}

template <bool Bounded>
inline Words scaled(Words sum, const DotScale& s) {
  const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
  const __m256i low = _mm256_permutevar8x32_epi32(rounded_half<Bounded>(_mm256_castsi256_si128(sum.v), s), even);
  const __m256i high = _mm256_permutevar8x32_epi32(rounded_half<Bounded>(_mm256_extracti128_si256(sum.v, 1), s), even);
  const __m256i y = _mm256_add_epi32(_mm256_blend_epi32(low, high, 0xf0), _mm256_set1_epi32(s.zero));
  return {_mm256_min_epi32(_mm256_max_epi32(y, _mm256_set1_epi32(s.low)), _mm256_set1_epi32(s.high))};
}

template <bool>
inline void store_bytes(Words y, const DotScale&, uint8_t* to, int n) {
  const __m256i low = _mm256_and_si256(y.v, _mm256_set1_epi32(255));
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const __m128i bytes = _mm_packus_epi16(words, words);
  if (n == Words::lanes) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes);
    return;
  }
  uint64_t all = uint64_t(_mm_cvtsi128_si64(bytes));
  for (int i = 0; i < n; ++i, all >>= 8) to[i] = uint8_t(all);
}

// 12 sums, 2 words of pixels, a broadcast and a product.
constexpr int tile_rows = 6;
constexpr bool holds_tile(int m, int nv) { return m <= tile_rows && m * nv <= 12 && (nv <= 2 || m * nv + nv <= 14); }

}  // namespace
}  // namespace fastconv::dot_avx2
