// What happens to a sum on its way to memory: y = activation(sum + bias[k] + residual[n][k][p][q]).
#pragma once

#include <cstdint>

namespace fastconv {

// Every kind but `clip`, and every kind if there is a residual, is a second pass over outputs that were just stored and
// are still in L1.
enum class ActivationKind : std::uint8_t { clip, leaky_relu, hardswish, sigmoid, silu, tanh };

// clip: low <= y <= high, with infinite bounds for "no activation"; NaN passes. leaky_relu: slope in `low`.
struct Activation {
  ActivationKind kind = ActivationKind::clip;
  double low = -__builtin_huge_val();
  double high = __builtin_huge_val();

  bool operator==(const Activation&) const = default;
};

}  // namespace fastconv
