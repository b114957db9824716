// A transposed convolution with weights that are used once: one product of the inputs with the weights as they lie,
// (C) x (K / groups, taps), then each of its values added to the output under it. Nothing is brought into order but a
// block of weights at a time on its way to the register tiles, so it pays where weights outnumber the outputs: packing
// for an InterleavedPlan passes over the weights twice, and is kept for nothing.
#pragma once

#include <array>

#include "fastconv/epilogue.hpp"
#include "fastconv/problem.hpp"

namespace fastconv {

// Numbers per axis: depth, height, width; an axis that is not there is one pixel, of one tap.
struct SpreadShape {
  using Numbers = std::array<Extent, 3>;
  DType dtype;
  Layout layout;
  Extent N, C, K, groups;
  Numbers extents, kernel, outputs, stride, dilation, pads;  // pads: outputs cut off in front
};

// Output y takes tap r of input i where y + pad = i * stride + r * dilation. `input` and `output` are in the layout,
// `weight` is (C, K / groups, T, R, S), `bias` has K values or is null. The same bits for any number of threads. False
// if interrupted. Throws std::invalid_argument if a number is out of range.
bool spread_product(const SpreadShape& shape, const Activation& activation, const void* input, const void* weight,
                    const void* bias, void* output);

}  // namespace fastconv
