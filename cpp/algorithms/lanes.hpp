// Pixels or output channels along the vectors? Both products exist for `pointwise` and `direct`; this is the choice
// between them, and the packing of weights that goes with it.
#pragma once

#include "algorithms/common.hpp"

namespace fastconv {

// run_length(problem): how many neighbouring output pixels the algorithm can lay along vectors.
template <Extent (*run_length)(const ConvProblem&)>
struct Lanes {
  template <class T>
  static bool are_channels(const ConvProblem& p, const KernelSet<T>& set) {
    return channel_share(set.lanes, p.K_per_group(), p.taps()) > pixel_share(set.lanes, run_length(p));
  }

  static double share(const ConvProblem& p, const Kernels& kernels) {
    const Extent lanes = p.dtype == DType::float32 ? kernels.f32.lanes : kernels.f64.lanes;
    return std::max(channel_share(lanes, p.K_per_group(), p.taps()), pixel_share(lanes, run_length(p)));
  }

  static std::string variant(const ConvProblem& p, const Kernels& kernels) {
    return with_type(
        p, [&](auto t) { return are_channels(p, kernel_set<decltype(t)>(kernels)) ? "channel lanes" : "pixel lanes"; });
  }

  // Values of one group's packed weights: channel lanes fill up the last vector.
  template <class T>
  static Extent packed_group(const ConvProblem& p, const KernelSet<T>& set) {
    return (are_channels(p, set) ? padded_filters(set, p.K_per_group()) : p.K_per_group()) * p.taps();
  }

  static std::size_t packed_bytes(const ConvProblem& p, const Kernels& kernels) {
    return with_type(p, [&](auto t) {
      using T = decltype(t);
      return std::size_t(p.groups * packed_group(p, kernel_set<T>(kernels))) * sizeof(T);
    });
  }

  template <class T>
  static void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
    const KernelSet<T>& set = kernel_set<T>(kernels);
    const auto pack_filters = are_channels(p, set) ? pack_channel_lanes<T> : pack_pixel_lanes<T>;
    pack_groups(p, packed_group(p, set), weight, reinterpret_cast<T*>(packed),
                [&](const T* from, T* to) { pack_filters(set, from, p.K_per_group(), p.taps(), to); });
  }
};

}  // namespace fastconv
