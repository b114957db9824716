// Algorithms that read NCHW alone, run on NHWC: through transposed copies of input and output, which are part of the
// call's workspace. The functions are those of algorithm.hpp for a problem in either layout.
#pragma once

#include "fastconv/algorithm.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

// Whether the call needs the copies.
inline bool is_transposed(const Algorithm& algorithm, const ConvProblem& problem) {
  return problem.layout == Layout::nhwc && !algorithm.takes_nhwc;
}

// The problem as the algorithm sees it.
inline ConvProblem as_seen(const Algorithm& algorithm, const ConvProblem& problem) {
  ConvProblem seen = problem;
  if (is_transposed(algorithm, problem)) seen.layout = Layout::nchw;
  return seen;
}

double layout_cost(const Algorithm& algorithm, const ConvProblem& problem);  // microseconds, beside the algorithm's
std::size_t layout_workspace(const Algorithm& algorithm, const ConvProblem& problem);

// images x rows x columns values into images x columns x rows; false if interrupted.
bool transpose(const Kernels& kernels, DType dtype, int threads, Extent images, Extent rows, Extent columns,
               const void* from, void* to);

}  // namespace fastconv
