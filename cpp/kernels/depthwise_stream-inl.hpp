// 3x3 depthwise tiles at stride 2, of one vector and any number of rows, for ISAs with registers for all nine weights.
// Down the rows of pixels, each split into even and odd ones; the third column of taps is the first moved by a lane. An
// output is the sum of three parts, one per column of taps: nine products one after the other would wait for each
// other.
#pragma once

#include "kernels/depthwise_tile-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// `single` is a row's only tile with lanes to spare: its last lane needs no neighbour.
template <Sides sides, class V, class T>
[[gnu::always_inline]] inline Three<V> load_row(const T* x, const typename V::Window (&w)[3]) {
  constexpr int L = V::lanes;
  Three<V> v;
  if constexpr (sides == Sides::inner) {
    split_even_odd(V::load(x), V::load(x + L), v.of[0], v.of[1]);
    v.of[2] = shift_in(v.of[0], V::broadcast(x[2 * L]));
  } else {
    split_even_odd(V::load(x, w[0]), V::load(x + L, w[1]), v.of[0], v.of[1]);
    v.of[2] = shift_in(v.of[0], sides == Sides::masked ? V::load(x + 2 * L, w[2]) : V::zero());
  }
  return v;
}

template <class V>
[[gnu::always_inline]] inline void add_row(Three<V>& sum, const Three<V>& w, const Three<V>& v) {
#pragma GCC unroll 3
  for (int s = 0; s < 3; ++s) sum.of[s] = fma(w.of[s], v.of[s], sum.of[s]);
}

template <class V>
struct StreamEnd {
  Finish<V> finish;
  bool clips, partial;
  typename V::Mask live;

  template <class T>
  [[gnu::always_inline]] void store(const Three<V>& sum, T* out) const {
    V v = add(add(sum.of[0], sum.of[1]), sum.of[2]);
    if (clips) v = clip(v, finish.low, finish.high);
    if (partial)
      v.store(out, live);
    else
      v.store(out);
  }
};

// at.rows >= 1 output rows (Rows, if that is not 0). At most the first and the last step may be outside the image.
template <Sides sides, int Rows, class V, class T>
[[gnu::always_inline]] inline void stream_tile(const DepthwisePlace<V, T>& at, const T* x, const Windows<V>& windows,
                                               const Weights3x3<V>& w, T* out, const StreamEnd<V>& end) {
  const ptrdiff_t rows = Rows ? Rows : at.rows, pitch = at.pitch, out_pitch = at.out_pitch;
  const typename V::Window window[3] = {windows.of[0], windows.of[1], windows.next};
  const Three<V> empty{{end.finish.bias, V::zero(), V::zero()}};
  Three<V> sum = empty;
  const auto load = [&]() __attribute__((always_inline)) {
    const Three<V> v = load_row<sides, V>(x, window);
    step_down(x, pitch);
    return v;
  };
  const auto store = [&]() __attribute__((always_inline)) {
    end.store(sum, out);
    step_down(out, out_pitch);
  };
  const auto row = [&]() __attribute__((always_inline)) {
    add_row(sum, w.of[1], load());
    const Three<V> v = load();
    add_row(sum, w.of[2], v);
    store();
    sum = empty;
    add_row(sum, w.of[0], v);
  };
  if (at.first == 0)
    add_row(sum, w.of[0], load());
  else
    step_down(x, pitch);
  if constexpr (Rows != 0) {
#pragma GCC unroll 16
    for (int i = 0; i + 1 < Rows; ++i) row();
  } else {
    for (ptrdiff_t i = 0; i + 1 < rows; ++i) row();
  }
  add_row(sum, w.of[1], load());
  if (at.end >= 2 * rows + 1) add_row(sum, w.of[2], load());
  store();
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
