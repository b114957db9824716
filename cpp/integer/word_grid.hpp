// How a layer's pixels and filters lie as words, of a few values of a sum each (kernels/dot_set.hpp).
//
// A word holds either a pixel of consecutive channels, or consecutive taps of a row of one channel: whichever makes
// fewer words. A depthwise 3x3 has one word per row of taps, a first layer of 3 channels one per pixel.
//
// A block of output rows is computed from a strip: the words that it looks at, with padding, which holds what stands
// for 0, so that no border is a special case. Rows and columns are sorted by phase of the stride, so that the words
// that neighbouring outputs multiply by one word of weights are neighbours: a vector. Rows of the strip follow one
// another closely; a run of outputs goes on from row to row, over a few that are of no use, if that makes fewer
// vectors.
#pragma once

#include <cstddef>
#include <vector>

#include "fastconv/problem.hpp"
#include "kernels/dot_set.hpp"

namespace fastconv {

class WordGrid {
 public:
  WordGrid(const ConvProblem& problem, const DotKernels& kernels);

  bool along_taps;
  Extent values;  // of a word
  Extent planes;  // of words, of one group's channels
  Extent tap_words;  // of a row of taps
  Extent pitch;  // from row to row of outputs, and of the strip
  Extent shared;  // columns of padding that are both the end of a row and the beginning of the next
  Extent stride;  // of columns
  Extent row_words;  // of a padded row that sets are copied from; 0 if there is one set, which is that row
  Extent tap_reach;  // columns from a word's first tap to its last
  Extent block_rows;  // of outputs, at most
  Extent strip_rows;
  std::vector<Extent> row_phases;
  std::vector<Extent> columns;  // where each set of columns begins in the padded image: phases, or tap words
  bool flat;  // runs go from row to row

  Extent steps() const { return planes * rows_of_taps * tap_words; }
  Extent plane_words() const { return strip_rows * pitch + shared; }  // of one phase
  Extent strip_words() const;  // with what a vector reads too far
  std::vector<std::ptrdiff_t> offsets(const ConvProblem& problem) const;  // of each step

  // The values of word (plane, r, tap word) are the products of channel, column of taps; none if there is no such.
  struct Value {
    Extent channel, tap;
  };
  Value value(Extent plane, Extent tap_word, Extent index) const {
    return along_taps ? Value{plane, tap_word * values + index} : Value{plane * values + index, tap_word};
  }

 private:
  Extent place_blocks(const ConvProblem& problem, Extent lanes);
  Extent rows_of_taps;
  Extent slack;  // words that vectors may read beyond the strip
};

}  // namespace fastconv
