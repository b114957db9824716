// Portable words, as scalar-vec.hpp has portable vectors. The same interface as dot_avx2-vec.hpp and dot_vnni-vec.hpp.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define FASTCONV_ISA dot_scalar

#include "isa/lanes.hpp"

#include "kernels/dot_pairs-inl.hpp"

namespace fastconv::dot_scalar {
namespace {

struct Words {
  static constexpr int lanes = 4;
  int32_t v[lanes];

  static Words broadcast(int32_t x) {
    Words r;
    for (int i = 0; i < lanes; ++i) r.v[i] = x;
    return r;
  }
  static Words load(const int32_t* p) {
    Words r;
    for (int i = 0; i < lanes; ++i) r.v[i] = p[i];
    return r;
  }
  static Words load(const int32_t* p, ptrdiff_t n) {
    Words r;
    for (int i = 0; i < lanes; ++i) r.v[i] = i < n ? p[i] : 0;
    return r;
  }
  void store(int32_t* p) const {
    for (int i = 0; i < lanes; ++i) p[i] = v[i];
  }
  void store(int32_t* p, ptrdiff_t n) const {
    for (int i = 0; i < clamped(n, lanes); ++i) p[i] = v[i];
  }
};

// Unsigned, where overflow is defined.
inline int32_t wrapped(uint32_t x) { return int32_t(x); }

inline Words dot(Words a, Words b, Words sum) {
  for (int i = 0; i < Words::lanes; ++i) {
    const int low = int16_t(a.v[i]) * int16_t(b.v[i]), high = (a.v[i] >> 16) * (b.v[i] >> 16);
    sum.v[i] = wrapped(uint32_t(sum.v[i]) + uint32_t(low) + uint32_t(high));
  }
  return sum;
}

inline Words times(Words a, Words b) {
  for (int i = 0; i < Words::lanes; ++i) a.v[i] = wrapped(uint32_t(a.v[i]) * uint32_t(b.v[i]));
  return a;
}
inline Words plus(Words a, Words b) {
  for (int i = 0; i < Words::lanes; ++i) a.v[i] = wrapped(uint32_t(a.v[i]) + uint32_t(b.v[i]));
  return a;
}
inline Words less(Words a, Words b) {
  for (int i = 0; i < Words::lanes; ++i) a.v[i] = wrapped(uint32_t(a.v[i]) - uint32_t(b.v[i]));
  return a;
}

template <bool Bounded>
inline Words scaled(Words sum, const DotScale& s) {
  const double whole = 0x1.8p52, low = s.low - s.zero, high = s.high - s.zero;  // see dot_vnni-vec.hpp
  for (int i = 0; i < Words::lanes; ++i) {
    double y = Bounded ? double(sum.v[i]) * double(s.scale) : fma(double(sum.v[i]), double(s.scale), whole) - whole;
    y = y < low ? low : y > high ? high : y;
    sum.v[i] = int32_t(rint(y)) + s.zero;
  }
  return sum;
}

template <bool>
inline void store_bytes(Words y, const DotScale&, uint8_t* to, int n) {
  for (int i = 0; i < n; ++i) to[i] = uint8_t(y.v[i]);
}

constexpr int tile_rows = 4;
constexpr bool holds_tile(int m, int nv) { return m <= tile_rows && nv <= 2; }

}  // namespace
}  // namespace fastconv::dot_scalar
