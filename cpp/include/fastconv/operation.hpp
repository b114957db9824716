// What an operator calls: from one array to another, of fixed shapes, with everything prepared beforehand.
#pragma once

#include <cstddef>

#include "fastconv/dtype.hpp"
#include "fastconv/problem.hpp"

namespace fastconv {

// What a call may do to the outputs beside what was prepared.
struct Ending {
  // Added before the activation: contiguous, in the output's order, and apart from it; or the output itself, for what
  // it holds to be added to, of which a copy may be made meanwhile. Null for nothing.
  const void* residual = nullptr;
  bool activated = true;  // false leaves the activation to the caller
};

class Operation {
 public:
  Operation() = default;
  Operation(Operation&&) = default;
  virtual ~Operation() = default;

  // Contiguous arrays that do not overlap. False if interrupted: the output is then incomplete.
  virtual bool run(const void* input, void* output, const Ending& ending) const = 0;
  bool run(const void* input, void* output) const { return run(input, output, {}); }
  virtual bool is_brief() const = 0;  // as fastconv::is_brief in plan.hpp
  virtual DType dtype() const = 0;
  virtual std::size_t packed_bytes() const = 0;  // of weights that it keeps
  virtual Extent input_values() const = 0;  // how many `run` reads and writes, beside weights
  virtual Extent output_values() const = 0;
};

}  // namespace fastconv
