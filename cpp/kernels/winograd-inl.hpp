// Winograd's transforms along one axis, channels as lanes: B^T d and A^T s, unrolled from the tables of cook_toom.hpp.
// Products with 0 and 1 are left out, and points p, -p share what they have in common. 2-D transforms nest two of these
// (winograd/input.cpp, output.cpp).
#pragma once

#include "kernels/epilogue-inl.hpp"
#include "kernels/winograd_set.hpp"
#include "kernels/winograd_weights-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

struct Coefficients {
  double of[cook_toom::most_points][cook_toom::most_points];
  bool is_pair[cook_toom::most_points];  // input: whether points i and i + 1 are p and -p
};

// Row i belongs to point i. For the points p, -p in rows i, i + 1 they are x R and R, where R is the product over all
// others: (x - (-p)) R = x R + p R.
consteval Coefficients input_coefficients(const cook_toom::Axis& axis, int tile) {
  Coefficients c{};
  for (int i = 0; i < cook_toom::inputs(axis, tile); ++i) {
    const bool first = cook_toom::is_pair(axis, tile, i), second = i > 0 && cook_toom::is_pair(axis, tile, i - 1);
    c.is_pair[i] = first;
    cook_toom::Row row = cook_toom::input_row(axis, tile, i);
    if (first || second) {
      row = cook_toom::product(axis, tile, i, first ? i + 1 : i - 1);
      if (first) row.times({0});
      for (cook_toom::Ratio& r : row.of) r = r * cook_toom::scale(axis, tile, i);
    }
    for (int j = 0; j < cook_toom::most_points; ++j) c.of[i][j] = value(row.of[j]);
  }
  return c;
}

// Row j is that of output j, for sums in place of a pair's first value and differences in that of its second.
consteval Coefficients output_coefficients(const cook_toom::Axis& axis, int tile) {
  Coefficients c{};
  for (int j = 0; j < tile; ++j)
    for (int i = 0; i < cook_toom::inputs(axis, tile); ++i) {
      const bool first = cook_toom::is_pair(axis, tile, i), second = i > 0 && cook_toom::is_pair(axis, tile, i - 1);
      const bool other_parity = (first && j % 2 == 1) || (second && j % 2 == 0);
      c.of[j][i] = other_parity ? 0 : value(cook_toom::output_at(axis, tile, j, second ? i - 1 : i));
    }
  return c;
}

template <class A, int tile>
struct Transforms {
  using Axis = A;
  static constexpr int outputs = tile, points = tile + A::axis.taps - 1;
  static constexpr Coefficients input = input_coefficients(A::axis, tile);
  static constexpr Coefficients output = output_coefficients(A::axis, tile);
};

// sum + the sum over k <= j of C.of[row][k] * d[k]; the first term makes the sum unless it has started.
template <const auto& C, int row, int j, bool started, class T, int n>
[[gnu::always_inline]] inline Vec<T> combine(const Vec<T> (&d)[n], Vec<T> sum) {
  if constexpr (j < 0) {
    return sum;
  } else {
    constexpr double c = C.of[row][j];
    constexpr bool starts = started || c != 0;
    if constexpr (c == 0)
      ;
    else if constexpr (!started)
      sum = c == 1 ? d[j] : mul(Vec<T>::broadcast(T(c)), d[j]);
    else if constexpr (c == 1)
      sum = add(sum, d[j]);
    else if constexpr (c == -1)
      sum = sub(sum, d[j]);
    else
      sum = fma(Vec<T>::broadcast(T(c)), d[j], sum);
    return combine<C, row, j - 1, starts, T>(d, sum);
  }
}

// Points i and on of v = B^T d.
template <class Tr, int i, class T, int n, int m>
[[gnu::always_inline]] inline void input_points(const Vec<T> (&d)[n], Vec<T> (&v)[m]) {
  using V = Vec<T>;
  if constexpr (i < m) {
    v[i] = combine<Tr::input, i, n - 1, false, T>(d, V::zero());
    if constexpr (Tr::input.is_pair[i]) {
      const V x_r = v[i], r = combine<Tr::input, i + 1, n - 1, false, T>(d, V::zero());
      const V p = V::broadcast(T(value(Tr::Axis::axis.points[i])));
      v[i] = fma(p, r, x_r);
      v[i + 1] = fnma(p, r, x_r);
      input_points<Tr, i + 2, T>(d, v);
    } else {
      input_points<Tr, i + 1, T>(d, v);
    }
  }
}

// A pair's sum and difference take its values' places, which A^T s is then made from.
template <class Tr, int i, class T, int n>
[[gnu::always_inline]] inline void add_pairs(Vec<T> (&s)[n]) {
  if constexpr (i < n) {
    if constexpr (Tr::input.is_pair[i]) {
      const Vec<T> a = s[i], b = s[i + 1];
      s[i] = add(a, b);
      s[i + 1] = sub(a, b);
    }
    add_pairs<Tr, i + 1, T>(s);
  }
}

template <class Tr, int j, class T, int n, int m>
[[gnu::always_inline]] inline void output_rows(const Vec<T> (&s)[n], Vec<T> (&y)[m]) {
  if constexpr (j < m) {
    y[j] = combine<Tr::output, j, n - 1, false, T>(s, Vec<T>::zero());
    output_rows<Tr, j + 1, T>(s, y);
  }
}

// f(where a line's values begin, where its results do). Pointers are read again for every line: more of them than there
// are registers, GCC would keep them in vector registers, whose way back takes the stores' ports. (In L1 F(4,3)'s input
// 22 cycles a line, so 17 to 20; F(6,3)'s 35, so 24 to 27; the portable kernels lose 4 %.)
template <class T, class F>
[[gnu::always_inline]] inline void for_each_line(const WinogradLines<T>& lines, F&& f) {
  const ptrdiff_t count = lines.count, from_step = lines.from_step, to_step = lines.to_step;
  for (ptrdiff_t group = 0; group < lines.groups; ++group) {
    ptrdiff_t at = group * lines.from_group, out = group * lines.to_group;
    for (ptrdiff_t k = 0; k < count; ++k, at += from_step, out += to_step) {
      if constexpr (sizeof(Vec<T>) > 16) asm volatile("" : : : "memory");
      f(at, out);
    }
  }
}

// Lines of a row or a column of tiles. Without infinity there is one input and one point less.
template <class T, class Tr, bool infinity>
void winograd_input(const WinogradLines<T>& lines) {
  using V = Vec<T>;
  constexpr int n = infinity ? Tr::points : Tr::points - 1;
  bool all = true;
  for (int j = 0; j < n; ++j) all = all && lines.from[j];
  const auto transform = [&](auto load) {
    for_each_line(lines, [&](ptrdiff_t at, ptrdiff_t out) __attribute__((always_inline)) {
      V d[n], v[n];
#pragma GCC unroll 12
      for (int j = 0; j < n; ++j) d[j] = hold(load(lines.from[j], at));
      input_points<Tr, 0, T>(d, v);
#pragma GCC unroll 12
      for (int j = 0; j < n; ++j) v[j].store(lines.to[j] + out);
    });
  };
  if (all)
    transform([](const T* row, ptrdiff_t at) { return V::load(row + at); });
  else
    transform([](const T* row, ptrdiff_t at) { return row ? V::load(row + at) : V::zero(); });
}

template <class T, class Tr, bool Finish>
void winograd_output(const WinogradLines<T>& lines) {
  using V = Vec<T>;
  constexpr int n = Tr::points, m = Tr::outputs;
  const V bias = Finish ? V::load(lines.epilogue->bias) : V::zero();
  const V low = V::broadcast(Finish ? lines.epilogue->low : T(0));
  const V high = V::broadcast(Finish ? lines.epilogue->high : T(0));
  for_each_line(lines, [&](ptrdiff_t at, ptrdiff_t out) __attribute__((always_inline)) {
    V s[n], y[m];
#pragma GCC unroll 12
    for (int j = 0; j < n; ++j) s[j] = hold(V::load(lines.from[j] + at));
    add_pairs<Tr, 0, T>(s);
    output_rows<Tr, 0, T>(s, y);
#pragma GCC unroll 12
    for (int j = 0; j < m; ++j) (Finish ? finish(y[j], bias, low, high) : y[j]).store(lines.to[j] + out);
  });
}

template <class T, class Axis, int tile>
constexpr WinogradTransforms<T> winograd_transforms() {
  using Tr = Transforms<Axis, tile>;
  WinogradTransforms<T> set{};
  set.input[0] = winograd_input<T, Tr, true>;
  if constexpr (Tr::points > 1) set.input[1] = winograd_input<T, Tr, false>;
  set.output[0] = winograd_output<T, Tr, false>;
  set.output[1] = winograd_output<T, Tr, true>;
  return set;
}

template <class T, class Axis>
constexpr void put_winograd_axis(WinogradTransforms<T> (&set)[2]) {
  set[0] = winograd_transforms<T, Axis, Axis::axis.outputs>();
  if constexpr (Axis::axis.tail > 0) set[1] = winograd_transforms<T, Axis, Axis::axis.tail>();
}

template <class T>
constexpr WinogradKernels<T> winograd_table() {
  WinogradKernels<T> set{};
  int axis = 0;
#define FASTCONV_AXIS(name, ...) put_winograd_axis<T, winograd_axis::name>(set.winograd[axis++]);
  FASTCONV_WINOGRAD_AXES(FASTCONV_AXIS)
#undef FASTCONV_AXIS
  set.winograd_weights = winograd_weights<T>;
  return set;
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
