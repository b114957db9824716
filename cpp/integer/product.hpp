// Products of packed filters with a strip, for a block of output rows of one group: the loops around the register
// tiles, weights outside, pixels inside, as in gemm/product.hpp.
#pragma once

#include "integer/filters.hpp"
#include "integer/word_grid.hpp"

namespace fastconv {

struct IntegerProduct {
  const DotKernels& kernels;
  const WordGrid& grid;
  const PackedFilters& filters;
  const ConvProblem& problem;
  const std::ptrdiff_t* offset;
  const std::int32_t* strip;
  std::int32_t* scratch;
  const std::int32_t* ones = nullptr;  // null if no window sums are needed
  const std::int32_t *words = nullptr, *initial = nullptr, *zeros = nullptr;  // of the group
  Extent first_row = 0, rows = 0, first_panel = 0, panels = 0;
  Extent first_filter = 0;  // of the group
  Extent first_output = 0;  // its place in the output
  const Requantization* requantization = nullptr;
};

DotScale scale_of(const Requantization& requantization, Extent filter);

std::size_t product_scratch_bytes(const WordGrid& grid, const DotKernels& kernels, bool windows);

void multiply(const IntegerProduct& product, void* output);

}  // namespace fastconv
