// What is known of a scale before sums are.
#pragma once

#include "kernels/dot_set.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// Sums times less than a quarter fit 30 bits, with any zero point: they are rounded first. Products with other scales
// that lie within the bounds are exact in double: their sums have 11 bits at most.
bool needs_bounds(const DotScale& s) { return !(s.scale > -0.25f && s.scale < 0.25f); }

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
