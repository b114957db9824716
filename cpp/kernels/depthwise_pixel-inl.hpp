// One output of a depthwise convolution with channels as lanes, at any steps: each product loads its pixels and
// weights, and several vectors of channels are taken at a time, so that there are sums enough to hide the FMA's
// latency.
#pragma once

#include "kernels/depthwise_set.hpp"
#include "kernels/epilogue-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// One vector of channels, or the live lanes of one.
template <bool Tail, class T>
struct ChannelVector {
  using V = Vec<T>;
  typename V::Mask mask;
  ptrdiff_t channel;
  V load(const T* from) const { return Tail ? V::load(from + channel, mask) : V::load(from + channel); }
  void store(V v, T* to) const { Tail ? v.store(to + channel, mask) : v.store(to + channel); }
  V start(const Epilogue<T>& e) const { return e.bias ? load(e.bias) : V::zero(); }
};

template <int NV, bool Tail, class T>
[[gnu::always_inline]] inline void pixel_channels(const DepthwisePixel<T>& d, const ChannelVector<Tail, T> (&at)[NV]) {
  Vec<T> sums[NV];
#pragma GCC unroll 4
  for (int j = 0; j < NV; ++j) sums[j] = at[j].start(*d.epilogue);
  for (ptrdiff_t r = 0; r < d.rows; ++r) {
    const T* x = d.x + r * d.row_step;
    const T* w = d.weights + r * d.weight_row;
    for (ptrdiff_t s = 0; s < d.columns; ++s, x += d.column_step, w += d.weight_column)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) sums[j] = fma(at[j].load(w), at[j].load(x), sums[j]);
  }
  const Vec<T> low = Vec<T>::broadcast(d.epilogue->low), high = Vec<T>::broadcast(d.epilogue->high);
#pragma GCC unroll 4
  for (int j = 0; j < NV; ++j) at[j].store(clip(sums[j], low, high), d.out);
}

template <class T>
void depthwise_pixel(const DepthwisePixel<T>& d) {
  constexpr int L = Vec<T>::lanes;
  const auto all = Vec<T>::first(L);
  ptrdiff_t c = 0;
  for (; c + 4 * L <= d.channels; c += 4 * L) {
    const ChannelVector<false, T> four[] = {{all, c}, {all, c + L}, {all, c + 2 * L}, {all, c + 3 * L}};
    pixel_channels<4, false>(d, four);
  }
  for (; c < d.channels; c += L) {
    const ptrdiff_t live = d.channels - c < L ? d.channels - c : L;
    const ChannelVector<true, T> one[] = {{Vec<T>::first(int(live)), c}};
    pixel_channels<1, true>(d, one);
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
