// Grouped convolution with three rows of taps, in place, pixels as lanes, for few channels per group: a tile is M
// output rows of one vector for one or two filters of a group, so that a vector of pixels, once loaded, serves up to
// six products. Tiles, masks and missing rows are those of depthwise-inl.hpp.
#pragma once

#include "kernels/depthwise-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int grouped_rows_of_taps = 3;

// Filters of a tile: two where the registers hold their sums, their weights and the pixels.
template <int Stride>
constexpr int most_tile_filters = vector_registers >= 32 || Stride == 1 ? 2 : 1;

template <class V, int M, int F>
struct GroupSums {
  V of[F][M];
};

// One column of taps (two neighbouring ones at stride 2, or the last alone) of one channel, for F filters. Weights lie
// as w[s][f][r].
template <int Stride, int Columns, Border border, bool Masked, class V, int M, int F, class T>
[[gnu::always_inline]] inline void add_group_columns(GroupSums<V, M, F>& sums, const DepthwisePlace<V, T>& at,
                                                     const T* x, const Windows<V>& windows, ptrdiff_t s,
                                                     const T* weights) {
  constexpr int R = grouped_rows_of_taps, steps = Stride * (M - 1) + R, L = V::lanes;
  const auto window = windows.of[s], right = windows.of[s + Stride - 1];
  const ptrdiff_t pitch = at.pitch;
  V w[Columns][F][R];
#pragma GCC unroll 2
  for (int c = 0; c < Columns; ++c)
#pragma GCC unroll 2
    for (int f = 0; f < F; ++f)
#pragma GCC unroll 3
      for (int r = 0; r < R; ++r) w[c][f][r] = V::broadcast(weights[(c * F + f) * R + r]);
#pragma GCC unroll 32
  for (int i = 0; i < steps; ++i, step_down(x, pitch)) {
    if (is_missing<R, border>(at, i, steps)) continue;
    V v[2];
    v[0] = load_pixels<Masked, V>(x, window);
    if constexpr (Stride == 2) split_even_odd(v[0], load_pixels<Masked, V>(x + L, right), v[0], v[1]);
#pragma GCC unroll 2
    for (int c = 0; c < Columns; ++c)
#pragma GCC unroll 2
      for (int f = 0; f < F; ++f)
#pragma GCC unroll 3
        for (int r = i % Stride; r < R; r += Stride)
          if (i >= r && (i - r) / Stride < M)
            sums.of[f][(i - r) / Stride] = fma(w[c][f][r], v[c], sums.of[f][(i - r) / Stride]);
  }
}

template <int Stride, int M, int F, Border border, bool Masked, class V, class T>
[[gnu::always_inline]] inline void grouped_tile(const DepthwiseRows<T>& d, const DepthwisePlace<V, T>& at, const T* x,
                                                const Windows<V>& windows, T* out, const Finish<V> (&finish)[F]) {
  GroupSums<V, M, F> sums;
#pragma GCC unroll 2
  for (int f = 0; f < F; ++f)
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) sums.of[f][m] = finish[f].bias;
  constexpr int step = F * grouped_rows_of_taps;
  const T* weights = at.weights;
  for (ptrdiff_t c = 0; c < d.channels; ++c, x += d.H * d.W) {
    if constexpr (Stride == 1) {
      for (ptrdiff_t s = 0; s < d.S; ++s, weights += step)
        add_group_columns<1, 1, border, Masked>(sums, at, x + s * d.dilation_w, windows, s, weights);
    } else {
      ptrdiff_t s = 0;
      for (; s + 2 <= d.S; s += 2, weights += 2 * step)
        add_group_columns<2, 2, border, Masked>(sums, at, x + s, windows, s, weights);
      if (s < d.S) {
        add_group_columns<2, 1, border, Masked>(sums, at, x + s, windows, s, weights);
        weights += step;
      }
    }
  }
#pragma GCC unroll 2
  for (int f = 0; f < F; ++f) {
    Sums<V, M> of_filter;
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) of_filter.of[m] = sums.of[f][m];
    store_tile<border, Masked>(of_filter, at, out + f * d.plane, finish[f]);
  }
}

template <int Stride, int M, int F, Border border, class V, class T>
[[gnu::noinline]] void grouped_row_of_tiles(const DepthwiseColumns<V, grouped_rows_of_taps, Stride, T>& columns,
                                            const DepthwisePlace<V, T>& at, const Finish<V> (&finish)[F]) {
  depthwise_tiles<border == Border::any>(columns, at, [&](const T* x, const Windows<V>& windows, T* out, auto masked) {
    grouped_tile<Stride, M, F, border, masked.value != 0>(columns.d, at, x, windows, out, finish);
  });
}

// M output rows of F filters.
template <int Stride, int M, int F, class V, class T>
void grouped_row_tile(const DepthwiseColumns<V, grouped_rows_of_taps, Stride, T>& columns, const T* weights, T* out,
                      ptrdiff_t row, ptrdiff_t rows, const Finish<V> (&finish)[F]) {
  constexpr int steps = Stride * (M - 1) + grouped_rows_of_taps, least = least_tile_rows;
  const DepthwisePlace<V, T> at = place_of(columns, columns.d.image, weights, out, row, rows);
  if (at.first == 0 && at.end >= steps && rows == M) {
    grouped_row_of_tiles<Stride, M, F, Border::inner>(columns, at, finish);
  } else if (at.first <= 1 && at.end >= steps - 1 && rows == M) {
    grouped_row_of_tiles<Stride, M, F, Border::edge>(columns, at, finish);
  } else if constexpr (M == least) {
    grouped_row_of_tiles<Stride, M, F, Border::any>(columns, at, finish);
  } else {
    const ptrdiff_t step = Stride == 1 ? columns.d.dilation_h : 1;
    grouped_row_tile<Stride, least, F>(columns, weights, out, row, least, finish);
    grouped_row_tile<Stride, least, F>(columns, weights, out, row + (M - least) * step, least, finish);
  }
}

template <class V, int Stride, class T>
void grouped_filters(const DepthwiseRows<T>& d) {
  constexpr int R = grouped_rows_of_taps, most = vector_registers >= 32 ? 7 : least_tile_rows;
  constexpr int pair = most_tile_filters<Stride>;
  const DepthwiseColumns<V, R, Stride, T> columns(d);
  const Epilogue<T>& e = *d.epilogue;
  const Finish<V> none{V::zero(), V::broadcast(e.low), V::broadcast(e.high), clips(e)};
  const ptrdiff_t classes = Stride == 1 ? d.dilation_h : 1, filter_weights = d.channels * R * d.S;
  const auto run = [&](ptrdiff_t f, ptrdiff_t row, ptrdiff_t m, auto filters) {
    constexpr int count = filters.value;
    Finish<V> finish[count];
    for (int i = 0; i < count; ++i) {
      finish[i] = none;
      if (e.bias) finish[i].bias = V::broadcast(e.bias[f + i]);
    }
    const T* weights = d.weights + f * filter_weights;
    T* out = d.out + f * d.plane;
    if constexpr (most == 7) {
      if (m == 7) return grouped_row_tile<Stride, 7, count>(columns, weights, out, row, m, finish);
      if (m == 6) return grouped_row_tile<Stride, 6, count>(columns, weights, out, row, m, finish);
      if (m == 5) return grouped_row_tile<Stride, 5, count>(columns, weights, out, row, m, finish);
    }
    grouped_row_tile<Stride, least_tile_rows, count>(columns, weights, out, row, m, finish);
  };
  for (ptrdiff_t first = d.first_row; first < d.last_row && first < d.first_row + classes; ++first) {
    const ptrdiff_t rows = (d.last_row - first + classes - 1) / classes;
    for (ptrdiff_t done = 0; done < rows;) {
      const ptrdiff_t left = rows - done, least = rows < least_tile_rows ? rows : least_tile_rows;
      const ptrdiff_t m = most == 7 && left > least_tile_rows ? share_of_seven(left) : least;
      if (m > left) done = rows - m;
      ptrdiff_t f = 0;
      for (; f + pair <= d.filters; f += pair) run(f, first + done * classes, m, Constant<pair>{});
      for (; f < d.filters; ++f) run(f, first + done * classes, m, Constant<1>{});
      done += m;
    }
  }
  if (e.second_pass)
    for (ptrdiff_t f = 0; f < d.filters; ++f)
      activate(d.out + f * d.plane + d.first_row * d.Q, (d.last_row - d.first_row) * d.Q, e);
}

template <class T>
void grouped_rows(const DepthwiseRows<T>& d) {
  using Half = Vec<Narrow<T>>;
  if (fills_half_vectors(d))
    d.stride == 2 ? grouped_filters<Half, 2>(d) : grouped_filters<Half, 1>(d);
  else
    d.stride == 2 ? grouped_filters<Vec<T>, 2>(d) : grouped_filters<Vec<T>, 1>(d);
}

template <class T>
constexpr GroupedKernels<T> grouped_table() {
  return {{most_tile_filters<1>, most_tile_filters<2>}, grouped_rows<T>};
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
