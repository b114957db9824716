// A strip of words from an image of bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fastconv/problem.hpp"
#include "integer/word_grid.hpp"
#include "kernels/dot_set.hpp"

namespace fastconv {

struct StripSource {
  const ConvProblem& problem;
  const WordGrid& grid;
  const DotKernels& kernels;
  bool is_signed;
  int zero;
};

// Bytes that fill_strip needs beside the strip.
std::size_t strip_scratch_bytes(const WordGrid& grid);

// The words that the output rows [first, first + rows) of a group look at. `image`: the group's first channel.
void fill_strip(const StripSource& source, const std::uint8_t* image, Extent first, Extent rows, std::uint8_t* scratch,
                std::int32_t* strip);

}  // namespace fastconv
