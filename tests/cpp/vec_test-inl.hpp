// Each operation of an ISA's Vec against scalars. Included by the unit made from vec_test.cpp.in, which is compiled
// with the ISA's flags: no standard containers here either. Numbers are small and whole, so that results are exact.
#pragma once

#include <stddef.h>

namespace fastconv::FASTCONV_ISA {
namespace {

// Memory from `low` up to `high` may be touched, and nothing before or behind it.
struct VecTest {
  void (*report)(const char* isa, const char* what, bool holds);
  char *low, *high;

  template <class V, class T>
  void run(const char* type) const;
};

template <class V, class T, class Expected>
bool equals(V v, Expected expected) {
  T got[V::lanes];
  v.store(got);
  bool same = true;
  for (int i = 0; i < V::lanes; ++i) same = same && got[i] == T(expected(i));
  return same;
}

template <class V, class T>
void VecTest::run(const char* type) const {
  constexpr int L = V::lanes;
  const auto check = [&](const char* what, bool holds) { report(type, what, holds); };
  T x[L], y[L], z[L], more[3 * L];
  for (int i = 0; i < L; ++i) {
    x[i] = T(i - 5);
    y[i] = T(2 * i + 3);
    z[i] = T(7 - i * i % 11);
  }
  for (int i = 0; i < 3 * L; ++i) more[i] = T(100 + i);
  const V a = V::load(x), b = V::load(y), c = V::load(z);
  const T nan = T(__builtin_nan(""));

  check("load, store", equals<V, T>(a, [&](int i) { return x[i]; }));
  check("load at any address", equals<V, T>(V::load(more + 1), [&](int i) { return more[1 + i]; }));
  check("zero", equals<V, T>(V::zero(), [](int) { return 0; }));
  check("broadcast", equals<V, T>(V::broadcast(T(-3)), [](int) { return -3; }));
  check("broadcast of minus zero", __builtin_signbit(1 / [&] {
          T got[L];
          V::broadcast(T(-0.0)).store(got);
          return got[L - 1];
        }()));
  check("add", equals<V, T>(add(a, b), [&](int i) { return x[i] + y[i]; }));
  check("max", equals<V, T>(max(a, c), [&](int i) { return x[i] > z[i] ? x[i] : z[i]; }));
  check("min", equals<V, T>(min(a, c), [&](int i) { return x[i] < z[i] ? x[i] : z[i]; }));
  check("max passes NaN on as its second operand",
        equals<V, T>(max(V::broadcast(nan), b), [&](int i) { return y[i]; }));
  check("min passes NaN on as its second operand",
        equals<V, T>(min(V::broadcast(nan), b), [&](int i) { return y[i]; }));
  check("max of NaN last", !equals<V, T>(max(b, V::broadcast(nan)), [&](int i) { return y[i]; }));
  check("fma", equals<V, T>(fma(a, b, c), [&](int i) { return x[i] * y[i] + z[i]; }));

  // The first n lanes, at the very end of what may be read and written; those not live are zero, and not written.
  bool loads = true, stores = true;
  T* const end = reinterpret_cast<T*>(high);
  for (int n = 0; n <= L; ++n) {
    for (int i = 0; i < n; ++i) end[i - n] = T(40 + i);
    const V v = V::load(end - n, V::first(n));
    loads = loads && equals<V, T>(v, [&](int i) { return i < n ? 40 + i : 0; });
    if (n < L) end[-n - 1] = T(9);
    b.store(end - n, V::first(n));
    for (int i = 0; i < n; ++i) stores = stores && end[i - n] == y[i];
    b.store(more, V::first(n));
    for (int i = 0; i < 3 * L; ++i) {
      stores = stores && more[i] == (i < n ? y[i] : T(100 + i));
      more[i] = T(100 + i);
    }
  }
  check("masked load", loads);
  check("masked store", stores);

  // Windows: row[column .. column + L) of `width` values, at the beginning and at the end of what may be read.
  bool windows = true, window_loads = true;
  for (int width = 1; width <= 3 * L; ++width)
    for (int at_end = 0; at_end < 2; ++at_end) {
      T* const row = at_end ? end - width : reinterpret_cast<T*>(low);
      for (int i = 0; i < width; ++i) row[i] = T(1 + i);
      for (int column = -2 * L; column <= width + L; ++column) {
        const auto expected = [&](int i) { return column + i >= 0 && column + i < width ? 1 + column + i : 0; };
        windows = windows && equals<V, T>(V::load(row + column, V::window(width, column)), expected);
        if constexpr (requires { V::load_window(row, width, column); })
          window_loads = window_loads && equals<V, T>(V::load_window(row, width, column), expected);
      }
    }
  check("load through a window", windows);
  check("load_window", window_loads);

  V even, odd;
  split_even_odd(V::load(more), V::load(more + L), even, odd);
  check("split_even_odd", equals<V, T>(even, [&](int i) { return more[2 * i]; }) &&
                              equals<V, T>(odd, [&](int i) { return more[2 * i + 1]; }));
  if constexpr (requires { shift_in(a, T(77)); })
    check("shift_in", equals<V, T>(shift_in(a, T(77)), [&](int i) { return i + 1 < L ? x[i + 1] : T(77); }));
  if constexpr (requires { shift_in(a, b); })
    check("shift_in of a vector", equals<V, T>(shift_in(a, b), [&](int i) { return i + 1 < L ? x[i + 1] : y[0]; }));
  if constexpr (requires { shift_up(a, b); })
    check("shift_up", equals<V, T>(shift_up(a, b), [&](int i) { return i > 0 ? y[i - 1] : x[L - 1]; }));

  // What half vectors do not have.
  if constexpr (requires { sub(a, b); }) {
    check("sub", equals<V, T>(sub(a, b), [&](int i) { return x[i] - y[i]; }));
    check("mul", equals<V, T>(mul(a, b), [&](int i) { return x[i] * y[i]; }));
    check("div", equals<V, T>(div(a, V::broadcast(T(4))), [&](int i) { return x[i] / 4; }));
    check("fnma", equals<V, T>(fnma(a, b, c), [&](int i) { return z[i] - x[i] * y[i]; }));
    check("hold", equals<V, T>(hold(a), [&](int i) { return x[i]; }));
    const V halves = mul(a, V::broadcast(T(0.5)));  // to even: -2.5 -> -2, -1.5 -> -2, 0.5 -> 0
    const auto even_of = [&](int i) {
      const int twice = i - 5, down = (twice - (twice & 1)) / 2;
      return (twice & 1) && (down & 1) ? down + 1 : down;
    };
    check("round half to even", equals<V, T>(round(halves), even_of));
    check("scale2", equals<V, T>(scale2(b, a), [&](int i) {
            T scaled = y[i];
            for (int n = 0; n < i - 5; ++n) scaled *= 2;
            for (int n = 0; n > i - 5; --n) scaled /= 2;
            return scaled;
          }));
    alignas(64) T aligned[L];
    a.stream(aligned);
    order_streams();
    check("stream", equals<V, T>(V::load(aligned), [&](int i) { return x[i]; }));

    constexpr int count = Vec<double>::lanes;
    T back[count + 1];
    back[count] = T(5);
    const Vec<double> doubles = load_double(y);
    store_double(doubles, back);
    bool same = back[count] == T(5);
    for (int i = 0; i < count; ++i) same = same && back[i] == y[i];
    check("load_double, store_double", same && equals<Vec<double>, double>(doubles, [&](int i) { return y[i]; }));

    constexpr int ld = L + 3;
    T block[L * ld];
    for (int i = 0; i < L * ld; ++i) block[i] = T(i);
    V column[L];
    transpose_load(block, ld, column);
    bool transposed = true;
    for (int j = 0; j < L; ++j) transposed = transposed && equals<V, T>(column[j], [&](int i) { return i * ld + j; });
    check("transpose_load", transposed);
  }
}

// What calls this is compiled for every CPU, and asks whether this one runs the ISA first.
inline void test_vec(VecTest test) {
  test.run<Vec<float>, float>("float");
  test.run<Vec<double>, double>("double");
  test.run<Vec<Narrow<float>>, float>("narrow float");
  test.run<Vec<Narrow<double>>, double>("narrow double");
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
