// Depthwise convolution with channels as lanes, for NHWC: a run of pixels of one row, all taps that lie inside the
// image for all of them, no copy, any stride and dilation.
//
// In the inside of rows, for 3, 5 and 7 columns of taps, a vector of pixels once loaded serves all the outputs that see
// it: a caller's array is seldom aligned, and a load across two lines takes as long as two FMAs. (3x3 with a load for
// each product: 29 % of peak, this way 60.) Elsewhere each product loads its pixels, and few pixels take several
// vectors of channels at a time, so that there are always sums enough to hide the FMA's latency.
#pragma once

#include "kernels/epilogue-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// One vector of channels, or the live lanes of one, at a time.
template <bool Tail, class T>
struct ChannelVector {
  using V = Vec<T>;
  typename V::Mask mask;
  ptrdiff_t channel;
  V load(const T* from) const { return Tail ? V::load(from, mask) : V::load(from); }
  void store(V v, T* to) const { Tail ? v.store(to, mask) : v.store(to); }
};

template <class T, int N>
struct PixelSums {
  Vec<T> of[N];
};

template <bool Tail, int PX, class T>
[[gnu::always_inline]] inline PixelSums<T, PX> start_sums(const DepthwisePixels<T>& d,
                                                          const ChannelVector<Tail, T>& at) {
  PixelSums<T, PX> sums;
  const Vec<T> start = d.epilogue->bias ? at.load(d.epilogue->bias + at.channel) : Vec<T>::zero();
#pragma GCC unroll 8
  for (int i = 0; i < PX; ++i) sums.of[i] = start;
  return sums;
}

template <bool Tail, int PX, class T>
[[gnu::always_inline]] inline void store_sums(const DepthwisePixels<T>& d, const ChannelVector<Tail, T>& at, T* out,
                                              const PixelSums<T, PX>& sums) {
  const Vec<T> low = Vec<T>::broadcast(d.epilogue->low), high = Vec<T>::broadcast(d.epilogue->high);
  const bool clipped = clips(*d.epilogue);
#pragma GCC unroll 8
  for (int i = 0; i < PX; ++i, out += d.out_step) at.store(clipped ? clip(sums.of[i], low, high) : sums.of[i], out);
}

// Pixels that follow one another with S columns of taps, undilated.
template <int PX, int S, int Stride, bool Tail, class T>
[[gnu::always_inline]] inline void inner_pixels(const DepthwisePixels<T>& d, ptrdiff_t first,
                                                const ChannelVector<Tail, T>& at) {
  PixelSums<T, PX> sums = start_sums<Tail, PX>(d, at);
  const T *x_row = d.x + first * d.pixel_step + at.channel, *w_row = d.weights + at.channel;
  const ptrdiff_t step = d.column_step;
  for (ptrdiff_t r = 0; r < d.rows; ++r, x_row += d.row_step, w_row += d.weight_row) {
    Vec<T> w[S];
#pragma GCC unroll 7
    for (int s = 0; s < S; ++s) w[s] = at.load(w_row + s * d.weight_column);
    const T* x = x_row;
#pragma GCC unroll 32
    for (int i = 0; i < (PX - 1) * Stride + S; ++i, x += step) {
      const Vec<T> v = at.load(x);
#pragma GCC unroll 7
      for (int s = i % Stride; s < S; s += Stride)
        if (i >= s && (i - s) / Stride < PX) sums.of[(i - s) / Stride] = fma(w[s], v, sums.of[(i - s) / Stride]);
    }
  }
  store_sums<Tail, PX>(d, at, d.out + first * d.out_step + at.channel, sums);
}

// Any taps, one pixel.
template <int NV, bool Tail, class T>
[[gnu::always_inline]] inline void one_pixel(const DepthwisePixels<T>& d, ptrdiff_t pixel,
                                             const ChannelVector<Tail, T> (&at)[NV]) {
  PixelSums<T, 1> sums[NV];
#pragma GCC unroll 4
  for (int j = 0; j < NV; ++j) sums[j] = start_sums<Tail, 1>(d, at[j]);
  for (ptrdiff_t r = 0; r < d.rows; ++r) {
    const T* x = d.x + pixel * d.pixel_step + r * d.row_step;
    const T* w = d.weights + r * d.weight_row;
    for (ptrdiff_t s = 0; s < d.columns; ++s, x += d.column_step, w += d.weight_column)
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j)
        sums[j].of[0] = fma(at[j].load(w + at[j].channel), at[j].load(x + at[j].channel), sums[j].of[0]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < NV; ++j) store_sums<Tail, 1>(d, at[j], d.out + pixel * d.out_step + at[j].channel, sums[j]);
}

template <class T>
void single_pixels(const DepthwisePixels<T>& d) {
  constexpr int L = Vec<T>::lanes;
  const auto all = Vec<T>::first(L);
  for (ptrdiff_t pixel = 0; pixel < d.pixels; ++pixel) {
    ptrdiff_t c = 0;
    for (; c + 4 * L <= d.channels; c += 4 * L) {
      const ChannelVector<false, T> four[] = {{all, c}, {all, c + L}, {all, c + 2 * L}, {all, c + 3 * L}};
      one_pixel<4, false>(d, pixel, four);
    }
    for (; c < d.channels; c += L) {
      const ptrdiff_t live = d.channels - c < L ? d.channels - c : L;
      const ChannelVector<true, T> one[] = {{Vec<T>::first(int(live)), c}};
      one_pixel<1, true>(d, pixel, one);
    }
  }
}

template <int PX, int S, int Stride, class T>
void inner_run(const DepthwisePixels<T>& d, ptrdiff_t first) {
  constexpr int L = Vec<T>::lanes;
  ptrdiff_t c = 0;
  for (; c + L <= d.channels; c += L)
    inner_pixels<PX, S, Stride>(d, first, ChannelVector<false, T>{Vec<T>::first(L), c});
  if (c < d.channels)
    inner_pixels<PX, S, Stride>(d, first, ChannelVector<true, T>{Vec<T>::first(int(d.channels - c)), c});
}

// Runs of eight and what is left; the last run is moved back over its neighbour.
template <int S, int Stride, class T>
void inner_row(const DepthwisePixels<T>& d) {
  constexpr int longest = vector_registers >= 32 || S < 7 ? 8 : 6;
  if (d.pixels < 4) return single_pixels(d);
  ptrdiff_t first = 0;
  for (; first + longest <= d.pixels; first += longest) inner_run<longest, S, Stride>(d, first);
  const ptrdiff_t left = d.pixels - first;
  if (left > 5 && d.pixels >= longest)
    inner_run<longest, S, Stride>(d, d.pixels - longest);
  else if (left == 5)  // the inside of a 7x7 map
    inner_run<5, S, Stride>(d, first);
  else if (left > 0) {
    inner_run<4, S, Stride>(d, d.pixels - 4);
    if (left > 4) inner_run<4, S, Stride>(d, first);
  }
}

template <class T>
void depthwise_pixels(const DepthwisePixels<T>& d) {
  const ptrdiff_t stride = d.pixel_step == d.column_step ? 1 : d.pixel_step == 2 * d.column_step ? 2 : 0;
  switch (stride * 32 + d.columns) {
    case 32 + 3:
      return inner_row<3, 1>(d);
    case 32 + 5:
      return inner_row<5, 1>(d);
    case 32 + 7:
      return inner_row<7, 1>(d);
    case 64 + 3:
      return inner_row<3, 2>(d);
    case 64 + 5:
      return inner_row<5, 2>(d);
    case 64 + 7:
      return inner_row<7, 2>(d);
    default:
      return single_pixels(d);
  }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
