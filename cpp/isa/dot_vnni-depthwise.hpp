// Depthwise rows for AVX-512 VNNI: words of taps are made in registers from a row's bytes, once for all the output rows
// that look at them, 16 columns at a time. A strip of words would cost more to write than the products.
#pragma once

#include "isa/dot_vnni-vec.hpp"
#include "kernels/dot_scale-inl.hpp"

namespace fastconv::dot_vnni {
namespace {

// Word i holds bytes i * Stride + 4 * TapWord and the next three of a row: first the units of four bytes that each
// lane of 128 bits needs, then its bytes.
template <int Stride, int TapWord>
inline __m512i words_of(__m512i bytes) {
  constexpr int a = TapWord, s = Stride;
  const __m512i units = _mm512_setr_epi32(a, a + 1, a + 2, 0, s + a, s + a + 1, s + a + 2, 0, 2 * s + a, 2 * s + a + 1,
                                          2 * s + a + 2, 0, 3 * s + a, 3 * s + a + 1, 3 * s + a + 2, 0);
  const __m128i lane = _mm_setr_epi8(0, 1, 2, 3, s, s + 1, s + 2, s + 3, 2 * s, 2 * s + 1, 2 * s + 2, 2 * s + 3, 3 * s,
                                     3 * s + 1, 3 * s + 2, 3 * s + 3);
  return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(units, bytes), _mm512_broadcast_i32x4(lane));
}

// The bytes of a row from `column` on, what stands for 0 outside.
struct RowBytes {
  __m512i zeros, shift;
  __mmask64 inside;

  RowBytes(const DotDepthwise& d, ptrdiff_t column) {
    zeros = _mm512_set1_epi8(char(d.zero));
    shift = _mm512_set1_epi8(d.is_signed ? char(0x80) : char(0));
    const ptrdiff_t low = column < 0 ? -column : 0, high = d.W - column;
    inside = high <= 0 || low >= 64 ? 0 : (high >= 64 ? ~0ull : (1ull << high) - 1) & (~0ull << low);
  }
  __m512i load(const uint8_t* from) const {
    return _mm512_xor_si512(_mm512_mask_loadu_epi8(zeros, inside, from), shift);
  }
  __m512i blank() const { return _mm512_xor_si512(zeros, shift); }
};

template <int R, int TapWords, int Stride>
void depthwise(const DotDepthwise& d) {
  constexpr int T = Stride == 1 && R == 3 ? 8 : 4;  // output rows at a time: 8 of 5 rows of taps were no faster
  const bool bounded = d.scale && needs_bounds(*d.scale);
  for (ptrdiff_t q = 0; q < d.Q; q += Words::lanes) {
    const ptrdiff_t column = q * Stride - d.pad_left;
    const RowBytes row(d, column);
    const int live = d.Q - q < Words::lanes ? int(d.Q - q) : Words::lanes;
    for (ptrdiff_t p = 0; p < d.rows; p += T) {
      Words sum[T];
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) sum[t] = Words::broadcast(d.initial);
      const ptrdiff_t top = (d.first_row + p) * Stride - d.pad_top;
#pragma GCC unroll 16
      for (int i = 0; i < (T - 1) * Stride + R; ++i) {
        const ptrdiff_t h = top + i;
        const __m512i bytes = h >= 0 && h < d.H ? row.load(d.image + h * d.W + column) : row.blank();
        const Words first = {words_of<Stride, 0>(bytes)}, second = {words_of<Stride, TapWords - 1>(bytes)};
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
          const int r = i - t * Stride;
          if (r < 0 || r >= R) continue;
          sum[t] = dot(first, Words::broadcast(d.weights[r * TapWords]), sum[t]);
          if (TapWords == 2) sum[t] = dot(second, Words::broadcast(d.weights[r * TapWords + 1]), sum[t]);
        }
      }
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        if (p + t >= d.rows) break;
        const ptrdiff_t at = (p + t) * d.Q + q;
        if (d.scale) {
          uint8_t* const to = static_cast<uint8_t*>(d.to) + at;
          if (bounded)
            store_bytes<true>(scaled<true>(sum[t], *d.scale), *d.scale, to, live);
          else
            store_bytes<false>(scaled<false>(sum[t], *d.scale), *d.scale, to, live);
        } else if (live == Words::lanes) {
          sum[t].store(static_cast<int32_t*>(d.to) + at);
        } else {
          sum[t].store(static_cast<int32_t*>(d.to) + at, live);
        }
      }
    }
  }
}

template <int R>
constexpr void put_depthwise_rows(DotKernels& set) {
  constexpr int at = (R - 3) / 2;
  set.depthwise[0][at][0] = depthwise<R, 1, 1>;
  set.depthwise[0][at][1] = depthwise<R, 2, 1>;
  set.depthwise[1][at][0] = depthwise<R, 1, 2>;
  set.depthwise[1][at][1] = depthwise<R, 2, 2>;
}

constexpr void put_depthwise(DotKernels& set) {
  put_depthwise_rows<3>(set);
  put_depthwise_rows<5>(set);
  put_depthwise_rows<7>(set);
}

}  // namespace
}  // namespace fastconv::dot_vnni
