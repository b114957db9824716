// What the tests of kernel tables share. Each entry of a table is called by itself and compared with a plain loop, for
// every ISA that this CPU runs. Numbers are small and whole where sums of theirs are exact: then any order is right.
#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "fastconv/isa.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

inline long calls = 0;

// Calls test(kernels) for each ISA, and returns what main does.
template <class Test>
int for_each_isa(Test test) {
  for (const char* isa : available_isas()) {
    CHECK(set_isa(isa).empty());
    calls = 0;
    test();
    std::printf("%s: %ld calls compared\n", isa, calls);
    CHECK(calls > 0);
  }
  return failures != 0;
}

template <class T>
std::string type_name() {
  return std::string(active_isa()) + (sizeof(T) == 4 ? " float" : " double");
}

template <class T>
std::vector<T> whole_numbers(std::ptrdiff_t count, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::vector<T> values(std::size_t(count < 0 ? 0 : count));
  for (T& value : values) value = T(int(generator() % 9) - 4);
  return values;
}

// Whether all values are as expected, or as near as `tolerance` (of the largest of those expected, if that is above 1).
template <class T>
bool same(const std::vector<T>& got, const std::vector<T>& expected, double tolerance = 0) {
  ++calls;
  double largest = 1;
  for (const T value : expected) largest = std::max(largest, double(std::abs(value)));
  bool all = got.size() == expected.size();
  for (std::size_t i = 0; all && i < got.size(); ++i)
    all = std::abs(double(got[i]) - double(expected[i])) <= tolerance * largest;
  return all;
}

template <class T>
Epilogue<T> bounds(double low, double high) {
  Epilogue<T> e{};
  e.low = T(low);
  e.high = T(high);
  e.kind = ActivationKind::clip;
  return e;
}
template <class T>
Epilogue<T> no_bounds() {
  return bounds<T>(-HUGE_VAL, HUGE_VAL);
}
template <class T>
T clipped(T value, const Epilogue<T>& e) {
  return std::min(e.high, std::max(e.low, value));
}

}  // namespace fastconv
