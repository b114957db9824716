// A strip of the image that a few output rows look at, copied once with its zero padding, columns split by stride
// phase. In it every tap is a fixed offset and neighbouring outputs are neighbours, whatever the stride, dilation and
// padding: the copy is one image's worth, where im2col is R * S of them, and never more than im2col's.
#pragma once

#include <cstddef>

#include "fastconv/problem.hpp"
#include "kernels/kernel_set.hpp"

namespace fastconv {

struct StripShape {
  Extent first_column, columns;  // output columns the strip serves
  Extent rows;                   // output rows it serves, at most
  bool rows_by_tap;              // input rows stored once per (r, p), because few of the rows between them are used
  bool columns_by_tap;  // columns likewise, once per (s, q): far dilations do not bring all that they reach over
  Extent input_rows;  // rows stored per channel
  Extent phases;  // columns of equal index modulo stride_w lie together, or a tap's columns
  Extent phase_length, row_length;
  Extent channel_stride;  // odd number of cache lines

  Extent values(Extent channels) const { return channels * channel_stride; }
  // Rows that are copied for a channel, each by itself, and their values.
  Extent copied_rows() const { return input_rows * phases; }
  Extent copied_values() const { return input_rows * row_length; }
  Extent row_step(const ConvProblem& p) const { return (rows_by_tap ? 1 : p.stride_h) * row_length; }
};

// For `rows` output rows of `columns` output columns.
StripShape strip_shape(const ConvProblem& problem, Extent rows, Extent columns);

// Offset of tap (r, s) in a channel.
std::ptrdiff_t strip_offset(const ConvProblem& problem, const StripShape& shape, Extent r, Extent s);

// Offset of every (c, r, s), in the order of the weights: `steps` = channels * R * S values.
void strip_offsets(const ConvProblem& problem, const StripShape& shape, Extent channels, std::ptrdiff_t* offset);

// Fills the strip for output rows [first_row, first_row + rows) and columns from first_column on.
template <class T>
void copy_strip(const ConvProblem& problem, const KernelSet<T>& set, const StripShape& shape, const T* image,
                Extent channels, Extent first_row, Extent rows, Extent first_column, T* strip);

}  // namespace fastconv
