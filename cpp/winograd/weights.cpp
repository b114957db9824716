#include "winograd/weights.hpp"

#include <algorithm>

namespace fastconv::filtering {
namespace {

constexpr Extent widest_panel = 64, most = cook_toom::most_points;

// sum[k] = the sum over i < count of factor[i] * value(i)[k], lanes beside each other so that compilers make vectors.
template <class F>
void combine(const double* factor, Extent count, Extent lanes, F&& value, double* sum) {
  for (Extent k = 0; k < lanes; ++k) sum[k] = factor[0] * value(0)[k];
  for (Extent i = 1; i < count; ++i) {
    const double* const v = value(i);
    for (Extent k = 0; k < lanes; ++k) sum[k] += factor[i] * v[k];
  }
}

}  // namespace

template <class T>
void pack_weights(const Variant& variant, const Tilings& t, const KernelSet<T>& set, const T* weight, Extent filters,
                  Extent channels, T* packed) {
  const AxisTable &down = table(variant.rows), &across = table(variant.columns);
  const Domain domain(t, channels, set.lanes);
  const Extent panel = channel_panel(set), padded = padded_filters(set, filters);
  const Extent R = t.rows.kernel, S = t.columns.kernel, stride_h = t.rows.stride, stride_w = t.columns.stride;
  double taps[most][most][widest_panel], half[most][most][widest_panel];
  for (Extent k0 = 0; k0 < padded; k0 += panel) {
    const Extent lanes = std::min(panel, padded - k0), live = std::min(lanes, filters - k0);
    T* const to = packed + k0 * domain.all();
    for (Extent phase = 0; phase < domain.phases; ++phase) {
      const Extent first_r = phase / stride_w, first_s = phase % stride_w;
      const Extent rows = t.rows.taps_of(first_r), columns = t.columns.taps_of(first_s);
      for (Extent c = 0; c < channels; ++c) {
        for (Extent r = 0; r < rows; ++r)
          for (Extent s = 0; s < columns; ++s)
            for (Extent k = 0; k < lanes; ++k)
              taps[r][s][k] = k < live ? double(weight[(((k0 + k) * channels + c) * R + first_r + r * stride_h) * S +
                                                       first_s + s * stride_w])
                                       : 0;
        for (Extent i = 0; i < t.rows.points; ++i)
          for (Extent s = 0; s < columns; ++s)
            combine(down.weight[i], rows, lanes, [&](Extent r) { return taps[r][s]; }, half[i][s]);
        for (Extent i = 0; i < t.rows.points; ++i)
          for (Extent j = 0; j < t.columns.points; ++j) {
            if (!domain.has(t, i, j, phase)) continue;
            Extent step = c;  // those of earlier phases come first
            for (Extent q = 0; q < phase; ++q) step += domain.has(t, i, j, q) ? channels : 0;
            T* const row = to + (domain.begin[std::size_t(i * t.columns.points + j)] + step) * lanes;
            double sum[widest_panel];
            combine(across.weight[j], columns, lanes, [&](Extent s) { return half[i][s]; }, sum);
            for (Extent k = 0; k < lanes; ++k) row[k] = T(sum[k]);
          }
      }
    }
  }
}

template void pack_weights(const Variant&, const Tilings&, const KernelSet<float>&, const float*, Extent, Extent,
                           float*);
template void pack_weights(const Variant&, const Tilings&, const KernelSet<double>&, const double*, Extent, Extent,
                           double*);

}  // namespace fastconv::filtering
