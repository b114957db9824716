// How many lanes of a vector are live. Included by the -vec.hpp files behind their FASTCONV_ISA.
#pragma once

#include <stddef.h>

namespace fastconv::FASTCONV_ISA {
namespace {

// Masks are made of any number, also below 0 and beyond 2^31: no caller has to know which numbers make a good one.
constexpr int clamped(ptrdiff_t n, int lanes) { return n < 0 ? 0 : n < lanes ? int(n) : lanes; }

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
