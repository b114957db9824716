// Twiddle factors of the FFT kernels, made at compile time in double precision.
#pragma once

namespace fastconv::fourier {

// cos and sin of x in [0, pi / 4], by their series: the twelfth term is below 1e-26.
consteval double small_cosine(double x) {
  double sum = 0, term = 1;
  for (int i = 1; i < 24; i += 2) {
    sum += term;
    term *= -x * x / (i * (i + 1));
  }
  return sum;
}
consteval double small_sine(double x) {
  double sum = 0, term = x;
  for (int i = 2; i < 24; i += 2) {
    sum += term;
    term *= -x * x / (i * (i + 1));
  }
  return sum;
}

// cos(2 pi k / n), n a multiple of 8; by symmetry from the first eighth of the circle, so that equal values are the
// same bits.
consteval double cosine(int k, int n) {
  k %= n;
  if (k > n / 2) k = n - k;
  const bool negative = k > n / 4;
  if (negative) k = n / 2 - k;
  constexpr double circle = 6.283185307179586477;
  const double c = 8 * k <= n ? small_cosine(circle * k / n) : small_sine(circle * (n / 4 - k) / n);
  return negative ? -c : c;
}
consteval double sine(int k, int n) { return cosine(k + n - n / 4, n); }

// A transform of n points as outer x inner: a DFT of `outer` over points `inner` apart, twiddles, DFTs of `inner` over
// neighbours. Frequencies come out as their digits fall, b * outer + a at place a * inner + b; the way back undoes it.
template <int n>
inline constexpr int outer = n == 16 ? 4 : 8;

// e^(-2 pi i j a / n) of all j < inner, a < outer.
template <class T, int n>
struct Twiddles {
  static constexpr int inner = n / outer<n>;
  T re[inner][outer<n>], im[inner][outer<n>];
};

template <class T, int n>
consteval Twiddles<T, n> make_twiddles() {
  Twiddles<T, n> t{};
  for (int j = 0; j < n / outer<n>; ++j)
    for (int a = 0; a < outer<n>; ++a) {
      t.re[j][a] = T(cosine(j * a, n));
      t.im[j][a] = T(-sine(j * a, n));
    }
  return t;
}

}  // namespace fastconv::fourier
