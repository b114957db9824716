// A problem as algorithms see it.
#pragma once

#include "fastconv/problem.hpp"

namespace fastconv {

// The same sums on the same arrays: an image one column wide is a row of pixels, which algorithms lay along vectors.
ConvProblem simplified(const ConvProblem& problem);

}  // namespace fastconv
