// What an operator calls: from one array to another, of fixed shapes, with everything prepared beforehand.
#pragma once

#include "fastconv/dtype.hpp"

namespace fastconv {

class Operation {
 public:
  Operation() = default;
  Operation(Operation&&) = default;
  virtual ~Operation() = default;

  // Contiguous arrays that do not overlap. False if interrupted: the output is then incomplete.
  virtual bool run(const void* input, void* output) const = 0;
  virtual bool is_brief() const = 0;  // as fastconv::is_brief in plan.hpp
  virtual DType dtype() const = 0;
};

}  // namespace fastconv
