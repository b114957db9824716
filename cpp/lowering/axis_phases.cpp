#include "lowering/axis_phases.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace fastconv {

AxisPhases axis_phases(const Axis& axis) {
  // Taps by the first output that sees them; outputs behind it by whole strides see the same ones.
  std::map<Extent, std::vector<Extent>> taps_of;
  for (Extent tap = 0; tap < axis.taps; ++tap) {
    const Extent remainder = (tap * axis.dilation - axis.before) % axis.stride;
    const Extent first = remainder < 0 ? remainder + axis.stride : remainder;
    if (first < axis.outputs) taps_of[first].push_back(tap);
  }
  const Extent step = axis.dilation / std::gcd(axis.dilation, axis.stride);

  struct Group {
    Extent start, length, longest;
    AxisPart part;
  };
  std::vector<Group> groups;
  std::map<std::pair<Extent, Extent>, std::size_t> group_of;  // by start and length
  Extent covered = 0;
  for (auto& [first, taps] : taps_of) {
    std::reverse(taps.begin(), taps.end());
    const Extent count = (axis.outputs - first + axis.stride - 1) / axis.stride, length = Extent(taps.size());
    // The input under the first output's first tap; the division leaves no remainder.
    const Extent start = (first + axis.before - taps[0] * axis.dilation) / axis.stride;
    covered += count;
    const auto [known, is_new] = group_of.try_emplace({start, length}, groups.size());
    if (is_new) groups.push_back({start, length, 0, {{}, {}, step, 0, 0}});
    Group& group = groups[known->second];
    // Inputs in front that no output looks at: values are made of them, and passed over.
    group.part.phases.push_back({first, axis.stride, count, std::max<Extent>(start, 0)});
    group.part.taps.push_back(std::move(taps));
    group.longest = std::max(group.longest, count);
  }
  AxisPhases phases{{}, covered == axis.outputs};
  for (Group& g : groups) {
    const Extent last = g.start + (g.length - 1) * step + g.longest - 1;
    g.part.before = std::max<Extent>(-g.start, 0);
    g.part.after = std::max<Extent>(last - (axis.extent - 1), 0);
    phases.parts.push_back(std::move(g.part));
  }
  return phases;
}

}  // namespace fastconv
