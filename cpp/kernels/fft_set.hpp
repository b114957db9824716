// Convolution by fast Fourier transforms (fft-inl.hpp). Plain data only, as in kernel_set.hpp.
#pragma once

#include <stddef.h>

#include "kernels/epilogue.hpp"

namespace fastconv {

inline constexpr int fft_sizes = 3, fft_tiles = 4;

// Two tiles of a plane, as the real and the imaginary part of one complex tile of rows x columns, on their way through
// the transforms: image -> buffer -> spectrum, and back to outputs. See fft-inl.hpp.
template <class T>
struct FftTiles {
  ptrdiff_t rows, columns;  // 16, 32 or 64
  const T* image[2];  // planes, H x W; null for no tile
  ptrdiff_t H, W;
  ptrdiff_t row[2], column[2];  // where the tiles begin; what lies outside of the plane is zero
  T* buffer;  // the real parts of a row's columns, then the imaginary ones; rows `pitch` apart
  ptrdiff_t pitch;
  T* spectrum;  // from vector to vector of frequencies `step`; real parts, then imaginary ones
  ptrdiff_t step;
  T* out[2];
  ptrdiff_t out_ld;
  ptrdiff_t out_rows[2], out_columns[2];  // 0 for no tile
  const Epilogue<T>* epilogue;  // bias points at the filter's value
};

template <class T>
struct FftPasses {
  void (*in_columns)(const FftTiles<T>&);
  void (*in_rows)(const FftTiles<T>&);
  void (*out_rows)(const FftTiles<T>&);
  void (*through_rows)(const FftTiles<T>&);  // in, times the conjugate of the spectrum, and out again
  void (*out_columns)(const FftTiles<T>&);
};

// At each of `points` vectors of frequencies, the sums over the channels: y[filter][tile] of z[channel][tile] and
// w[filters by fft_filters][channel][filter].
template <class T>
struct FftProduct {
  const T* z;
  ptrdiff_t z_step;  // from point to point
  const T* w;
  T* y;
  ptrdiff_t y_step;
  ptrdiff_t points, channels, filters, tiles;
};

template <class T>
struct FftKernels {
  FftPasses<T> fft[fft_sizes];  // of 16, 32 and 64 rows (or columns)
  int fft_filters;
  void (*fft_product)(const FftProduct<T>&);
};

}  // namespace fastconv
