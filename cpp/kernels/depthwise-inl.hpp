// Depthwise convolution in place, pixels as lanes: stride 1 with any dilation, and stride 2. A tile is M output rows of
// one vector. The taps' columns are the outer loop; each vector loaded then serves up to `chunk` output rows. At the
// image's edges loads are masked and rows left out: no padded copy. (3x3 with that loop unrolled: 14 % slower, GCC 12.)
//
// The last tile of a row, or of a column, is moved back over its neighbour, not shortened: outputs computed twice are
// the same bits, as each is one sum in one order. Hence activations that are not a clip run over finished planes.
#pragma once

#include "kernels/epilogue-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int least_tile_rows = 4;
constexpr int any_rows = 4;  // the chunk for kernels of other than 3, 5 and 7 rows; what is left over goes row by row

// V is Vec<T>, or Vec<Narrow<T>> for half vectors.
template <class V, int M>
struct Sums {
  V of[M];
};

// What a tile needs to know of its place: x is the first tap's pixel of the first output; step i down the window's rows
// is in the image if first <= i < first + count.
template <class T>
struct DepthwisePlace {
  const T* x;
  ptrdiff_t pitch;  // from step to step
  ptrdiff_t first, count;
  ptrdiff_t column;  // of x
  const T* weights;
  T* out;
  ptrdiff_t out_pitch;
  int rows;  // to store, at most M
};

// Where a tile lies. Beyond `none`, columns are masked. At the top and the bottom R / 2 rows of taps are missing, known
// at compile time: a test per row costs 14 x 14 maps an eighth, and 3x3 at stride 2 a quarter. `any` tests.
enum class Border { none, side, top, bottom, both, any };

// Whether step i of `steps` down the tile's rows is outside the image.
template <int R, Border border, class T>
[[gnu::always_inline]] inline bool is_missing(const DepthwisePlace<T>& at, ptrdiff_t row, int i, int steps) {
  if constexpr (border == Border::any) return __builtin_expect(size_t(row + i - at.first) >= size_t(at.count), 0);
  if ((border == Border::top || border == Border::both) && i < R / 2) return true;
  return (border == Border::bottom || border == Border::both) && i >= steps - R / 2;
}

// Adds R taps one below the other: M + R - 1 loads for M * R products.
template <int R, Border border, class V, int M, class T>
[[gnu::always_inline]] inline void add_column(Sums<V, M>& sums, const DepthwisePlace<T>& at, ptrdiff_t row,
                                              ptrdiff_t column, ptrdiff_t W, const T* weights) {
  const auto window = V::window(W, at.column + column);
  const T* x = at.x + row * at.pitch + column;
  V w[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) w[r] = V::broadcast(weights[r]);
#pragma GCC unroll 32
  for (int i = 0; i < M + R - 1; ++i) {
    if (is_missing<R, border>(at, row, i, M + R - 1)) continue;
    const V v = border != Border::none ? V::load(x + i * at.pitch, window) : V::load(x + i * at.pitch);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      if (i - r >= 0 && i - r < M) sums.of[i - r] = fma(w[r], v, sums.of[i - r]);
  }
}

// The same at stride 2 for two neighbouring columns of taps, or one: two vectors split into even and odd pixels.
template <int R, int Columns, Border border, class V, int M, class T>
[[gnu::always_inline]] inline void add_column_pair(Sums<V, M>& sums, const DepthwisePlace<T>& at, ptrdiff_t column,
                                                   ptrdiff_t W, const T* weights) {
  constexpr int L = V::lanes;
  const auto left = V::window(W, at.column + column), right = V::window(W, at.column + column + L);
  const T* x = at.x + column;
  V w[2 * R];
#pragma GCC unroll 16
  for (int r = 0; r < Columns * R; ++r) w[r] = V::broadcast(weights[r]);
#pragma GCC unroll 32
  for (int i = 0; i < 2 * (M - 1) + R; ++i) {
    if (is_missing<R, border>(at, 0, i, 2 * (M - 1) + R)) continue;
    const T* p = x + i * at.pitch;
    V even, odd;
    if constexpr (border == Border::none)
      split_even_odd(V::load(p), V::load(p + L), even, odd);
    else
      split_even_odd(V::load(p, left), V::load(p + L, right), even, odd);
#pragma GCC unroll 8
    for (int r = i % 2; r < R; r += 2) {
      const int m = (i - r) / 2;
      if (i < r || m >= M) continue;
      sums.of[m] = fma(w[r], even, sums.of[m]);
      if constexpr (Columns == 2) sums.of[m] = fma(w[R + r], odd, sums.of[m]);
    }
  }
}

template <class V, int Chunk, int Stride, int M, Border border, class T>
[[gnu::always_inline]] inline void depthwise_tile(const DepthwiseRows<T>& d, const DepthwisePlace<T>& at, V bias, V low,
                                                  V high) {
  Sums<V, M> sums;
#pragma GCC unroll 32
  for (int m = 0; m < M; ++m) sums.of[m] = V::zero();
  const T* weights = at.weights;
  if constexpr (Stride == 2) {
    ptrdiff_t s = 0;
    for (; s + 2 <= d.S; s += 2, weights += 2 * Chunk) add_column_pair<Chunk, 2, border>(sums, at, s, d.W, weights);
    if (s < d.S) add_column_pair<Chunk, 1, border>(sums, at, s, d.W, weights);
  } else if constexpr (Chunk != any_rows) {
    for (ptrdiff_t s = 0; s < d.S; ++s, weights += Chunk)
      add_column<Chunk, border>(sums, at, 0, s * d.dilation_w, d.W, weights);
  } else {
    ptrdiff_t r = 0;
    for (; r + Chunk <= d.R; r += Chunk)
      for (ptrdiff_t s = 0; s < d.S; ++s, weights += Chunk)
        add_column<Chunk, border>(sums, at, r, s * d.dilation_w, d.W, weights);
    for (; r < d.R; ++r)
      for (ptrdiff_t s = 0; s < d.S; ++s, ++weights) add_column<1, border>(sums, at, r, s * d.dilation_w, d.W, weights);
  }
  const auto live = V::first(int(d.Q < V::lanes ? d.Q : V::lanes));
#pragma GCC unroll 32
  for (int m = 0; m < M; ++m) {
    if (border == Border::any && m >= at.rows) break;
    const V v = finish(sums.of[m], bias, low, high);
    if (border != Border::none && d.Q < V::lanes)
      v.store(at.out + m * at.out_pitch, live);
    else
      v.store(at.out + m * at.out_pitch);
  }
}

// M output rows, from `row` on, dilation_h apart: all columns.
template <class V, int Chunk, int Stride, int M, class T>
void depthwise_row_tile(const DepthwiseRows<T>& d, const T* image, const T* weights, T* out, ptrdiff_t row,
                        ptrdiff_t rows, V bias, V low, V high) {
  constexpr int L = V::lanes;
  const ptrdiff_t step = Stride == 1 ? d.dilation_h : 1, top = row * Stride - d.pad_top;
  const ptrdiff_t steps = Stride * (M - 1) + d.R, half = d.R / 2;
  DepthwisePlace<T> at{};
  at.pitch = step * d.W;
  at.first = top < 0 ? (step == 1 ? -top : (-top + step - 1) / step) : 0;
  const ptrdiff_t below = d.H - top;  // image rows from `top` on
  const ptrdiff_t end = below <= 0 ? 0 : step == 1 ? below : (below + step - 1) / step;
  at.count = end > at.first ? end - at.first : 0;
  at.weights = weights;
  at.out_pitch = step * d.Q;
  at.rows = int(rows);
  const bool whole_top = at.first == 0, whole_bottom = end >= steps;
  if constexpr (M != least_tile_rows) {
    if ((!whole_top && at.first != half) || (!whole_bottom && end != steps - half)) {
      constexpr int least = least_tile_rows;
      depthwise_row_tile<V, Chunk, Stride, least>(d, image, weights, out, row, least, bias, low, high);
      row += (M - least) * step;
      return depthwise_row_tile<V, Chunk, Stride, least>(d, image, weights, out, row, least, bias, low, high);
    }
  }
  const bool whole = whole_top && whole_bottom && rows == M, partial = d.Q < L;
  const ptrdiff_t reach = Stride == 1 ? (d.S - 1) * d.dilation_w + L : (d.S - 1) / 2 * 2 + 2 * L;
  const ptrdiff_t last = partial ? 0 : d.Q - L;
  for (ptrdiff_t q = 0;; q = q + L < last ? q + L : last) {
    at.column = q * Stride - d.pad_left;
    at.x = image + top * d.W + at.column;
    at.out = out + row * d.Q + q;
    if (whole && !partial && at.column >= 0 && at.column + reach <= d.W)
      depthwise_tile<V, Chunk, Stride, M, Border::none>(d, at, bias, low, high);
    else if (whole)
      depthwise_tile<V, Chunk, Stride, M, Border::side>(d, at, bias, low, high);
    else if constexpr (M == least_tile_rows)
      depthwise_tile<V, Chunk, Stride, M, Border::any>(d, at, bias, low, high);
    else if (whole_bottom)
      depthwise_tile<V, Chunk, Stride, M, Border::top>(d, at, bias, low, high);
    else if (whole_top)
      depthwise_tile<V, Chunk, Stride, M, Border::bottom>(d, at, bias, low, high);
    else
      depthwise_tile<V, Chunk, Stride, M, Border::both>(d, at, bias, low, high);
    if (q >= last) break;
  }
}

// Rows of a tile: enough to reuse loads; few enough for the sums, two vectors and a chunk (two at stride 2) of weights.
template <int Chunk, int Stride>
constexpr int most_tile_rows() {
  const int left = vector_registers - Stride * Chunk - 2;
  return left >= 7 && Chunk != any_rows && tile_pixel_rows > least_tile_rows ? 7 : least_tile_rows;
}

template <class E, int Chunk, int Stride, class T>
void depthwise_planes(const DepthwiseRows<T>& d) {
  using V = Vec<E>;
  constexpr int most = most_tile_rows<Chunk, Stride>(), least = least_tile_rows;
  const Epilogue<T>& e = *d.epilogue;
  const V low = V::broadcast(e.low), high = V::broadcast(e.high);
  const ptrdiff_t classes = Stride == 1 ? d.dilation_h : 1;  // rows a dilation apart share their image rows
  const T* image = d.image;
  ptrdiff_t position = d.position;
  for (ptrdiff_t f = 0; f < d.filters; ++f) {
    const T* weights = d.weights + f * d.R * d.S;
    T* out = d.out + f * d.plane;
    const V bias = V::broadcast(e.bias ? e.bias[f] : T(0));
    for (ptrdiff_t first = d.first_row; first < d.last_row && first < d.first_row + classes; ++first) {
      const ptrdiff_t rows = (d.last_row - first + classes - 1) / classes;
      for (ptrdiff_t done = 0; done < rows;) {
        const bool large = rows >= most && rows - done > least;
        const ptrdiff_t m = large ? most : rows < least ? rows : least;
        if (done + m > rows) done = rows - m;
        const auto tile =
            large ? depthwise_row_tile<V, Chunk, Stride, most, T> : depthwise_row_tile<V, Chunk, Stride, least, T>;
        tile(d, image, weights, out, first + done * classes, m, bias, low, high);
        done += m;
      }
    }
    if (e.kind != ActivationKind::clip)
      activate(out + d.first_row * d.Q, (d.last_row - d.first_row) * d.Q, e.kind, e.slope);
    if (++position == d.per_channel) {
      position = 0;
      image += d.H * d.W;
    }
  }
}

template <class T, class E>
void depthwise_of_width(const DepthwiseRows<T>& d) {
  const bool two = d.stride == 2;
  switch (d.chunk) {
    case 3:
      return two ? depthwise_planes<E, 3, 2>(d) : depthwise_planes<E, 3, 1>(d);
    case 5:
      return two ? depthwise_planes<E, 5, 2>(d) : depthwise_planes<E, 5, 1>(d);
    case 7:
      return two ? depthwise_planes<E, 7, 2>(d) : depthwise_planes<E, 7, 1>(d);
    default:
      return depthwise_planes<E, any_rows, 1>(d);
  }
}

// Half vectors where they leave fewer lanes idle, and on wide maps (3x3 at 112: 90 to 74 GFLOP/s).
template <class T>
void depthwise_rows(const DepthwiseRows<T>& d) {
  constexpr ptrdiff_t L = Vec<T>::lanes, half = Vec<Narrow<T>>::lanes;
  if (half < L && ((d.Q + half - 1) / half % 2 == 1 || d.Q >= 3 * L))
    depthwise_of_width<T, Narrow<T>>(d);
  else
    depthwise_of_width<T, T>(d);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
