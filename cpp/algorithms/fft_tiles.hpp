// Which tiles `fft` cuts a layer into, and what they cost.
#pragma once

#include <cmath>

#include "algorithms/common.hpp"

namespace fastconv::spectra {

// Pixels under a kernel along an axis: a tile of 64 yields 17 outputs then.
inline constexpr Extent largest_reach = 48;

inline Extent reach_h(const ConvProblem& p) { return (p.R - 1) * p.dilation_h + 1; }
inline Extent reach_w(const ConvProblem& p) { return (p.S - 1) * p.dilation_w + 1; }

constexpr Extent points_of(int size) { return Extent{16} << size; }

// A plane's tiles: of points_of(size) inputs along each axis.
struct Tiles {
  int size_h, size_w;
  Extent rows, columns;          // inputs of a tile
  Extent out_rows, out_columns;  // outputs that it yields
  Extent down, across;

  Tiles(const ConvProblem& p, int h, int w) : size_h(h), size_w(w), rows(points_of(h)), columns(points_of(w)) {
    out_rows = rows - reach_h(p) + 1;
    out_columns = columns - reach_w(p) + 1;
    down = ceil_div(p.P(), out_rows);
    across = ceil_div(p.Q(), out_columns);
  }
  Extent pairs() const { return ceil_div(down * across, 2); }
  Extent values() const { return 2 * rows * columns; }

  double multiply_adds(const ConvProblem& p) const {
    return 2.0 * double(values()) * double(p.N * pairs()) * double(p.K * p.C_per_group());
  }
  double weight_bytes(const ConvProblem& p) const {
    return double(values() * p.K * p.C_per_group()) * double(size_of(p.dtype));
  }
};

// One filter and channel in a group: nothing to add up, spectra exist for a few rows at a time.
inline bool is_single(const ConvProblem& p) { return p.C_per_group() == 1 && p.K_per_group() == 1; }

// Microseconds of one thread. Fitted on Zen 4 with AVX-512 to 24 layers, to within 15 % but for outputs of several MB,
// which take up to 1.9 times as long: transforms take 0.35 ns a value and way; products run at 0.7 of the peak, or as
// fast as weights come from L3 or memory.
inline double microseconds(const Tiles& t, const ConvProblem& p, double gflops) {
  const double slower = 112 / gflops;
  if (is_single(p)) return double(p.N * p.C * t.pairs() * t.values()) * 0.75e-3 * slower;
  const double transforms = double(p.N * t.pairs() * (p.C + p.K) * t.values()) * 0.35e-3 * slower;
  const double weights = t.weight_bytes(p), passes = double(p.N * ceil_div(t.pairs(), Extent{fft_tiles}));
  const double reading = passes * weights * 1e-3 / (weights < 30e6 ? 28 : 16);
  return transforms + std::max(2e-3 * t.multiply_adds(p) / (0.7 * gflops), reading);
}

// The tiles that take the least time, as an AVX-512 machine would have it for every ISA.
inline Tiles tiles_of(const ConvProblem& p) {
  const double gflops = p.dtype == DType::float32 ? 112 : 56;
  Tiles best(p, fft_sizes - 1, fft_sizes - 1);
  double least = microseconds(best, p, gflops);
  for (int h = 0; h < fft_sizes; ++h)
    for (int w = 0; w < fft_sizes; ++w) {
      if (points_of(h) < reach_h(p) || points_of(w) < reach_w(p)) continue;
      const Tiles tiles(p, h, w);
      const double time = microseconds(tiles, p, gflops);
      if (time < least) {
        least = time;
        best = tiles;
      }
    }
  return best;
}

// Rounding errors of a transform grow with the octaves. Fitted to normal data of 1 to 512 channels, kernels of 3 to 31.
inline double expected_error(const ConvProblem& p) {
  const Tiles t = tiles_of(p);
  return std::hypot(0.5 * std::sqrt(std::log2(double(t.rows * t.columns))), 0.19 * std::sqrt(double(p.C_per_group())));
}

}  // namespace fastconv::spectra
