// A transposed convolution along one axis, as ordinary ones by stride 1.
#pragma once

#include <vector>

#include "fastconv/lowering.hpp"

namespace fastconv {

// Phases that are one convolution: they look at the same inputs, each with taps of its own.
struct AxisPart {
  std::vector<Run> phases;
  std::vector<std::vector<Extent>> taps;  // of each phase, in the convolution's order
  Extent dilation, before, after;         // of that convolution
};

struct AxisPhases {
  std::vector<AxisPart> parts;
  bool whole;  // every output sees a tap

  bool is_one(Extent outputs) const {
    return parts.size() == 1 && parts[0].phases == std::vector<Run>{{0, 1, outputs, 0}};
  }
};

// In time proportional to the taps, whatever the stride.
AxisPhases axis_phases(const Axis& axis);

}  // namespace fastconv
