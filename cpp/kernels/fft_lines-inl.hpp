// Fourier transforms of lines of 16, 32 or 64 points, lanes across. In registers they are 4 or 8 points at a time.
#pragma once

#include "kernels/fourier.hpp"
#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

template <class T>
struct Complex {
  Vec<T> re, im;

  static Complex load(const T* p) { return {Vec<T>::load(p), Vec<T>::load(p + Vec<T>::lanes)}; }
  void store(T* p) const {
    re.store(p);
    im.store(p + Vec<T>::lanes);
  }
};

template <class T>
inline Complex<T> operator+(Complex<T> a, Complex<T> b) {
  return {add(a.re, b.re), add(a.im, b.im)};
}
template <class T>
inline Complex<T> operator-(Complex<T> a, Complex<T> b) {
  return {sub(a.re, b.re), sub(a.im, b.im)};
}

// a + turn * b and a - turn * b, the turn being an eighth (or a quarter) of the circle, forward (e^-i) or back.
template <bool back, class T>
inline void quarter(Complex<T> a, Complex<T> b, Complex<T>& plus, Complex<T>& minus) {
  const Complex<T> forward{add(a.re, b.im), sub(a.im, b.re)}, backward{sub(a.re, b.im), add(a.im, b.re)};
  plus = back ? backward : forward;
  minus = back ? forward : backward;
}
template <bool back, class T>
inline void eighth(Complex<T> a, Complex<T> b, Complex<T>& plus, Complex<T>& minus) {
  const Vec<T> root = Vec<T>::broadcast(T(fourier::cosine(1, 8)));
  const Vec<T> sum = add(b.re, b.im), difference = sub(b.im, b.re);
  const Vec<T> re = back ? difference : sum, im = back ? sum : difference;  // back: the real part is -difference
  plus = {back ? fnma(root, re, a.re) : fma(root, re, a.re), fma(root, im, a.im)};
  minus = {back ? fma(root, re, a.re) : fnma(root, re, a.re), fnma(root, im, a.im)};
}

// Discrete Fourier transforms of 4 and 8 points, in place.
template <bool back, class T>
[[gnu::always_inline]] inline void transform(Complex<T> (&x)[4]) {
  const Complex<T> a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = x[1] - x[3];
  x[0] = a + c;
  x[2] = a - c;
  quarter<back>(b, d, x[1], x[3]);
}
template <bool back, class T>
[[gnu::always_inline]] inline void transform(Complex<T> (&x)[8]) {
  Complex<T> even[4] = {x[0], x[2], x[4], x[6]}, odd[4] = {x[1], x[3], x[5], x[7]};
  transform<back>(even);
  transform<back>(odd);
  x[0] = even[0] + odd[0];
  x[4] = even[0] - odd[0];
  eighth<back>(even[1], odd[1], x[1], x[5]);
  quarter<back>(even[2], odd[2], x[2], x[6]);
  // Three eighths are a quarter and an eighth.
  const Complex<T> turned = back ? Complex<T>{sub(Vec<T>::zero(), odd[3].im), odd[3].re}
                                 : Complex<T>{odd[3].im, sub(Vec<T>::zero(), odd[3].re)};
  eighth<back>(even[3], turned, x[3], x[7]);
}

// x times e^(-i angle), or e^(i angle).
template <bool back, class T>
inline Complex<T> turn(Complex<T> x, T cosine, T minus_sine) {
  const Vec<T> c = Vec<T>::broadcast(cosine), s = Vec<T>::broadcast(minus_sine);
  if (back) return {fma(x.im, s, mul(x.re, c)), fnma(x.re, s, mul(x.im, c))};
  return {fnma(x.im, s, mul(x.re, c)), fma(x.re, s, mul(x.im, c))};
}

template <class T>
inline Complex<T> times_conjugate(Complex<T> x, Complex<T> y) {
  return {fma(x.im, y.im, mul(x.re, y.re)), fnma(x.re, y.im, mul(x.im, y.re))};
}

template <class T, int n>
inline constexpr auto twiddles = fourier::make_twiddles<T, n>();

// n points, each a vector of lines: load(point), store(place, value). `middle` has room for n complex vectors.
template <int n, class T, class Load, class Store>
[[gnu::always_inline]] inline void forward_lines(T* middle, Load load, Store store) {
  constexpr int outer = fourier::outer<n>, inner = n / outer, step = 2 * Vec<T>::lanes;
  const auto& w = twiddles<T, n>;
  for (int j = 0; j < inner; ++j) {
    Complex<T> x[outer];
    for (int a = 0; a < outer; ++a) x[a] = load(a * inner + j);
    transform<false>(x);
    x[0].store(middle + j * step);
    for (int a = 1; a < outer; ++a) turn<false>(x[a], w.re[j][a], w.im[j][a]).store(middle + (a * inner + j) * step);
  }
  for (int a = 0; a < outer; ++a) {
    Complex<T> x[inner];
    for (int b = 0; b < inner; ++b) x[b] = Complex<T>::load(middle + (a * inner + b) * step);
    transform<false>(x);
    for (int b = 0; b < inner; ++b) store(a * inner + b, x[b]);
  }
}

// The way back: load(place), store(point, value), n times too large.
template <int n, class T, class Load, class Store>
[[gnu::always_inline]] inline void backward_lines(T* middle, Load load, Store store) {
  constexpr int outer = fourier::outer<n>, inner = n / outer, step = 2 * Vec<T>::lanes;
  const auto& w = twiddles<T, n>;
  for (int a = 0; a < outer; ++a) {
    Complex<T> x[inner];
    for (int b = 0; b < inner; ++b) x[b] = load(a * inner + b);
    transform<true>(x);
    for (int j = 0; j < inner; ++j) turn<true>(x[j], w.re[j][a], w.im[j][a]).store(middle + (a * inner + j) * step);
  }
  for (int j = 0; j < inner; ++j) {
    Complex<T> x[outer];
    for (int a = 0; a < outer; ++a) x[a] = Complex<T>::load(middle + (a * inner + j) * step);
    transform<true>(x);
    for (int a = 0; a < outer; ++a) store(a * inner + j, x[a]);
  }
}

template <int n, class T>
inline constexpr int line_values = 2 * n * Vec<T>::lanes;

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
