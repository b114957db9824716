// Products of extents, which may be far larger than any memory.
#pragma once

#include <initializer_list>

#include "fastconv/problem.hpp"

namespace fastconv {

inline constexpr Extent largest_extent = Extent{1} << 40;  // so that sums and products of two cannot overflow

// Whether a * b * ... fits 2^62: one bit is spare for sums of two sizes.
inline bool product_fits(std::initializer_list<Extent> factors) {
  Extent product = 1;
  for (Extent factor : factors)
    if (__builtin_mul_overflow(product, factor, &product) || product > (Extent{1} << 62)) return false;
  return true;
}

}  // namespace fastconv
