// A transposed convolution with weights that are used once: one product of the inputs with the weights as they lie,
// (C) x (K / groups, taps), then each of its values added to the output under it. Nothing is brought into order but a
// block of weights at a time on its way to the register tiles, so it pays where weights outnumber the outputs: packing
// for an InterleavedPlan passes over the weights twice, and is kept for nothing.
#pragma once

#include "fastconv/epilogue.hpp"
#include "fastconv/layer.hpp"

namespace fastconv {

// Of a transposed layer; `bias` has K values or is null. The same bits for any number of threads. False if interrupted.
// Throws std::invalid_argument if the layer is not sound.
bool spread_product(const Layer& layer, const Activation& activation, const void* input, const void* weight,
                    const void* bias, void* output);

}  // namespace fastconv
