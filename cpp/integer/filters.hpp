// Filters as words, and what sums begin with.
#pragma once

#include "fastconv/integer_plan.hpp"
#include "gemm/product.hpp"
#include "integer/word_grid.hpp"

namespace fastconv {

// Of one group: panels of rows as register tiles take them; and per filter, its sums' beginning and what is left of
// its zero point for window sums.
struct PackedFilters {
  Split panels;  // of the filters of a group
  Extent steps;

  PackedFilters(const ConvProblem& problem, const WordGrid& grid, const DotKernels& kernels)
      : panels(problem.K_per_group(), kernels.rows), steps(grid.steps()) {}
  Extent group_words() const { return panels.total * steps; }
};

// Whether sums of windows are needed: some filter's zero point does not vanish by what was done to its values.
bool needs_windows(const IntegerConvolution& convolution, const DotKernels& kernels);

// `words`: group_words() per group. `initial`, `zeros`: K numbers.
void pack_filters(const IntegerConvolution& convolution, const WordGrid& grid, const DotKernels& kernels,
                  const PackedFilters& packed, const void* weight, std::int32_t* words, std::int32_t* initial,
                  std::int32_t* zeros);

// A row of weights, all of them 1: its sums are those of windows.
void pack_ones(const ConvProblem& problem, const WordGrid& grid, std::int32_t* words);

}  // namespace fastconv
