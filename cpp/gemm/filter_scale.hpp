// Weights near the ends of a type's range, for algorithms that transform them: what the transforms make of them may be
// too small or too large where products with the inputs are not. Such a filter is packed divided by a power of two, and
// its sums are multiplied by it.
#pragma once

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <limits>

#include "fastconv/problem.hpp"
#include "kernels/kernel_set.hpp"

namespace fastconv {

// Whether a number became too small for all its digits, or too large, since this was made: the processor says so, and
// weights need not be looked at beforehand. The thread's flags are left as they were.
class RangeFlags {
 public:
  RangeFlags() {
    std::fegetexceptflag(&before_, kinds);
    std::feclearexcept(kinds);
  }
  ~RangeFlags() { std::fesetexceptflag(&before_, kinds); }
  RangeFlags(const RangeFlags&) = delete;
  RangeFlags& operator=(const RangeFlags&) = delete;

  bool are_raised() const { return std::fetestexcept(kinds) != 0; }

 private:
  static constexpr int kinds = FE_UNDERFLOW | FE_OVERFLOW;
  std::fexcept_t before_;
};

// A filter's power of two: 1 for weights that transforms do not harm, and for those that are not finite.
//
// What counts is the largest weight of each channel, as an input of that channel is multiplied by it. Of such weights
// the transforms keep their digits from `low` to `high`: they may divide by 2^16, and add up as much. What is raised
// stays so small that sums which were finite remain so.
template <class T>
T filter_scale(const T* filter, Extent channels, Extent taps) {
  using Limits = std::numeric_limits<T>;
  constexpr int spare = 16, smallest = Limits::min_exponent - 1 + Limits::digits + spare;
  constexpr int largest = Limits::max_exponent - 1 - spare, most_raised = -Limits::digits;
  const T low = std::ldexp(T(1), smallest), high = std::ldexp(T(1), largest);
  T least = Limits::max(), most = 0;
  for (Extent c = 0; c < channels; ++c) {
    T of_channel = 0;
    for (Extent i = c * taps; i < (c + 1) * taps; ++i) {
      if (!std::isfinite(filter[i])) return 1;
      of_channel = std::max(of_channel, std::abs(filter[i]));
    }
    if (of_channel != 0) least = std::min(least, of_channel);
    most = std::max(most, of_channel);
  }
  if (most > high) return std::ldexp(T(1), std::ilogb(most) - largest);
  if (most == 0 || least >= low) return 1;
  const int up = std::min(smallest - std::ilogb(least), most_raised - std::ilogb(most));
  return up > 0 ? std::ldexp(T(1), -up) : T(1);
}

// Calls pack() and, if weights left the type's range, once more with other scales than 1, one for each filter of KCRS.
template <class T, class Pack>
void pack_in_range(const ConvProblem& p, const T* weight, T* scales, Pack&& pack) {
  std::fill_n(scales, p.K, T(1));
  {
    const RangeFlags flags;
    pack();
    if (!flags.are_raised()) return;
  }
  bool any = false;
  for (Extent k = 0; k < p.K; ++k) {
    scales[k] = filter_scale(weight + k * p.taps(), p.C_per_group(), p.R * p.S);
    any |= scales[k] != 1;
  }
  if (any) pack();
}

// Bias and bounds of an output that a kernel has left without, being a sum of divided weights.
template <class T>
T rescaled(T sum, T scale, T bias, const Epilogue<T>& e) {
  T y = sum * scale + bias;
  y = y < e.low ? e.low : y;  // NaN passes
  return y > e.high ? e.high : y;
}

}  // namespace fastconv
