// Words of two values of 16 bits each: what is left of bytes when their zero point is taken away. Products of two such
// pairs add up to less than 2^18, so that no instruction's intermediate result can overflow or saturate.
#pragma once

#include "kernels/dot_set.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int values_of_word = 2;
constexpr bool keeps_zeros = false;

template <class Byte>
void pack_pairs(const DotPack& p) {
  const Byte* const a = reinterpret_cast<const Byte*>(p.from[0]);
  const Byte* const b = reinterpret_cast<const Byte*>(p.from[1]);
  const uint32_t zero = uint32_t(p.zero);
  for (ptrdiff_t j = 0; j < p.columns; ++j)
    p.to[j] = int32_t(((uint32_t(a[j]) - zero) & 0xffffu) | (uint32_t(b[j]) - zero) << 16);
}

constexpr void put_depthwise(DotKernels&) {}  // strips serve

constexpr int scaled_together = 1;
template <class Words>
void store_together(const Words (&)[scaled_together], const DotScale&, uint8_t*) {}

void pack(const DotPack& p) { p.is_signed ? pack_pairs<int8_t>(p) : pack_pairs<uint8_t>(p); }

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
