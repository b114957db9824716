// Winograd's transforms along one axis (winograd-inl.hpp, winograd_weights-inl.hpp). Plain data only, as in
// kernel_set.hpp.
#pragma once

#include <stddef.h>

#include "kernels/epilogue.hpp"
#include "kernels/winograd_axes.hpp"

namespace fastconv {

// One axis of Winograd's transforms: `groups` of `count` lines, each of a few vectors of channels, into as many vectors
// of points (input), or points into outputs. See winograd-inl.hpp.
template <class T>
struct WinogradLines {
  ptrdiff_t groups, count;
  const T* from[cook_toom::most_points];  // of the first line; null for zeros (input only)
  ptrdiff_t from_group, from_step;  // to the next group's, and the next line's
  T* to[cook_toom::most_points];
  ptrdiff_t to_group, to_step;
  const Epilogue<T>* epilogue;  // output[1]: `bias` is one vector; kinds other than clip are left to the caller
};

// Weights of a few channels into Winograd's domain, for one panel of filters. Along an axis: its coefficients
// [point][tap] and how far apart taps lie.
inline constexpr int most_winograd_taps = 7;  // 1, 2, 3, 5 or 7
struct WinogradWeightAxis {
  const double (*weight)[cook_toom::most_points];
  ptrdiff_t points, taps, tap_step;
};
template <class T>
struct WinogradWeights {
  WinogradWeightAxis rows, columns;
  ptrdiff_t channels, lanes;  // lanes: filters of the panel, whole vectors
  const T* from;  // from[tap][filter] of the first channel
  ptrdiff_t from_step;  // to the next channel's
  T* to[cook_toom::most_points * cook_toom::most_points];  // [channel][filter] for each point; null if not wanted
};

// For tiles of one size along an axis: input with and without the point at infinity (and the input that only it takes),
// output without and with the epilogue.
template <class T>
struct WinogradTransforms {
  void (*input[2])(const WinogradLines<T>&);
  void (*output[2])(const WinogradLines<T>&);
};

template <class T>
struct WinogradKernels {
  WinogradTransforms<T> winograd[winograd_axes][2];  // by WinogradAxis; whole tiles, tails
  void (*winograd_weights)(const WinogradWeights<T>&);
};

}  // namespace fastconv
