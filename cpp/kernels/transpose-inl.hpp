// Blocks of lanes x lanes values transposed in registers: weights on the way into their panels, and sums with channels as
// lanes on the way back to NCHW, bias and activation applied.
#pragma once

#include "kernels/epilogue-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// Through a scratch block, so that neither rows nor columns past the end are read. (A scalar loop takes 5-10 times as long:
// 3 % of a 1024 x 1024 x 1024 product.)
template <class T>
void transpose_pack(const TransposePack<T>& pack) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  T block[L * L];
  for (ptrdiff_t r0 = 0; r0 < pack.stored; r0 += L) {
    const ptrdiff_t live_rows = pack.rows - r0;
    const auto stored = V::first(int(pack.stored - r0 < L ? pack.stored - r0 : L));
    for (ptrdiff_t c0 = 0; c0 < pack.columns; c0 += L) {
      const int columns = int(pack.columns - c0 < L ? pack.columns - c0 : L);
      const auto live = V::first(columns);
      for (int r = 0; r < L; ++r)
        (r < live_rows ? V::load(pack.from + (r0 + r) * pack.from_ld + c0, live) : V::zero()).store(block + r * L);
      V column[L];
      transpose_load(block, L, column);
      T* to = pack.to + c0 * pack.to_ld + r0;
#pragma GCC unroll 16
      for (int c = 0; c < L; ++c) {
        if (c == columns) break;
        column[c].store(to + c * pack.to_ld, stored);
      }
    }
  }
}

template <class T>
void transpose_store(const TransposeStore<T>& block) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  const Epilogue<T>& epilogue = *block.epilogue;
  const V low = V::broadcast(epilogue.low), high = V::broadcast(epilogue.high);
  for (ptrdiff_t c0 = 0; c0 < block.channels; c0 += L) {
    const int channels = int(block.channels - c0 < L ? block.channels - c0 : L);
    for (ptrdiff_t p0 = 0; p0 < block.pixels; p0 += L) {
      const int pixels = int(block.pixels - p0 < L ? block.pixels - p0 : L);
      const auto live = V::first(pixels);
      V column[L];
      transpose_load(block.from + p0 * block.from_ld + c0, block.from_ld, column);
      T* to = block.to + c0 * block.to_ld + p0;
#pragma GCC unroll 16
      for (int c = 0; c < L; ++c) {
        if (c == channels) break;
        const V bias = epilogue.bias ? V::broadcast(epilogue.bias[c0 + c]) : V::zero();
        const V v = finish(column[c], bias, low, high);
        if (pixels == L)
          v.store(to + c * block.to_ld);
        else
          v.store(to + c * block.to_ld, live);
      }
    }
    if (epilogue.kind != ActivationKind::clip)
      for (int c = 0; c < channels; ++c)
        activate(block.to + (c0 + c) * block.to_ld, block.pixels, epilogue.kind, epilogue.slope);
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
