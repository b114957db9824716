// Weights into Winograd's domain, G g G^T, filters as lanes: in double whatever the element type, rounded once.
#pragma once

#include "kernels/vec.hpp"
#include "kernels/winograd_set.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// A vector of T in doubles. (One half after the other: the points' lines, which often lie a power of two apart, would
// leave the caches half written.)
template <class T>
struct Doubles {
  static constexpr int parts = Vec<T>::lanes / Vec<double>::lanes;
  Vec<double> v[parts];
};

// put(point, the sum over the taps of its coefficients times `value`). With loops over the taps, half as fast.
template <int taps, class T, class Put>
[[gnu::always_inline]] inline void transform_taps(const WinogradWeightAxis& axis, const Doubles<T>* value, Put&& put) {
  using Double = Vec<double>;
  Doubles<T> v[taps];
#pragma GCC unroll 8
  for (int t = 0; t < taps; ++t)
    for (int part = 0; part < Doubles<T>::parts; ++part) v[t].v[part] = hold(value[t].v[part]);
  for (ptrdiff_t i = 0; i < axis.points; ++i) {
    const double* const row = axis.weight[i];
    Doubles<T> sum;
#pragma GCC unroll 8
    for (int t = 0; t < taps; ++t) {
      const Double weight = Double::broadcast(row[t]);
      for (int part = 0; part < Doubles<T>::parts; ++part)
        sum.v[part] = t == 0 ? mul(weight, v[t].v[part]) : fma(weight, v[t].v[part], sum.v[part]);
    }
    put(i, sum);
  }
}

template <class T, class Put>
inline void transform_weights(const WinogradWeightAxis& axis, const Doubles<T>* value, Put&& put) {
  switch (axis.taps) {
    case 1:
      return transform_taps<1, T>(axis, value, put);
    case 2:
      return transform_taps<2, T>(axis, value, put);
    case 3:
      return transform_taps<3, T>(axis, value, put);
    case 5:
      return transform_taps<5, T>(axis, value, put);
    default:
      static_assert(most_winograd_taps == 7);
      return transform_taps<7, T>(axis, value, put);
  }
}

template <class T>
void winograd_weights(const WinogradWeights<T>& w) {
  using Double = Vec<double>;
  using Ds = Doubles<T>;
  constexpr int most = most_winograd_taps;
  const ptrdiff_t rows = w.rows.taps, columns = w.columns.taps;
  Ds taps[most], half[cook_toom::most_points * most];
  for (ptrdiff_t c = 0; c < w.channels; ++c)
    for (ptrdiff_t k = 0; k < w.lanes; k += Vec<T>::lanes) {
      const T* const from = w.from + c * w.from_step + k;
      for (ptrdiff_t s = 0; s < columns; ++s) {
        for (ptrdiff_t r = 0; r < rows; ++r)
          for (int part = 0; part < Ds::parts; ++part)
            taps[r].v[part] = load_double(from + r * w.rows.tap_step + s * w.columns.tap_step + part * Double::lanes);
        transform_weights<T>(w.rows, taps, [&](ptrdiff_t i, const Ds& sum) { half[i * columns + s] = sum; });
      }
      T* const* to = w.to;
      for (ptrdiff_t i = 0; i < w.rows.points; ++i, to += w.columns.points)
        transform_weights<T>(w.columns, half + i * columns, [&](ptrdiff_t j, const Ds& sum) {
          if (!to[j]) return;
          for (int part = 0; part < Ds::parts; ++part)
            store_double(sum.v[part], to[j] + c * w.lanes + k + part * Double::lanes);
        });
    }
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
