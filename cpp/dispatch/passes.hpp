// What happens before and after the convolutions of a stage: planes of the input become channels of images, and values
// of its parts go to their places in the output.
#pragma once

#include <span>
#include <vector>

#include "dispatch/finish.hpp"
#include "fastconv/lowering.hpp"

namespace fastconv {

// Images for `stage.planes_at_a_time` planes of the output from the j-th of the stage on. False if interrupted.
template <class T>
bool gather(const Layer& layer, const Stage& stage, Extent j, int threads, const T* volume, T* images);

// The order in which a stage writes: rows of the output, and the sources of each.
class Scatter {
 public:
  explicit Scatter(const Stage& stage);

  // Values of the parts to their places, of the same planes of `stage.images` volumes. Where the stage has a background
  // outputs begin as `background`, K values. `end` then goes over all of them, if it is not null.
  template <class T>
  bool run(const Layer& layer, const Stage& stage, Extent j, int threads, std::span<const T* const> values,
           const T* background, T* output, const Finish* end) const;

 private:
  // Some columns of some rows of the output are a phase of a part.
  struct Phase {
    std::size_t part;
    Extent filter;  // which multiple of K / groups, within a group, its filters begin at
    Extent skipped_rows;
    Run columns;
  };
  // Rows of the output and all phases that they are made of: whole rows are written at a time.
  struct Rows {
    Run rows;  // `skip` belongs to the phases
    std::vector<Phase> phases;
  };
  template <class T>
  struct Write;

  static bool is_pair(const Rows& rows);
  std::vector<Rows> rows_;
};

}  // namespace fastconv
