// The masks of one instruction set, for any numbers: built by test_masks.py once for each -vec.hpp, as VECTORS.
#include VECTORS

#include <stdint.h>
#include <stdio.h>

using namespace fastconv::FASTCONV_ISA;

static int faults = 0;

static bool is_live(ptrdiff_t width, ptrdiff_t column, int lane) {
  return lane >= -column && lane < width - column;  // without overflow, for what is tested here
}

template <class V, class T>
static void check(const char* name, ptrdiff_t width, ptrdiff_t column) {
  T from[V::lanes], to[V::lanes];
  for (int i = 0; i < V::lanes; ++i) from[i] = T(i + 1);
  V::load(from, V::window(width, column)).store(to);
  for (int i = 0; i < V::lanes; ++i)
    if (to[i] != (is_live(width, column, i) ? T(i + 1) : T(0)) && ++faults < 20)
      printf("%s: lane %d of window(%td, %td)\n", name, i, width, column);
  V::load(from, V::first(width)).store(to);
  for (int i = 0; i < V::lanes; ++i)
    if (to[i] != (i < width ? T(i + 1) : T(0)) && ++faults < 20) printf("%s: lane %d of first(%td)\n", name, i, width);
}

int main() {
  constexpr ptrdiff_t far = ptrdiff_t{1} << 40, numbers[] = {-far,
                                                             -(ptrdiff_t{1} << 32),
                                                             -(ptrdiff_t{1} << 31) - 1,
                                                             0,
                                                             (ptrdiff_t{1} << 31) - 1,
                                                             ptrdiff_t{1} << 31,
                                                             (ptrdiff_t{1} << 32) - 1,
                                                             ptrdiff_t{1} << 32,
                                                             far};
  for (const ptrdiff_t at : numbers)
    for (const ptrdiff_t by : numbers)
      for (ptrdiff_t width = at - 20; width <= at + 20; ++width)
        for (ptrdiff_t column = by - 20; column <= by + 20; ++column) {
          check<Vec<float>, float>("float", width, column);
          check<Vec<double>, double>("double", width, column);
          check<Vec<Narrow<float>>, float>("half of floats", width, column);
          check<Vec<Narrow<double>>, double>("half of doubles", width, column);
        }
  return faults == 0 ? 0 : 1;
}
