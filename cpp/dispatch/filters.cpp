#include "dispatch/filters.hpp"

#include <algorithm>

#include "base/parallel_for.hpp"

namespace fastconv {

namespace {

// Channels come outside in the one order and inside in the other: blocks of both share L1. (With 16 of 512 channels,
// whose kernels lie 18 KiB apart in both orders, its sets overflow.)
constexpr Extent block = 8;

// `count` kernels' taps, one kernel `step` behind the other, to places `to_step` apart. A loop over few taps, whose
// length the compiler does not know, took three times as long.
template <Extent Length, class T>
void pick(const T* kernel, Extent step, Extent count, const Extent* at, Extent length, T* out, Extent to_step) {
  if constexpr (Length > 0) {
    Extent own[Length];
    std::copy_n(at, Length, own);
    for (Extent c = 0; c < count; ++c, kernel += step, out += to_step)
      for (Extent i = 0; i < Length; ++i) out[i] = kernel[own[i]];
  } else {
    for (Extent c = 0; c < count; ++c, kernel += step, out += to_step)
      for (Extent i = 0; i < length; ++i) out[i] = kernel[at[i]];
  }
}

template <class T>
auto picker(Extent length) {
  switch (length) {
    case 1:
      return pick<1, T>;
    case 2:
      return pick<2, T>;
    case 3:
      return pick<3, T>;
    case 4:
      return pick<4, T>;
    case 6:
      return pick<6, T>;
    case 9:
      return pick<9, T>;
    default:
      return pick<0, T>;
  }
}

}  // namespace

bool gather_filters(const Part& part, const void* weight, int threads, void* to) {
  const ConvProblem& p = part.problem;
  const FilterMap& map = part.filters;
  const bool nhwc = p.layout == Layout::nhwc;
  // Taps in depth follow those of the plane, or with channels last come outside the channels.
  const Extent outer = nhwc ? map.depth_taps : 1, length = nhwc ? map.plane_taps : map.depth_taps * map.plane_taps;
  const Extent Kg = p.K_per_group() / map.phases, Cg = p.C_per_group() / map.depth_taps;
  const Extent blocks = (Kg + block - 1) / block;
  return with_type(p.dtype, [&](auto t) {
    using T = decltype(t);
    const auto own_pick = picker<T>(length);
    return parallel_for(p.groups * blocks, threads, [&](Extent task, int) {
      const Extent g = task / blocks, first = task % blocks * block, last = std::min(Kg, first + block);
      for (Extent c = 0; c < Cg; c += block)
        for (Extent k = first; k < last; ++k)
          for (Extent f = 0; f < map.phases; ++f)
            for (Extent m = 0; m < outer; ++m) {
              const Extent* const at = map.taps.data() + (f * outer + m) * length;
              const T* const kernel = static_cast<const T*>(weight) + g * map.group + k * map.filter + c * map.channel;
              T* const out = static_cast<T*>(to) + ((((g * map.phases + f) * Kg + k) * outer + m) * Cg + c) * length;
              own_pick(kernel, map.channel, std::min(Cg - c, block), at, length, out, length);
            }
    });
  });
}

std::vector<Extent> tap_places(const Part& part) {
  const FilterMap& map = part.filters;
  if (map.as_they_lie || map.phases != 1 || map.depth_taps != 1 || map.filter != map.plane_taps) return {};
  std::vector<Extent> places(std::size_t(map.plane_taps), -1);
  for (Extent i = 0; i < map.plane_taps; ++i) places[std::size_t(map.taps[std::size_t(i)])] = i;
  return places;
}

void per_filter(const Part& part, const void* values, void* to) {
  const Extent groups = part.problem.groups, phases = part.filters.phases, Kg = part.problem.K_per_group() / phases;
  with_type(part.problem.dtype, [&](auto t) {
    using T = decltype(t);
    for (Extent g = 0; g < groups; ++g)
      for (Extent f = 0; f < phases; ++f)
        std::copy_n(static_cast<const T*>(values) + g * Kg, Kg, static_cast<T*>(to) + (g * phases + f) * Kg);
  });
}

}  // namespace fastconv
