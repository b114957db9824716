#include <algorithm>

#include "base/parallel_for.hpp"
#include "dispatch/passes.hpp"

namespace fastconv {

template <class T>
bool gather(const Layer& layer, const Stage& stage, Extent j, int threads, const T* volume, T* images) {
  const Source& source = stage.source;
  const Extent taps = source.taps, groups = layer.groups, C = layer.C, Cg = C / groups, D = layer.axes[0].extent;
  const Extent pixels = layer.axes[1].extent * layer.axes[2].extent, channels = taps * C;
  const auto input_plane = [&](Extent i, Extent m) {
    return source.start + (j + i) * source.image_step + m * source.tap_step;
  };
  if (layer.layout == Layout::nhwc)
    return parallel_for(stage.planes_at_a_time * taps, threads, [&](Extent task, int) {
      const Extent i = task / taps, m = task % taps, d = input_plane(i, m);
      const bool inside = d >= 0 && d < D;
      const T* from = volume + (inside ? d : 0) * pixels * C;
      for (Extent pixel = 0; pixel < pixels; ++pixel, from += C) {
        T* to = images + (i * pixels + pixel) * channels + m * Cg;
        for (Extent g = 0; g < groups; ++g, to += taps * Cg)
          inside ? std::copy_n(from + g * Cg, Cg, to) : std::fill_n(to, Cg, T(0));
      }
    });
  return parallel_for(stage.planes_at_a_time * groups * taps, threads, [&](Extent task, int) {
    const Extent m = task % taps, g = task / taps % groups, i = task / taps / groups;
    const Extent d = input_plane(i, m);
    T* const to = images + (i * channels + g * Cg * taps + m) * pixels;
    const bool inside = d >= 0 && d < D;
    for (Extent c = 0; c < Cg; ++c) {
      T* const plane = to + c * taps * pixels;
      inside ? std::copy_n(volume + ((g * Cg + c) * D + d) * pixels, pixels, plane) : std::fill_n(plane, pixels, T(0));
    }
  });
}

template bool gather(const Layer&, const Stage&, Extent, int, const float*, float*);
template bool gather(const Layer&, const Stage&, Extent, int, const double*, double*);

}  // namespace fastconv
