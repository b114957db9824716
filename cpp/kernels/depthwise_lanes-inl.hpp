// Depthwise convolution with channels as lanes, for NHWC and kernels of 3, 5 and 7 columns: whole rows of
// outputs, borders included, nothing copied.
//
// A vector of pixels once loaded serves all the outputs of a run that see it, at stride 1 in two rows of outputs: a
// caller's array is seldom aligned, and a load across two lines takes as long as two FMAs. (3x3 with a load for each
// product: 29 % of peak; one row of outputs at a time: 38-60.) Columns outside of the image are passed over where a run
// meets them, by a branch that goes the same way for all rows and channels. (On 7x7 maps, 7x7 kernels: most pixels.)
#pragma once

#include "kernels/depthwise_pixel-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// PX outputs of a run in each of Rows rows, at one vector of channels.
template <int PX, int S, int Stride, int Rows, bool Tail, class T>
struct DepthwiseRun {
  using V = Vec<T>;
  static constexpr int columns = (PX - 1) * Stride + S;

  const DepthwiseLanes<T>& d;
  ChannelVector<Tail, T> at;
  ptrdiff_t begin, end;  // of the run's columns, those inside of the image
  V sums[Rows][PX];

  // One row of pixels meets row `tap` of the taps for the first row of outputs and the one before for the second.
  template <bool First, bool Second>
  [[gnu::always_inline]] void add(const T* x, const T* w) {
    V weights[Rows][S];
#pragma GCC unroll 8
    for (int s = 0; s < S; ++s) {
      if constexpr (First) weights[0][s] = at.load(w + s * d.weight_column);
      if constexpr (Second) weights[1][s] = at.load(w - d.weight_row + s * d.weight_column);
    }
#pragma GCC unroll 32
    for (int i = 0; i < columns; ++i) {
      if (i < begin || i >= end) continue;
      const V v = at.load(x + i * d.pixel_step);
#pragma GCC unroll 8
      for (int s = i % Stride; s < S; s += Stride) {
        if (i < s || (i - s) / Stride >= PX) continue;
        if constexpr (First) sums[0][(i - s) / Stride] = fma(weights[0][s], v, sums[0][(i - s) / Stride]);
        if constexpr (Second) sums[1][(i - s) / Stride] = fma(weights[1][s], v, sums[1][(i - s) / Stride]);
      }
    }
  }

  [[gnu::always_inline]] void run(ptrdiff_t first) {
    const V start = at.start(*d.epilogue);
#pragma GCC unroll 2
    for (auto& row : sums)
#pragma GCC unroll 8
      for (V& sum : row) sum = start;
    const T* x = d.x + (first * Stride - d.pad_left) * d.pixel_step;
    const T* w = d.weights + d.first_tap * d.weight_row;
    ptrdiff_t rows = d.image_rows, tap = d.first_tap;
    const auto next = [&] {
      --rows;
      ++tap;
      x += d.row_step;
      w += d.weight_row;
    };
    if constexpr (Rows == 1) {
      while (rows > 0) {
        add<true, false>(x, w);
        next();
      }
    } else {
      if (tap == 0 && rows > 0) {
        add<true, false>(x, w);
        next();
      }
      while (rows > 0 && tap < d.taps) {
        add<true, true>(x, w);
        next();
      }
      if (rows > 0) add<false, true>(x, w);
    }
    const V low = V::broadcast(d.epilogue->low), high = V::broadcast(d.epilogue->high);
    const bool clipped = clips(*d.epilogue);
#pragma GCC unroll 2
    for (int r = 0; r < Rows; ++r) {
      T* const out = d.out + first * d.out_step + r * d.out_row;
#pragma GCC unroll 8
      for (int q = 0; q < PX; ++q) at.store(clipped ? clip(sums[r][q], low, high) : sums[r][q], out + q * d.out_step);
    }
  }
};

template <int PX, int S, int Stride, int Rows, class T>
void depthwise_run(const DepthwiseLanes<T>& d, ptrdiff_t first) {
  constexpr int L = Vec<T>::lanes;
  const ptrdiff_t column = first * Stride - d.pad_left, begin = -column, end = d.W - column;
  ptrdiff_t c = 0;
  for (; c + L <= d.channels; c += L)
    DepthwiseRun<PX, S, Stride, Rows, false, T>{d, {Vec<T>::first(L), c}, begin, end, {}}.run(first);
  if (c < d.channels)
    DepthwiseRun<PX, S, Stride, Rows, true, T>{d, {Vec<T>::first(int(d.channels - c)), c}, begin, end, {}}.run(first);
}

// Runs of seven, as maps of 7, 14, 28, 56 and 112 pixels have them; the last one is moved back over its neighbour.
template <int S, int Stride, int Rows, class T>
void depthwise_runs(const DepthwiseLanes<T>& d) {
  ptrdiff_t first = 0;
  for (; first + 7 <= d.pixels; first += 7) depthwise_run<7, S, Stride, Rows>(d, first);
  const ptrdiff_t left = d.pixels - first;
  if (left > 4 && d.pixels >= 7) return depthwise_run<7, S, Stride, Rows>(d, d.pixels - 7);
  if (left > 0 && d.pixels >= 4) {
    if (left > 4) depthwise_run<4, S, Stride, Rows>(d, first);
    return depthwise_run<4, S, Stride, Rows>(d, d.pixels - 4);
  }
  for (; first < d.pixels; ++first) depthwise_run<1, S, Stride, Rows>(d, first);
}

template <int S, class T>
void depthwise_lanes_of(const DepthwiseLanes<T>& d) {
  if (d.stride == 2) return depthwise_runs<S, 2, 1>(d);
  if constexpr (vector_registers >= 32)
    if (d.out_rows == 2) return depthwise_runs<S, 1, 2>(d);
  depthwise_runs<S, 1, 1>(d);
}

template <class T>
void depthwise_lanes(const DepthwiseLanes<T>& d) {
  switch (d.columns) {
    case 3:
      return depthwise_lanes_of<3>(d);
    case 5:
      return depthwise_lanes_of<5>(d);
    default:
      return depthwise_lanes_of<7>(d);
  }
}

template <class T>
constexpr LaneKernels<T> depthwise_lanes_table() {
  return {vector_registers >= 32 ? 2 : 1, depthwise_lanes<T>, depthwise_pixel<T>};
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
