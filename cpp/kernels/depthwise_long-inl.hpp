// Depthwise convolution with kernels of any size, pixels as lanes, by streaming down the rows: a tile of M output rows
// and NV vectors takes one column of taps after the other; a row of pixels, once loaded, serves all M rows of sums.
// Runs of fewer taps than rows are added tap by tap, with a load for each product.
//
// Two callers: in place at stride 1 (any dilation), where columns of taps outside the image are left out and those at
// its sides masked; and on a padded strip (gemm/padded_strip.hpp) for other strides. As in depthwise-inl.hpp the last
// tile is moved back over its neighbour.
#pragma once

#include "kernels/depthwise_set.hpp"
#include "kernels/epilogue-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int least_long_rows = 4, most_long_rows = vector_registers >= 32 ? 8 : tile_pixel_rows;

template <class V, int M, int NV>
struct LongSums {
  V of[M][NV];
};

// Taps one below the other: tap r of output row m is at x + (m + r) * pitch. Step m + r is read if it is at least
// `first` and below `end`.
template <class T>
struct TapRun {
  const T* x;
  ptrdiff_t pitch;
  const T* weights;
  ptrdiff_t taps, first, end;
};

template <bool Masked, int NV, class V, class T>
[[gnu::always_inline]] inline void load_vectors(V (&v)[NV], const T* x, const typename V::Window (&windows)[NV]) {
#pragma GCC unroll 2
  for (int j = 0; j < NV; ++j) v[j] = Masked ? V::load(x + j * V::lanes, windows[j]) : V::load(x + j * V::lanes);
}

// Adds tap i - m, times v, to the rows m in [Low, High).
template <int Low, int High, class V, int M, int NV, class T>
[[gnu::always_inline]] inline void add_step(LongSums<V, M, NV>& sums, const T* tap, const V (&v)[NV]) {
#pragma GCC unroll 8
  for (int m = Low; m < High; ++m) {
    const V w = V::broadcast(tap[-m]);
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) sums.of[m][j] = fma(w, v[j], sums.of[m][j]);
  }
}

// The steps that not all rows see: Step = 0 .. M - 2 before the others, and as many after them.
template <int Step, bool Masked, class V, int M, int NV, class T>
[[gnu::always_inline]] inline void add_first_steps(LongSums<V, M, NV>& sums, const TapRun<T>& run,
                                                   const typename V::Window (&windows)[NV]) {
  if constexpr (Step < M - 1) {
    if (Step >= run.first && Step < run.end) {
      V v[NV];
      load_vectors<Masked>(v, run.x + Step * run.pitch, windows);
      add_step<0, Step + 1>(sums, run.weights + Step, v);
    }
    add_first_steps<Step + 1, Masked>(sums, run, windows);
  }
}
template <int Step, bool Masked, class V, int M, int NV, class T>
[[gnu::always_inline]] inline void add_last_steps(LongSums<V, M, NV>& sums, const TapRun<T>& run,
                                                  const typename V::Window (&windows)[NV]) {
  if constexpr (Step < M - 1) {
    const ptrdiff_t i = run.taps + Step;
    if (i >= run.first && i < run.end) {
      V v[NV];
      load_vectors<Masked>(v, run.x + i * run.pitch, windows);
      add_step<Step + 1, M>(sums, run.weights + i, v);
    }
    add_last_steps<Step + 1, Masked>(sums, run, windows);
  }
}

template <bool Masked, class V, int M, int NV, class T>
[[gnu::always_inline]] inline void add_run(LongSums<V, M, NV>& sums, const TapRun<T>& run,
                                           const typename V::Window (&windows)[NV]) {
  V v[NV];
  if (__builtin_expect(run.taps < M, 0)) {
    for (ptrdiff_t r = 0; r < run.taps; ++r) {
      const V w = V::broadcast(run.weights[r]);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        if (m + r < run.first || m + r >= run.end) continue;
        load_vectors<Masked>(v, run.x + (m + r) * run.pitch, windows);
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) sums.of[m][j] = fma(w, v[j], sums.of[m][j]);
      }
    }
    return;
  }
  add_first_steps<0, Masked>(sums, run, windows);
  const ptrdiff_t begin = run.first > M - 1 ? run.first : M - 1, end = run.end < run.taps ? run.end : run.taps;
  const T* x = run.x + begin * run.pitch;
  const ptrdiff_t pitch = run.pitch;
  for (const T *tap = run.weights + begin, *last = run.weights + end; tap < last; ++tap, x += pitch) {
    load_vectors<Masked>(v, x, windows);
    add_step<0, M>(sums, tap, v);
  }
  add_last_steps<0, Masked>(sums, run, windows);
}

// What all tiles of a filter have in common.
template <class V, class T>
struct LongEnd {
  V bias, low, high;
  ptrdiff_t pitch;  // of the outputs

  template <int M, int NV>
  [[gnu::always_inline]] void store(const LongSums<V, M, NV>& sums, T* out, ptrdiff_t rows, ptrdiff_t columns) const {
    constexpr int L = V::lanes;
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m, out += pitch) {
      if (m >= rows) return;
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) {
        const V v = clip(sums.of[m][j], low, high);
        if (columns >= (j + 1) * L)
          v.store(out + j * L);
        else if (columns > j * L)
          v.store(out + j * L, V::first(int(columns - j * L)));
      }
    }
  }
};

template <class V, int M, int NV>
[[gnu::always_inline]] inline LongSums<V, M, NV> long_sums(V bias) {
  LongSums<V, M, NV> sums;
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) sums.of[m][j] = bias;
  return sums;
}

// One tile in place. x is the first tap's pixel of the first output, in column `column`.
template <class V, class T>
struct LongPlace {
  const DepthwiseRows<T>& d;
  const T* x;
  ptrdiff_t column, pitch, first, end;
  const T* weights;
};

template <class V, int M, int NV, class T>
[[gnu::noinline]] void long_tile(const LongPlace<V, T>& at, T* out, ptrdiff_t rows, ptrdiff_t columns,
                                 const LongEnd<V, T>& finish) {
  constexpr int L = V::lanes;
  const DepthwiseRows<T>& d = at.d;
  auto sums = long_sums<V, M, NV>(finish.bias);
  TapRun<T> run{at.x, at.pitch, at.weights, d.R, at.first, at.end};
  ptrdiff_t column = at.column;
  for (ptrdiff_t s = 0; s < d.S; ++s, column += d.dilation_w, run.x += d.dilation_w, run.weights += d.R) {
    if (column + NV * L <= 0 || column >= d.W) continue;
    typename V::Window windows[NV]{};
    if (column >= 0 && column + NV * L <= d.W) {
      add_run<false>(sums, run, windows);
    } else {
      for (int j = 0; j < NV; ++j) windows[j] = V::window(d.W, column + j * L);
      add_run<true>(sums, run, windows);
    }
  }
  finish.store(sums, out, rows, columns);
}

// The same on a strip.
template <class V, int M, int NV, class T>
[[gnu::noinline]] void long_strip_tile(const DepthwiseStrip<T>& d, const T* x, T* out, ptrdiff_t rows,
                                       ptrdiff_t columns, const LongEnd<V, T>& finish) {
  auto sums = long_sums<V, M, NV>(finish.bias);
  typename V::Window windows[NV]{};
  TapRun<T> run{x, d.row_step, d.weights, 0, 0, ptrdiff_t{1} << 60};
  for (ptrdiff_t i = 0; i < d.runs; ++i, run.weights += run.taps) {
    run.x = x + d.offset[i];
    run.taps = d.run_taps[i];
    add_run<false>(sums, run, windows);
  }
  finish.store(sums, out, rows, columns);
}

// Calls tile(row, rows, height, column, columns, width) for tiles of `height` rows and `width` vectors, one or two. A
// run of fewer than 8 taps takes tiles of 4 rows.
template <class V, int M, class Tile>
void long_row_of_tiles(ptrdiff_t row, ptrdiff_t rows, ptrdiff_t columns, Tile& tile) {
  constexpr ptrdiff_t L = V::lanes;
  for (ptrdiff_t q = 0; q < columns;) {
    const ptrdiff_t left = columns - q;
    if (left > L) {
      if (left < 2 * L && q > 0) q = columns - 2 * L;
      tile(row, rows, Constant<M>{}, q, columns - q, Constant<2>{});
      q += 2 * L;
    } else {
      if (left < L && q > 0) q = columns - L;
      tile(row, rows, Constant<M>{}, q, columns - q, Constant<1>{});
      q += L;
    }
  }
}

template <class V, class Tile>
void long_tiles(ptrdiff_t rows, ptrdiff_t columns, bool tall, Tile tile) {
  const ptrdiff_t most = tall ? most_long_rows : least_long_rows;
  for (ptrdiff_t row = 0; row < rows;) {
    const ptrdiff_t left = rows - row, tiles = (left + most - 1) / most;
    ptrdiff_t m = (left + tiles - 1) / tiles;
    if (m < least_long_rows && rows >= least_long_rows) m = least_long_rows;
    if (m > left && rows >= least_long_rows) row = rows - m;
    if constexpr (most_long_rows >= 8) {
      if (m == 8) long_row_of_tiles<V, 8>(row, m, columns, tile);
      if (m == 7) long_row_of_tiles<V, 7>(row, m, columns, tile);
    }
    if constexpr (most_long_rows >= 6) {
      if (m == 6) long_row_of_tiles<V, 6>(row, m, columns, tile);
      if (m == 5) long_row_of_tiles<V, 5>(row, m, columns, tile);
    }
    if (m <= 4) long_row_of_tiles<V, 4>(row, m, columns, tile);
    row += m;
  }
}

template <class E, class T>
void depthwise_long_filters(const DepthwiseRows<T>& d) {
  using V = Vec<E>;
  const Epilogue<T>& e = *d.epilogue;
  LongEnd<V, T> end{V::zero(), V::broadcast(e.low), V::broadcast(e.high), d.dilation_h * d.Q};
  const T* image = d.image;
  ptrdiff_t position = d.position;
  for (ptrdiff_t f = 0; f < d.filters; ++f) {
    T* out = d.out + f * d.plane;
    if (e.bias) end.bias = V::broadcast(e.bias[f]);
    // Output rows a dilation apart share their image rows.
    for (ptrdiff_t start = d.first_row; start < d.last_row && start < d.first_row + d.dilation_h; ++start)
      long_tiles<V>((d.last_row - start + d.dilation_h - 1) / d.dilation_h, d.Q, d.R >= most_long_rows,
                    [&](ptrdiff_t tile_row, ptrdiff_t rows, auto height, ptrdiff_t q, ptrdiff_t columns, auto width) {
                      const ptrdiff_t row = start + tile_row * d.dilation_h, top = row - d.pad_top;
                      const ptrdiff_t below = d.H - top, step = d.dilation_h;
                      const LongPlace<V, T> at{d,
                                               image + top * d.W + q - d.pad_left,
                                               q - d.pad_left,
                                               step * d.W,
                                               top < 0 ? (-top + step - 1) / step : 0,
                                               below <= 0 ? 0 : (below + step - 1) / step,
                                               d.weights + f * d.R * d.S};
                      long_tile<V, height.value, width.value>(at, out + row * d.Q + q, rows, columns, end);
                    });
    if (e.second_pass) activate(out + d.first_row * d.Q, (d.last_row - d.first_row) * d.Q, e);
    if (++position == d.per_channel) {
      position = 0;
      image += d.H * d.W;
    }
  }
}

// Half vectors where they leave fewer lanes idle.
template <class T>
void depthwise_long(const DepthwiseRows<T>& d) {
  constexpr ptrdiff_t L = Vec<T>::lanes, half = Vec<Narrow<T>>::lanes;
  if (half < L && (d.Q + half - 1) / half % 2 == 1 && d.Q < 8 * L)
    depthwise_long_filters<Narrow<T>>(d);
  else
    depthwise_long_filters<T>(d);
}

template <class T>
void depthwise_strip(const DepthwiseStrip<T>& d) {
  using V = Vec<T>;
  const Epilogue<T>& e = *d.epilogue;
  const LongEnd<V, T> end{V::broadcast(e.bias ? *e.bias : T(0)), V::broadcast(e.low), V::broadcast(e.high), d.columns};
  long_tiles<V>(d.rows, d.columns, d.run_taps[0] >= most_long_rows,
                [&](ptrdiff_t row, ptrdiff_t rows, auto height, ptrdiff_t q, ptrdiff_t columns, auto width) {
                  long_strip_tile<V, height.value, width.value>(d, d.strip + row * d.row_step + q,
                                                                d.out + row * d.columns + q, rows, columns, end);
                });
  if (e.second_pass) activate(d.out, d.rows * d.columns, e);
}

template <class T>
constexpr LongKernels<T> depthwise_long_table() {
  return {depthwise_long<T>, depthwise_strip<T>};
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
