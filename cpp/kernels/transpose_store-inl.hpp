// The way back from channel lanes to NCHW: blocks of lanes x lanes values transposed in registers, bias and activation
// applied.
#pragma once

#include "kernels/epilogue-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

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
