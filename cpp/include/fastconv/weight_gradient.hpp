// The gradient of a convolution by its weights: for each filter, channel and tap, the sum over all outputs of the
// output's gradient times the input under the tap. A matrix product over N * P * Q.
#pragma once

#include "fastconv/problem.hpp"

namespace fastconv {

// `problem` is the convolution. `input` and `output_gradient` are in its layout, `weight` becomes KCRS. Sums are made
// over blocks of outputs that depend on the problem alone, in their order: the same bits for any number of threads.
// False if interrupted. Throws std::invalid_argument if the problem is invalid.
bool weight_gradient(const ConvProblem& problem, const void* input, const void* output_gradient, void* weight);

}  // namespace fastconv
