#include "winograd/weights.hpp"

#include <algorithm>

namespace fastconv::filtering {

template <class T>
void pack_weights(const Variant& variant, const Tilings& t, const KernelSet<T>& set, const T* weight, const T* scales,
                  Extent filters, Extent channels, T* packed) {
  const Domain domain(t, channels, set.lanes);
  const Extent panel = channel_panel(set), padded = padded_filters(set, filters);
  const Extent S = t.columns.kernel, taps = t.rows.kernel * S;
  const Extent stride_h = t.rows.stride, stride_w = t.columns.stride;
  // A panel's taps, a few channels at a time: [channel][tap][filter], in L1.
  alignas(cache_line) T block[most_winograd_taps * most_winograd_taps * max_channel_vectors * widest_lanes];
  for (Extent k0 = 0; k0 < padded; k0 += panel) {
    const Extent lanes = std::min(panel, padded - k0), live = std::min(lanes, filters - k0);
    const bool is_scaled = std::any_of(scales + k0, scales + k0 + live, [](T scale) { return scale != 1; });
    const Extent most = std::max<Extent>(1, Extent(std::size(block)) / (taps * lanes));
    WinogradWeights<T> w;
    w.lanes = lanes;
    w.from_step = taps * lanes;
    for (Extent c = 0; c < channels; c += w.channels) {
      w.channels = std::min(most, channels - c);
      const T* const from = weight + (k0 * channels + c) * taps;
      set.transpose_pack({from, channels * taps, live, w.channels * taps, block, lanes, lanes, nullptr});
      for (Extent i = 0; is_scaled && i < w.channels * taps; ++i)
        for (Extent k = 0; k < live; ++k) block[i * lanes + k] /= scales[k0 + k];
      for (Extent phase = 0; phase < domain.phases; ++phase) {
        const Extent ph = phase / stride_w, pw = phase % stride_w;
        w.from = block + (ph * S + pw) * lanes;
        w.rows = {table(variant.rows).weight, t.rows.points, t.rows.taps_of(ph), stride_h * S * lanes};
        w.columns = {table(variant.columns).weight, t.columns.points, t.columns.taps_of(pw), stride_w * lanes};
        for (Extent xi = 0; xi < domain.planes; ++xi) {
          const Extent i = xi / t.columns.points, j = xi % t.columns.points;
          Extent step = c;  // those of earlier phases come first
          for (Extent q = 0; q < phase; ++q) step += domain.has(t, i, j, q) ? channels : 0;
          w.to[xi] = domain.has(t, i, j, phase)
                         ? packed + k0 * domain.all() + (domain.begin[std::size_t(xi)] + step) * lanes
                         : nullptr;
        }
        set.winograd_weights(w);
      }
    }
  }
}

template void pack_weights(const Variant&, const Tilings&, const KernelSet<float>&, const float*, const float*, Extent,
                           Extent, float*);
template void pack_weights(const Variant&, const Tilings&, const KernelSet<double>&, const double*, const double*,
                           Extent, Extent, double*);

}  // namespace fastconv::filtering
