// Depthwise convolution in place, pixels as lanes: stride 1 with any dilation, and stride 2. A plane is cut into tiles
// (depthwise_tile-inl.hpp) of 4 to 7 or of 14 rows. At the image's edges loads are masked and rows left out: no padded
// copy. Masks are computed once per call: per plane they cost 14x14 maps half of the time.
//
// The last tile of a row is moved back over its neighbour, not shortened: outputs computed twice are the same bits, as
// each is one sum in one order. Hence activations that are not a clip run over finished planes.
#pragma once

#include "kernels/depthwise_stream-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int least_tile_rows = 4, tall_tile_rows = 14;
constexpr int most_stream_rows = 16;  // few enough for the next tile to find the rows in L1

// Rows of a tile: few enough for the sums, two vectors and the weights held at once.
template <int R, int Stride>
constexpr int most_tile_rows() {
  const int left = vector_registers - Stride * R - 2;
  return left >= 7 && tile_pixel_rows > least_tile_rows ? 7 : least_tile_rows;
}

// Kernels of 1, 2 and 4 rows are the phases of a transposed convolution. None of theirs is worth a tile of its own.
template <int R>
constexpr bool is_phase = R == 1 || R == 2 || R == 4;

template <int R, int Stride>
constexpr bool has_tall_tiles = !is_phase<R> && vector_registers - Stride * R - 3 >= tall_tile_rows;
// For planes that are higher than one tile: with three rows of taps shorter tiles are as fast.
template <int R, int Stride>
constexpr bool has_tall_steps = has_tall_tiles<R, Stride> && R > 3;

// A row's tiles, as far as they are the same for all rows and planes.
template <class V, int R, int Stride, class T>
struct DepthwiseColumns {
  static constexpr int L = V::lanes;
  const DepthwiseRows<T>& d;
  ptrdiff_t tiles, back;  // how far the last tile is moved back
  ptrdiff_t reach;        // columns that a tile sees
  bool irregular;         // more tiles than the first and the last reach over the image's sides
  bool partial;
  bool tall;  // tall tiles' rows stay in L1 from tile to tile
  typename V::Mask live;
  Windows<V> left, right;

  explicit DepthwiseColumns(const DepthwiseRows<T>& rows) : d(rows) {
    tiles = (d.Q + L - 1) / L;
    back = tiles > 1 ? tiles * L - d.Q : 0;
    partial = d.Q < L;
    tall = d.W * ptrdiff_t{sizeof(T)} <= 1024;
    live = V::first(int(d.Q < L ? d.Q : L));
    set(left, 0);
    set(right, (tiles - 1) * L - back);
    reach = Stride == 1 ? (d.S - 1) * d.dilation_w + L : d.S + 2 * L;
    irregular = tiles > 2 && (reaches_over(1) || reaches_over(tiles - 2));
  }
  bool reaches_over(ptrdiff_t tile) const {
    const ptrdiff_t column = tile * L * Stride - d.pad_left;
    return column < 0 || column + reach > d.W;
  }
  void set(Windows<V>& windows, ptrdiff_t q) const {
    set_windows<V, R, Stride>(windows, q * Stride - d.pad_left, d.S, d.dilation_w, d.W);
  }
};

// Calls tile(x, windows, out, masked) for all tiles of a row.
template <bool always_masked = false, class V, int R, int Stride, class T, class Tile>
[[gnu::always_inline]] inline void depthwise_tiles(const DepthwiseColumns<V, R, Stride, T>& columns,
                                                   const DepthwisePlace<V, T>& at, Tile tile) {
  constexpr int L = V::lanes;
  const T* x = at.x;
  T* out = at.out;
  Windows<V> spare;
  for (ptrdiff_t left = columns.tiles; left > 0; --left, x += L * Stride, out += L) {
    const Windows<V>* windows = &columns.left;
    const ptrdiff_t number = columns.tiles - left;
    if (left == 1 && columns.tiles > 1) {
      windows = &columns.right;
      x -= columns.back * Stride;
      out -= columns.back;
    } else if (number > 0 &&
               (always_masked || __builtin_expect(columns.irregular && columns.reaches_over(number), 0))) {
      columns.set(spare, number * L);
      windows = &spare;
    } else if constexpr (!always_masked) {
      if (number > 0) {
        tile(x, *windows, out, Constant<0>{});
        continue;
      }
    }
    tile(x, *windows, out, Constant<1>{});
  }
}

template <class V, int R, int Stride, int M, Border border, class T>
[[gnu::noinline]] void depthwise_row_of_tiles(const DepthwiseColumns<V, R, Stride, T>& columns,
                                              const DepthwisePlace<V, T>& at, const Finish<V>& finish) {
  if constexpr (holds_weights<R> && Stride == 1 && border != Border::any) {
    if (at.S == 3) {
      const Weights3x3<V> weights = load_weights<V>(at.weights);
      return depthwise_tiles(columns, at, [&](const T* x, const Windows<V>& windows, T* out, auto masked) {
        constexpr Sides sides = masked.value ? Sides::masked : Sides::inner;
        depthwise_tile_3x3<M, border, sides>(at, x, windows, weights, out, finish);
      });
    }
  }
  // Planes so low that `any` meets them are seldom wide: masks for all of their tiles. (But not where the kernel is one
  // row, as signals have it.)
  constexpr bool always = border == Border::any && R > 1;
  depthwise_tiles<always>(columns, at, [&](const T* x, const Windows<V>& windows, T* out, auto masked) {
    depthwise_tile<V, R, Stride, M, border, masked.value != 0>(at, x, windows, out, finish);
  });
}

template <class V, class T>
[[gnu::noinline]] void depthwise_row_of_streams(const DepthwiseColumns<V, 3, 2, T>& columns,
                                                const DepthwisePlace<V, T>& at, const Finish<V>& finish) {
  const Weights3x3<V> weights = load_weights<V>(at.weights);
  const StreamEnd<V> end{finish, finish.clips, at.partial, at.live};
  depthwise_tiles(columns, at, [&](const T* x, const Windows<V>& windows, T* out, auto masked) {
    stream_tile<masked.value ? Sides::masked : Sides::inner, 0>(at, x, windows, weights, out, end);
  });
}

template <class V, int R, int Stride, class T>
DepthwisePlace<V, T> place_of(const DepthwiseColumns<V, R, Stride, T>& columns, const T* image, const T* weights,
                              T* out, ptrdiff_t row, ptrdiff_t rows) {
  const DepthwiseRows<T>& d = columns.d;
  const ptrdiff_t step = Stride == 1 ? d.dilation_h : 1, top = row * Stride - d.pad_top, below = d.H - top;
  DepthwisePlace<V, T> at{};
  at.x = image + top * d.W - d.pad_left;
  at.pitch = step * d.W;
  at.S = d.S;
  at.dilation_w = d.dilation_w;
  at.first = top < 0 ? (step == 1 ? -top : (-top + step - 1) / step) : 0;
  at.end = below <= 0 ? 0 : step == 1 ? below : (below + step - 1) / step;
  at.weights = weights;
  at.out = out + row * d.Q;
  at.out_pitch = step * d.Q;
  at.rows = int(rows);
  at.partial = columns.partial;
  at.columns = at.out_pitch == d.Q ? d.Q : 0;
  at.live = columns.live;
  return at;
}

// M output rows, from `row` on, dilation_h apart: all columns.
template <class V, int R, int Stride, int M, class T>
void depthwise_row_tile(const DepthwiseColumns<V, R, Stride, T>& columns, const T* image, const T* weights, T* out,
                        ptrdiff_t row, ptrdiff_t rows, const Finish<V>& finish) {
  constexpr int steps = Stride * (M - 1) + R;
  const DepthwisePlace<V, T> at = place_of(columns, image, weights, out, row, rows);
  if (at.first == 0 && at.end >= steps && rows == M) {
    depthwise_row_of_tiles<V, R, Stride, M, Border::inner>(columns, at, finish);
  } else if (R > 1 && at.first <= R / 2 && at.end >= steps - R / 2 && rows == M) {
    depthwise_row_of_tiles<V, R, Stride, M, R == 1 ? Border::inner : Border::edge>(columns, at, finish);
  } else if constexpr (M == least_tile_rows) {
    depthwise_row_of_tiles<V, R, Stride, M, Border::any>(columns, at, finish);
  } else {
    const ptrdiff_t step = Stride == 1 ? columns.d.dilation_h : 1;
    for (int done = 0; done < M; done += least_tile_rows) {
      if (done + least_tile_rows > M) done = M - least_tile_rows;
      depthwise_row_tile<V, R, Stride, least_tile_rows>(columns, image, weights, out, row + done * step,
                                                        least_tile_rows, finish);
    }
  }
}

template <class V, int R, int Stride, class T>
using RowTile = void (*)(const DepthwiseColumns<V, R, Stride, T>&, const T*, const T*, T*, ptrdiff_t, ptrdiff_t,
                         const Finish<V>&);

// Where nearly all planes are streamed, the tiles that remain need not be fast.
template <int R, int Stride>
constexpr int most_stepped_rows() {
  return holds_weights<R> && Stride == 2 ? least_tile_rows : most_tile_rows<R, Stride>();
}

// Whether tiles have any number of rows from 4 to 7. Phases of long kernels have 4 or 7, and the last tile is moved
// back by a row or two: each height takes a compiler as long as any other. (5x5 by 2 on 40 x 40 and grouped 3x3 on 20 x
// 20 take 5 to 10 % longer without heights of 5 and 6.)
template <int R, int Stride>
constexpr bool has_all_heights = !is_phase<R>;

template <class V, int R, int Stride, class T>
RowTile<V, R, Stride, T> row_tile_of(ptrdiff_t rows) {
  constexpr int most = most_stepped_rows<R, Stride>();
  if constexpr (has_tall_steps<R, Stride>)
    if (rows == tall_tile_rows) return depthwise_row_tile<V, R, Stride, tall_tile_rows, T>;
  if constexpr (most == 7 && has_all_heights<R, Stride>) {
    if (rows == 5) return depthwise_row_tile<V, R, Stride, 5, T>;
    if (rows == 6) return depthwise_row_tile<V, R, Stride, 6, T>;
  }
  if constexpr (most == 7)
    if (rows == 7) return depthwise_row_tile<V, R, Stride, 7, T>;
  return depthwise_row_tile<V, R, Stride, least_tile_rows, T>;
}

// 4 or 7 rows: so that the last tile is moved back as little as can be.
inline ptrdiff_t four_or_seven(ptrdiff_t left, ptrdiff_t rows) {
  if (left % 4 == 0 && left <= 16) return 4;
  return left >= 7 || rows >= 7 ? 7 : 4;
}

// Equal shares of `left` rows, of at most 7.
inline ptrdiff_t share_of_seven(ptrdiff_t left) {
  const ptrdiff_t tiles = (left + 6) / 7;
  return (left + tiles - 1) / tiles;
}

// Rows of the next tile, `left` >= 1 of `rows` being left: equal shares of at least 4 where there are that many.
template <class V, int R, int Stride>
ptrdiff_t next_rows(ptrdiff_t left, ptrdiff_t rows, bool may_be_tall) {
  constexpr int most = most_stepped_rows<R, Stride>(), tall = tall_tile_rows;
  if (has_tall_steps<R, Stride> && may_be_tall && (left == tall || left >= tall + least_tile_rows)) return tall;
  if (left <= least_tile_rows) return rows < least_tile_rows ? left : least_tile_rows;
  if constexpr (most == least_tile_rows) return most;
  if constexpr (!has_all_heights<R, Stride>) return four_or_seven(left, rows);
  return share_of_seven(left);
}

// All of `rows` rows from `first` on; false if too many rows of taps are missing.
template <class V, class T>
bool stream_rows(const DepthwiseColumns<V, 3, 2, T>& columns, const T* image, const T* weights, T* out, ptrdiff_t first,
                 ptrdiff_t rows, const Finish<V>& finish) {
  const DepthwisePlace<V, T> all = place_of(columns, image, weights, out, first, rows);
  if (columns.d.S != 3 || all.first > 1 || all.end < 2 * rows) return false;
  const ptrdiff_t parts = (rows + most_stream_rows - 1) / most_stream_rows;
  for (ptrdiff_t part = 0; part < parts; ++part) {
    const ptrdiff_t begin = rows * part / parts, end = rows * (part + 1) / parts;
    depthwise_row_of_streams<V>(columns, place_of(columns, image, weights, out, first + begin, end - begin), finish);
  }
  return true;
}

// One filter's rows.
template <class V, int R, int Stride, class T>
void depthwise_plane(const DepthwiseColumns<V, R, Stride, T>& columns, const T* image, const T* weights, T* out,
                     const Finish<V>& finish) {
  const DepthwiseRows<T>& d = columns.d;
  const ptrdiff_t classes = Stride == 1 ? d.dilation_h : 1;  // rows a dilation apart share their image rows
  for (ptrdiff_t first = d.first_row; first < d.last_row && first < d.first_row + classes; ++first) {
    const ptrdiff_t rows = (d.last_row - first + classes - 1) / classes;
    if constexpr (holds_weights<R> && Stride == 2)
      if (stream_rows<V>(columns, image, weights, out, first, rows, finish)) continue;
    for (ptrdiff_t done = 0; done < rows;) {
      const ptrdiff_t m = next_rows<V, R, Stride>(rows - done, rows, columns.tall);
      if (m > rows - done) done = rows - m;
      row_tile_of<V, R, Stride, T>(m)(columns, image, weights, out, first + done * classes, m, finish);
      done += m;
    }
  }
}

// Calls plane(image, weights, out, finish) for each filter.
template <class V, class T, class Plane>
[[gnu::always_inline]] inline void depthwise_filters(const DepthwiseRows<T>& d, Plane plane) {
  const Epilogue<T>& e = *d.epilogue;
  Finish<V> finish{V::zero(), V::broadcast(e.low), V::broadcast(e.high), clips(e)};
  const T* image = d.image;
  ptrdiff_t position = d.position;
  for (ptrdiff_t f = 0; f < d.filters; ++f) {
    T* out = d.out + f * d.plane;
    if (e.bias) finish.bias = V::broadcast(e.bias[f]);
    plane(image, d.weights + f * d.R * d.S, out, finish);
    if (e.second_pass) activate(out + d.first_row * d.Q, (d.last_row - d.first_row) * d.Q, e);
    if (++position == d.per_channel) {
      position = 0;
      image += d.H * d.W;
    }
  }
}

// Planes that are one tile of M rows: all but the pointers stays in registers from filter to filter.
template <class V, int R, int Stride, int M, class T>
bool depthwise_small_planes(const DepthwiseColumns<V, R, Stride, T>& columns) {
  const DepthwiseRows<T>& d = columns.d;
  constexpr int steps = Stride * (M - 1) + R;
  if (d.last_row - d.first_row != M || d.first_row != 0 || columns.tiles > 1 || d.S != R || d.dilation_w != 1 ||
      d.dilation_h != 1)
    return false;
  const ptrdiff_t missing_below = steps - d.pad_top - d.H;
  if (Stride == 1 ? d.pad_top != R / 2 || missing_below != R / 2 : d.pad_top > R / 2 || missing_below > R / 2)
    return false;
  DepthwisePlace<V, T> at{};
  at.pitch = d.W;
  at.S = R;
  at.dilation_w = 1;
  at.first = d.pad_top;
  at.end = d.H + d.pad_top;
  at.out_pitch = d.Q;
  at.partial = columns.partial;
  at.columns = at.out_pitch == d.Q ? d.Q : 0;
  at.live = columns.live;
  at.rows = M;
  const bool shifts = Stride == 1 ? d.pad_left == 1 && d.Q == d.W : columns.partial;
  depthwise_filters<V>(d, [&](const T* image, const T* weights, T* out, const Finish<V>& finish) {
    at.weights = weights;
    const T* x = image - d.pad_top * d.W - d.pad_left;
    constexpr Border border = Stride == 1 ? Border::whole : Border::edge;
    if constexpr (holds_weights<R>) {
      const Weights3x3<V> w = load_weights<V>(weights);
      if constexpr (Stride == 1) {
        if (shifts)
          depthwise_tile_3x3<M, border, Sides::single>(at, x, columns.left, w, out, finish);
        else
          depthwise_tile_3x3<M, border, Sides::masked>(at, x, columns.left, w, out, finish);
      } else {
        const StreamEnd<V> end{finish, finish.clips, true, columns.live};
        if (shifts)
          stream_tile<Sides::single, M>(at, x, columns.left, w, out, end);
        else
          stream_tile<Sides::masked, M>(at, x, columns.left, w, out, end);
      }
    } else {
      depthwise_tile<V, R, Stride, M, border, true>(at, x, columns.left, out, finish);
    }
  });
  return true;
}

template <class E, int R, int Stride, class T>
void depthwise_planes(const DepthwiseRows<T>& d) {
  using V = Vec<E>;
  constexpr int most = most_tile_rows<R, Stride>();
  const DepthwiseColumns<V, R, Stride, T> columns(d);
  if constexpr (has_tall_tiles<R, Stride>)
    if (depthwise_small_planes<V, R, Stride, tall_tile_rows>(columns)) return;
  if constexpr (!is_phase<R>)
    if (depthwise_small_planes<V, R, Stride, most>(columns)) return;
  depthwise_filters<V>(d, [&](const T* image, const T* weights, T* out, const Finish<V>& finish) {
    depthwise_plane(columns, image, weights, out, finish);
  });
}

template <class T, class E>
void depthwise_of_width(const DepthwiseRows<T>& d) {
  const bool two = d.stride == 2;
  switch (d.R) {
    case 1:
      return depthwise_planes<E, 1, 1>(d);
    case 2:
      return depthwise_planes<E, 2, 1>(d);
    case 4:
      return depthwise_planes<E, 4, 1>(d);
    case 3:
      return two ? depthwise_planes<E, 3, 2>(d) : depthwise_planes<E, 3, 1>(d);
    case 5:
      return two ? depthwise_planes<E, 5, 2>(d) : depthwise_planes<E, 5, 1>(d);
    case 7:
      return two ? depthwise_planes<E, 7, 2>(d) : depthwise_planes<E, 7, 1>(d);
  }
}

// Half vectors where they leave fewer lanes idle, and at stride 1 on wide maps (3x3 at 112: 90 to 74 GFLOP/s).
template <class T>
bool fills_half_vectors(const DepthwiseRows<T>& d) {
  constexpr ptrdiff_t L = Vec<T>::lanes, half = Vec<Narrow<T>>::lanes;
  const bool fewer_idle = (d.Q + half - 1) / half % 2 == 1;
  return half < L && (d.stride == 2 ? fewer_idle && d.Q < 2 * L : fewer_idle || d.Q >= 3 * L);
}

template <class T>
void depthwise_rows(const DepthwiseRows<T>& d) {
  if (fills_half_vectors(d))
    depthwise_of_width<T, Narrow<T>>(d);
  else
    depthwise_of_width<T, T>(d);
}

template <class T>
constexpr DepthwiseKernels<T> depthwise_table() {
  return {depthwise_rows<T>};
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
