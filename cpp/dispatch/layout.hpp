// Algorithms that read NCHW alone, run on NHWC: through transposed copies of input and output, which are part of the
// call's workspace. The functions are those of algorithm.hpp for a problem in either layout.
#pragma once

#include "base/simplified.hpp"
#include "fastconv/algorithm.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

// Whether the call needs the copies. One pixel lies the same way in both layouts.
inline bool is_transposed(const Algorithm& algorithm, const ConvProblem& problem) {
  const bool one_pixel = problem.H * problem.W == 1 && problem.P() * problem.Q() == 1;
  return problem.layout == Layout::nhwc && !algorithm.takes_nhwc(simplified(problem)) && !one_pixel;
}

// The problem as the algorithm sees it.
inline ConvProblem as_seen(const Algorithm& algorithm, const ConvProblem& problem) {
  ConvProblem seen = simplified(problem);
  if (!algorithm.takes_nhwc(seen)) seen.layout = Layout::nchw;
  return seen;
}

// Workspace of the copies: the input's, then the output's.
std::size_t input_copy_bytes(const ConvProblem& problem);
double layout_cost(const Algorithm& algorithm, const ConvProblem& problem);  // microseconds, beside the algorithm's
std::size_t layout_workspace(const Algorithm& algorithm, const ConvProblem& problem);

// images x rows x columns values into images x columns x rows; false if interrupted.
bool transpose(const Kernels& kernels, DType dtype, int threads, Extent images, Extent rows, Extent columns,
               const void* from, void* to);

}  // namespace fastconv
