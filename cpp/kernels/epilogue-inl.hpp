// Bias and activation on vectors that are about to be stored.
#pragma once

#include "kernels/epilogue.hpp"
#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// The bounds come first: max and min return their second operand for NaN, so NaN passes.
template <class V>
inline V clip(V v, V low, V high) {
  return min(high, max(low, v));
}

// Bounds that bound nothing are not applied: with 64 steps, bias and bounds on 28 sums took 5 % of a tile's time.
template <class T>
inline bool clips(const Epilogue<T>& e) {
  return e.low != -__builtin_huge_val() || e.high != __builtin_huge_val();
}

template <class T>
inline Vec<T> finish(Vec<T> v, Vec<T> bias, Vec<T> low, Vec<T> high) {
  return clip(add(v, bias), low, high);
}

// e^x = (1 + tail) 2^n, relative error of a few ulp on the range that activations need (the argument is clamped to
// where e^x is normal). Cody-Waite reduction x = n ln2 + r, then e^r - 1 by its Taylor polynomial: |r| <= 0.35, so
// degree 7 leaves 5e-9 and degree 13 leaves 4e-18.
template <class T>
struct Exponential {
  Vec<T> tail, n;
};

template <class T>
inline Exponential<T> exponential(Vec<T> x) {
  using V = Vec<T>;
  constexpr bool single = sizeof(T) == 4;
  constexpr T bound = single ? T(87) : T(708);
  x = max(V::broadcast(-bound), min(V::broadcast(bound), x));
  const V n = round(mul(x, V::broadcast(T(1.4426950408889634074))));
  V r = fnma(n, V::broadcast(single ? T(0.693359375) : T(0x1.62e42fee00000p-1)), x);
  r = fnma(n, V::broadcast(single ? T(-2.12194440e-4) : T(0x1.a39ef35793c76p-33)), r);
  constexpr int degree = single ? 7 : 13;
  constexpr double inverse_factorial[] = {
      1.,        1.,         1. / 2,      1. / 6,       1. / 24,       1. / 120,       1. / 720,
      1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800, 1. / 479001600, 1. / 6227020800.};
  V p = V::broadcast(T(inverse_factorial[degree]));
  for (int i = degree - 1; i >= 1; --i) p = fma(p, r, V::broadcast(T(inverse_factorial[i])));
  return {mul(p, r), n};
}

template <class T>
inline Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> one = Vec<T>::broadcast(T(1));
  const Exponential<T> e = exponential(sub(Vec<T>::zero(), x));
  return div(one, add(one, scale2(add(one, e.tail), e.n)));
}

// t / (t + 2) with t = e^2x - 1, which keeps its digits near zero: there n = 0 and t is the polynomial itself.
template <class T>
inline Vec<T> tanh(Vec<T> x) {
  const Vec<T> one = Vec<T>::broadcast(T(1));
  const Exponential<T> e = exponential(add(x, x));
  const Vec<T> t = add(scale2(e.tail, e.n), sub(scale2(one, e.n), one));
  return div(t, add(t, Vec<T>::broadcast(T(2))));
}

template <class T>
inline Vec<T> activated(Vec<T> x, ActivationKind kind, Vec<T> slope) {
  using V = Vec<T>;
  const V zero = V::zero();
  switch (kind) {
    case ActivationKind::leaky_relu:
      return fma(slope, min(zero, x), max(zero, x));
    case ActivationKind::hardswish: {
      const V gate = min(V::broadcast(T(6)), max(zero, add(x, V::broadcast(T(3)))));
      return mul(mul(x, gate), V::broadcast(T(1.0 / 6.0)));
    }
    case ActivationKind::sigmoid:
      return sigmoid(x);
    case ActivationKind::silu:
      return mul(max(V::broadcast(T(-1000)), x), sigmoid(x));  // 0, not NaN, towards -inf
    case ActivationKind::tanh:
      return tanh(x);
    case ActivationKind::clip:
      break;
  }
  return x;
}

// values[i] = f(values[i], i, a load of as many lanes)
template <class T, class F>
[[gnu::always_inline]] inline void update(T* values, ptrdiff_t count, F f) {
  using V = Vec<T>;
  ptrdiff_t i = 0;
  for (; i + V::lanes <= count; i += V::lanes)
    f(V::load(values + i), i, [](const T* from) { return V::load(from); }).store(values + i);
  if (i < count) {
    const auto live = V::first(int(count - i));
    f(V::load(values + i, live), i, [&](const T* from) { return V::load(from, live); }).store(values + i, live);
  }
}

// The second pass, in place over values just stored. Not inlined: a call here must not make tile kernels save their
// sums.
template <class T>
__attribute__((noinline)) void activate(T* values, ptrdiff_t count, const Epilogue<T>& e) {
  using V = Vec<T>;
  const V slope = V::broadcast(e.slope), low = V::broadcast(e.last_low), high = V::broadcast(e.last_high);
  if (e.residual) {
    const T* const residual = e.residual + (values - e.output);
    update(values, count, [&](V v, ptrdiff_t i, auto load) { return clip(add(v, load(residual + i)), low, high); });
  } else if (e.kind == ActivationKind::clip) {
    update(values, count, [&](V v, ptrdiff_t, auto) { return clip(v, low, high); });
  }
  if (e.kind != ActivationKind::clip)
    update(values, count, [&](V v, ptrdiff_t, auto) { return activated(v, e.kind, slope); });
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
