// The way back from channel lanes to NCHW: blocks of lanes x lanes values transposed in registers, bias and activation
// applied.
#pragma once

#include <stdint.h>

#include "kernels/epilogue-inl.hpp"
#include "kernels/memory_set.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// Pixels of each channel before the first vector that lies on a line's boundary, so that no store crosses one: outputs
// of NumPy begin 16 bytes behind it. 0 if channels differ, or if it took another vector.
template <class T>
inline ptrdiff_t unaligned_pixels(const TransposeStore<T>& block) {
  constexpr ptrdiff_t L = Vec<T>::lanes, bytes = sizeof(Vec<T>);
  if (block.to_ld * ptrdiff_t(sizeof(T)) % bytes != 0) return 0;
  const ptrdiff_t head = ptrdiff_t(-reinterpret_cast<uintptr_t>(block.to) % bytes / sizeof(T));
  const bool is_free = (block.pixels - head + L - 1) / L < (block.pixels + L - 1) / L;
  return block.past_caches || is_free ? head : 0;
}

template <bool Finish, class T>
void transpose_store_as(const TransposeStore<T>& block) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  const ptrdiff_t head = unaligned_pixels(block);
  const bool is_aligned = reinterpret_cast<uintptr_t>(block.to + head) % sizeof(V) == 0 &&
                          uintptr_t(block.to_ld) * sizeof(T) % sizeof(V) == 0;
  const bool stream = block.past_caches && is_aligned;
  const V low = V::broadcast(Finish ? block.epilogue->low : T(0));
  const V high = V::broadcast(Finish ? block.epilogue->high : T(0));
  for (ptrdiff_t c0 = 0; c0 < block.channels; c0 += L) {
    const int channels = int(block.channels - c0 < L ? block.channels - c0 : L);
    int pixels;
    for (ptrdiff_t p0 = 0; p0 < block.pixels; p0 += pixels) {
      const ptrdiff_t left = block.pixels - p0, most = p0 == 0 && head > 0 ? head : L;
      pixels = int(left < most ? left : most);
      const auto live = V::first(pixels);
      V column[L];
      transpose_load(block.from + p0 * block.from_ld + c0, block.from_ld, column);
      T* to = block.to + c0 * block.to_ld + p0;
#pragma GCC unroll 16
      for (int c = 0; c < L; ++c) {
        if (c == channels) break;
        V v = column[c];
        if constexpr (Finish) {
          const T* const bias = block.epilogue->bias;
          v = finish(v, bias ? V::broadcast(bias[c0 + c]) : V::zero(), low, high);
        }
        if (pixels == L && stream)
          v.stream(to + c * block.to_ld);
        else if (pixels == L)
          v.store(to + c * block.to_ld);
        else
          v.store(to + c * block.to_ld, live);
      }
    }
    if (Finish && block.epilogue->second_pass)
      for (int c = 0; c < channels; ++c) activate(block.to + (c0 + c) * block.to_ld, block.pixels, *block.epilogue);
  }
  if (stream) order_streams();
}

template <class T>
void transpose_store(const TransposeStore<T>& block) {
  block.epilogue ? transpose_store_as<true>(block) : transpose_store_as<false>(block);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
