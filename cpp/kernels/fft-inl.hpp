// Convolution of tiles by fast Fourier transforms. Two tiles of a plane go as the real and the imaginary part of one
// complex tile: kernels are real, so the parts of the result are the two convolutions, and nothing has to be taken
// apart. Lanes lie across the direction of a transform, over columns, then over rows, with a transposition in between;
// the order of frequencies is the one that falls out, for image and weights alike. (Cooley & Tukey 1965; overlap-save.)
#pragma once

#include "kernels/epilogue-inl.hpp"
#include "kernels/fft_lines-inl.hpp"
#include "kernels/fft_set.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// A block of lanes x lanes values, transposed.
template <class T>
inline void transpose(const T* from, ptrdiff_t from_ld, T* to, ptrdiff_t to_ld) {
  Vec<T> column[Vec<T>::lanes];
  transpose_load(from, from_ld, column);
  for (int c = 0; c < Vec<T>::lanes; ++c) column[c].store(to + c * to_ld);
}

// Columns of the image's tiles, n rows, into the buffer.
template <class T, int n>
void fft_in_columns(const FftTiles<T>& t) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  alignas(64) T middle[line_values<n, T>];
  for (ptrdiff_t j = 0; j < t.columns; j += L) {
    const T* from[2];
    typename V::Window live[2];
    for (int i = 0; i < 2; ++i) {
      from[i] = t.image[i] ? t.image[i] + t.row[i] * t.W + t.column[i] + j : nullptr;
      live[i] = V::window(t.W, t.column[i] + j);
    }
    const auto part = [&](int i, ptrdiff_t y) {
      const bool inside = from[i] && t.row[i] + y >= 0 && t.row[i] + y < t.H;
      return inside ? V::load(from[i] + y * t.W, live[i]) : V::zero();
    };
    T* const to = t.buffer + j;
    forward_lines<n, T>(
        middle, [&](int y) { return Complex<T>{part(0, y), part(1, y)}; },
        [&](int y, Complex<T> x) {
          x.re.store(to + y * t.pitch);
          x.im.store(to + y * t.pitch + t.columns);
        });
  }
}

// Rows of the buffer, n columns, as lines.
template <class T, int n>
[[gnu::always_inline]] inline void load_rows(const FftTiles<T>& t, ptrdiff_t y, T* lines) {
  constexpr int L = Vec<T>::lanes;
  const T* const from = t.buffer + y * t.pitch;
  for (int j = 0; j < n; j += L)
    for (int part = 0; part < 2; ++part) transpose(from + part * n + j, t.pitch, lines + (2 * j + part) * L, 2 * L);
}
template <class T, int n>
[[gnu::always_inline]] inline void store_rows(const FftTiles<T>& t, ptrdiff_t y, const T* lines) {
  constexpr int L = Vec<T>::lanes;
  T* const to = t.buffer + y * t.pitch;
  for (int j = 0; j < n; j += L)
    for (int part = 0; part < 2; ++part) transpose(lines + (2 * j + part) * L, 2 * L, to + part * n + j, t.pitch);
}

// They go into the spectrum,
template <class T, int n>
void fft_in_rows(const FftTiles<T>& t) {
  constexpr int L = Vec<T>::lanes;
  alignas(64) T lines[line_values<n, T>], middle[line_values<n, T>];
  T* to = t.spectrum;
  for (ptrdiff_t y = 0; y < t.rows; y += L, to += n * t.step) {
    load_rows<T, n>(t, y, lines);
    forward_lines<n, T>(
        middle, [&](int x) { return Complex<T>::load(lines + 2 * x * L); },
        [&](int x, Complex<T> v) { v.store(to + x * t.step); });
  }
}

// or from it,
template <class T, int n>
void fft_out_rows(const FftTiles<T>& t) {
  constexpr int L = Vec<T>::lanes;
  alignas(64) T lines[line_values<n, T>], middle[line_values<n, T>];
  const T* from = t.spectrum;
  for (ptrdiff_t y = 0; y < t.rows; y += L, from += n * t.step) {
    backward_lines<n, T>(
        middle, [&](int x) { return Complex<T>::load(from + x * t.step); },
        [&](int x, Complex<T> v) { v.store(lines + 2 * x * L); });
    store_rows<T, n>(t, y, lines);
  }
}

// or there and back at once, times the conjugate of `spectrum`, which is that of the only filter's only channel.
template <class T, int n>
void fft_through_rows(const FftTiles<T>& t) {
  constexpr int L = Vec<T>::lanes;
  alignas(64) T lines[line_values<n, T>], middle[line_values<n, T>];
  const T* w = t.spectrum;
  for (ptrdiff_t y = 0; y < t.rows; y += L, w += n * t.step) {
    load_rows<T, n>(t, y, lines);
    forward_lines<n, T>(
        middle, [&](int x) { return Complex<T>::load(lines + 2 * x * L); },
        [&](int x, Complex<T> v) { v.store(lines + 2 * x * L); });
    backward_lines<n, T>(
        middle,
        [&](int x) { return times_conjugate(Complex<T>::load(lines + 2 * x * L), Complex<T>::load(w + x * t.step)); },
        [&](int x, Complex<T> v) { v.store(lines + 2 * x * L); });
    store_rows<T, n>(t, y, lines);
  }
}

// and the buffer's columns into the tiles of the output.
template <class T, int n>
void fft_out_columns(const FftTiles<T>& t) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  alignas(64) T middle[line_values<n, T>];
  const Epilogue<T>& e = *t.epilogue;
  const V bias = e.bias ? V::broadcast(*e.bias) : V::zero(), low = V::broadcast(e.low), high = V::broadcast(e.high);
  const ptrdiff_t columns = t.out_columns[0] > t.out_columns[1] ? t.out_columns[0] : t.out_columns[1];
  for (ptrdiff_t j = 0; j < columns; j += L) {
    typename V::Mask live[2];
    for (int i = 0; i < 2; ++i) {
      const ptrdiff_t left = t.out_columns[i] - j;
      live[i] = V::first(int(left < 0 ? 0 : left < L ? left : L));
    }
    const T* const from = t.buffer + j;
    backward_lines<n, T>(
        middle, [&](int y) { return Complex<T>{V::load(from + y * t.pitch), V::load(from + y * t.pitch + t.columns)}; },
        [&](int y, Complex<T> x) {
          if (y < t.out_rows[0]) finish(x.re, bias, low, high).store(t.out[0] + y * t.out_ld + j, live[0]);
          if (y < t.out_rows[1]) finish(x.im, bias, low, high).store(t.out[1] + y * t.out_ld + j, live[1]);
        });
  }
  if (e.second_pass)
    for (int i = 0; i < 2; ++i)
      for (ptrdiff_t y = 0; y < t.out_rows[i]; ++y) activate(t.out[i] + y * t.out_ld, t.out_columns[i], e);
}

// y = the sum over channels of z times the conjugate of w, for a few filters and tiles, at one vector of frequencies.
template <int filters, int tiles, class T>
[[gnu::always_inline]] inline const T* fft_sums(const FftProduct<T>& p, const T* z, const T* w, T* y) {
  constexpr int step = 2 * Vec<T>::lanes;
  Complex<T> sum[filters][tiles];
  for (auto& row : sum)
    for (auto& s : row) s = {Vec<T>::zero(), Vec<T>::zero()};
  for (ptrdiff_t c = 0; c < p.channels; ++c, z += tiles * step, w += filters * step)
#pragma GCC unroll 4
    for (int t = 0; t < tiles; ++t) {
      const Complex<T> x = Complex<T>::load(z + t * step);
#pragma GCC unroll 2
      for (int k = 0; k < filters; ++k) {
        const Complex<T> u = Complex<T>::load(w + k * step);
        Complex<T>& s = sum[k][t];
        s.re = fma(x.im, u.im, fma(x.re, u.re, s.re));
        s.im = fnma(x.re, u.im, fma(x.im, u.re, s.im));
      }
    }
  for (int k = 0; k < filters; ++k)
    for (int t = 0; t < tiles; ++t) sum[k][t].store(y + (k * tiles + t) * step);
  return w;
}

inline constexpr int filters_at_once = vector_registers >= 32 ? 2 : 1;

template <int tiles, class T>
void fft_product_of(const FftProduct<T>& p) {
  constexpr int most = filters_at_once, step = 2 * Vec<T>::lanes;
  const T *z = p.z, *w = p.w;
  T* y = p.y;
  for (ptrdiff_t point = 0; point < p.points; ++point, z += p.z_step, y += p.y_step) {
    ptrdiff_t k = 0;
    for (; k + most <= p.filters; k += most) w = fft_sums<most, tiles>(p, z, w, y + k * tiles * step);
    if (k < p.filters) w = fft_sums<1, tiles>(p, z, w, y + k * tiles * step);
  }
}

template <class T>
void fft_product(const FftProduct<T>& p) {
  switch (p.tiles) {
    case 1:
      return fft_product_of<1>(p);
    case 2:
      return fft_product_of<2>(p);
    case 3:
      return fft_product_of<3>(p);
    default:
      return fft_product_of<4>(p);
  }
}

template <class T, int n>
constexpr FftPasses<T> fft_passes() {
  return {fft_in_columns<T, n>, fft_in_rows<T, n>, fft_out_rows<T, n>, fft_through_rows<T, n>, fft_out_columns<T, n>};
}

template <class T>
constexpr FftKernels<T> fft_table() {
  static_assert(fft_sizes == 3);
  return {{fft_passes<T, 16>(), fft_passes<T, 32>(), fft_passes<T, 64>()}, filters_at_once, fft_product<T>};
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
