// A block of the im2col matrix: rows (c, r, s) of one image's channels, columns a run of output pixels. Packed beside
// the GEMM that uses it, so the whole matrix, R * S times the image, never exists (MLAS does likewise).
#pragma once

#include "fastconv/problem.hpp"
#include "kernels/kernel_set.hpp"

namespace fastconv {

// to[(row - first_row) * ld + column] for rows [first_row, last_row) of the matrix and output pixels [first, first +
// count), pixels numbered p * Q + q. `image` is the first channel of the group.
template <class T>
void pack_im2col_block(const ConvProblem& problem, const KernelSet<T>& set, const T* image, Extent first_row,
                       Extent last_row, Extent first, Extent count, T* to, Extent ld);

// A row length that is an odd number of cache lines: rows that are a power of two apart would share L1 sets.
template <class T>
Extent odd_lines(Extent values) {
  const Extent line = 64 / Extent(sizeof(T));
  const Extent lines = (values + line - 1) / line;
  return (lines | 1) * line;
}

}  // namespace fastconv
