// The axes that Winograd's variants are made of: a row here is all that a new F(m, r) takes. A variant nests two of
// them (winograd/variant.cpp, which also asserts that all are exact: a compiler takes seconds for that, in one unit);
// NAME_none does nothing, for kernels of one row or column.
//
// Points are dyadic, so that every constant of the input's and the output's transform is exact; the weights', which
// are not, are computed in double. Chosen for accuracy.
#pragma once

#include "kernels/cook_toom.hpp"

namespace fastconv {

// X(name, outputs, taps, tail, finite points: pairs p, -p next to each other)
#define FASTCONV_WINOGRAD_AXES(X)                                \
  X(none, 1, 1, 0, {})                                           \
  X(f4_2, 4, 2, 2, {{0}, {3, 4}, {-3, 4}, {2}})                  \
  X(f2_3, 2, 3, 0, {{0}, {1}, {-1}})                             \
  X(f3_3, 3, 3, 2, {{0}, {3, 4}, {-3, 4}, {2}})                  \
  X(f4_3, 4, 3, 2, {{0}, {5, 8}, {-5, 8}, {3, 2}, {-3, 2}})      \
  X(f6_3, 6, 3, 4, {{0}, {1}, {-1}, {2}, {-2}, {1, 2}, {-1, 2}}) \
  X(f2_5, 2, 5, 0, {{0}, {5, 8}, {-5, 8}, {3, 2}, {-3, 2}})      \
  X(f4_5, 4, 5, 2, {{0}, {1}, {-1}, {1, 2}, {-1, 2}, {2}, {-2}}) \
  X(f2_7, 2, 7, 0, {{0}, {1}, {-1}, {2}, {-2}, {1, 2}, {-1, 2}}) \
  X(f4_7, 4, 7, 2, {{0}, {3, 4}, {-3, 4}, {5, 4}, {-5, 4}, {3, 8}, {-3, 8}, {5, 2}, {-5, 2}})

namespace winograd_axis {

// Each a type, so that it can be a template's argument with every compiler.
#define FASTCONV_AXIS(name, m, r, t, ...)                        \
  struct name {                                                  \
    static constexpr cook_toom::Axis axis{m, r, t, __VA_ARGS__}; \
  };
FASTCONV_WINOGRAD_AXES(FASTCONV_AXIS)
#undef FASTCONV_AXIS

}  // namespace winograd_axis

#define FASTCONV_AXIS(name, ...) name,
enum class WinogradAxis { FASTCONV_WINOGRAD_AXES(FASTCONV_AXIS) };
#undef FASTCONV_AXIS
#define FASTCONV_AXIS(...) +1
inline constexpr int winograd_axes = 0 FASTCONV_WINOGRAD_AXES(FASTCONV_AXIS);
#undef FASTCONV_AXIS

}  // namespace fastconv
