// Weights as the filters of a part, and what there is one of per filter.
#pragma once

#include "fastconv/lowering.hpp"

namespace fastconv {

// `part.problem.weight_size()` values in the order KCRS. False if interrupted.
bool gather_filters(const Part& part, const void* weight, int threads, void* to);

// Where each tap of a transposed layer's weights (C, K / groups, R, S) goes in a part that has all of them once, for
// algorithms that pack from such weights; empty for all other parts.
std::vector<Extent> tap_places(const Part& part);

// A value for each of the part's filters from one for each of the layer's K: repeated for each phase.
void per_filter(const Part& part, const void* values, void* to);

}  // namespace fastconv
