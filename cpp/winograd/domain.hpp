// What is multiplied and summed up, point by point.
#pragma once

#include <array>

#include "gemm/product.hpp"
#include "winograd/variant.hpp"

namespace fastconv::filtering {

// The products' domain: for each point (i, j), number i * columns.points + j, which (phase, channel) steps add up.
struct Domain {
  Extent steps_h, steps_w;  // phases
  Extent phases, channels;  // stride squared; C / groups in whole vectors
  Extent planes;
  Extent C;
  std::array<Extent, cook_toom::most_points * cook_toom::most_points + 1> begin;  // steps before a point's, all before

  Domain(const Tilings& t, Extent C_, Extent lanes)
      : steps_h(t.rows.stride),
        steps_w(t.columns.stride),
        phases(steps_h * steps_w),
        channels(ceil_div(C_, lanes) * lanes),
        planes(t.rows.points * t.columns.points),
        C(C_) {
    begin[0] = 0;
    for (Extent i = 0; i < t.rows.points; ++i)
      for (Extent j = 0; j < t.columns.points; ++j) {
        Extent live = 0;
        for (Extent phase = 0; phase < phases; ++phase) live += has(t, i, j, phase);
        const std::size_t xi = std::size_t(i * t.columns.points + j);
        begin[xi + 1] = begin[xi] + live * C;
      }
  }
  bool has(const Tilings& t, Extent i, Extent j, Extent phase) const {
    return (i + 1 < t.rows.points || t.rows.has_infinity(phase / steps_w)) &&
           (j + 1 < t.columns.points || t.columns.has_infinity(phase % steps_w));
  }
  Extent all() const { return begin[std::size_t(planes)]; }
  Extent steps(Extent xi) const { return begin[std::size_t(xi) + 1] - begin[std::size_t(xi)]; }
};

}  // namespace fastconv::filtering
