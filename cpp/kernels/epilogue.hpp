// The end of every kernel's sums: bias, bounds, and what a second pass over the outputs does. Plain data only, as in
// kernel_set.hpp.
#pragma once

#include <stddef.h>

#include "fastconv/epilogue.hpp"

namespace fastconv {

// What a kernel does with finished sums. Bounds are always applied: infinite ones cost two instructions and no branch.
template <class T>
struct Epilogue {
  const T* bias;  // one value per filter, or null
  T low, high;
  ActivationKind kind;
  T slope;
  // Whether outputs just stored, still in L1, are gone over: for every kind but `clip`, and if residual[i] is added to
  // output[i]. Then clip's bounds are the last ones, and those above infinite.
  bool second_pass = false;
  const T *output = nullptr, *residual = nullptr;  // whole arrays
  T last_low = 0, last_high = 0;
};

}  // namespace fastconv
