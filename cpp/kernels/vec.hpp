// The vector type of the ISA being compiled. A kernel opened alone in an editor gets the portable one.
#pragma once

#include <stddef.h>

#ifndef FASTCONV_ISA
#include "isa/scalar-vec.hpp"
#endif

namespace fastconv::FASTCONV_ISA {
namespace {

// A number known at compile time, as an argument.
template <int N>
struct Constant {
  static constexpr int value = N;
};

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
