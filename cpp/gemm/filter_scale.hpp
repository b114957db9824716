// Weights near the ends of a type's range, for algorithms that transform them: what the transforms make of them may be
// too small or too large where products with the inputs are not. Such a filter is packed divided by a power of two, and
// its sums are multiplied by it.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "fastconv/problem.hpp"
#include "kernels/kernel_set.hpp"

namespace fastconv {

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
  int outside = 0;
  for (Extent i = 0; i < channels * taps; ++i) {
    const T size = std::abs(filter[i]);
    outside |= int(size != 0) & int(!(size >= low && size <= high));
  }
  if (!outside) return 1;
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

// Bias and bounds of an output that a kernel has left without, being a sum of divided weights.
template <class T>
T rescaled(T sum, T scale, T bias, const Epilogue<T>& e) {
  T y = sum * scale + bias;
  y = y < e.low ? e.low : y;  // NaN passes
  return y > e.high ? e.high : y;
}

}  // namespace fastconv
