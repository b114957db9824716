// Depthwise convolution of any stride and dilation, from a padded copy of the channel (gemm/padded_strip.hpp) and a
// list of tap offsets: one load per product. The last tile is moved back over its neighbour, as in depthwise-inl.hpp.
#pragma once

#include "kernels/epilogue-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

template <class T, int M>
void depthwise_strip_tile(const DepthwiseStrip<T>& d, ptrdiff_t row, ptrdiff_t rows) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  const V bias = V::broadcast(d.epilogue->bias ? *d.epilogue->bias : T(0));
  const V low = V::broadcast(d.epilogue->low), high = V::broadcast(d.epilogue->high);
  const auto live = V::first(int(d.columns < L ? d.columns : L));
  const ptrdiff_t last = d.columns < L ? 0 : d.columns - L;
  for (ptrdiff_t q = 0;; q = q + L < last ? q + L : last) {
    V sum[M];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) sum[m] = V::zero();
    for (ptrdiff_t t = 0; t < d.taps; ++t) {
      const V w = V::broadcast(d.weights[t]);
      const T* x = d.strip + row * d.row_step + d.offset[t] + q;
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) sum[m] = fma(w, V::load(x + m * d.row_step), sum[m]);
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      if (m >= rows) break;
      T* to = d.out + (row + m) * d.columns + q;
      const V v = finish(sum[m], bias, low, high);
      if (d.columns < L)
        v.store(to, live);
      else
        v.store(to);
    }
    if (q >= last) break;
  }
}

template <class T>
void depthwise_strip(const DepthwiseStrip<T>& d) {
  constexpr ptrdiff_t least = depthwise_strip_rows, most = 2 * least;
  for (ptrdiff_t row = 0; row < d.rows;) {
    const bool large = d.rows >= most && d.rows - row > least;
    const ptrdiff_t rows = large ? most : d.rows < least ? d.rows : least;
    if (row + rows > d.rows) row = d.rows - rows;
    (large ? depthwise_strip_tile<T, most> : depthwise_strip_tile<T, least>)(d, row, rows);
    row += rows;
  }
  if (d.epilogue->kind != ActivationKind::clip)
    activate(d.out, d.rows * d.columns, d.epilogue->kind, d.epilogue->slope);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
