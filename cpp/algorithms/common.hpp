// What several algorithms need: slices of workspace, blocks of pixels, and the shape of a cost estimate.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "fastconv/algorithm.hpp"
#include "gemm/product.hpp"
#include "gemm/tap_range.hpp"

namespace fastconv {

template <class F>
auto with_type(const ConvProblem& problem, F&& f) {
  return with_type(problem.dtype, f);
}

inline std::string accepts_all(const ConvProblem&) { return {}; }
inline bool always(const ConvProblem&) { return true; }
inline bool never(const ConvProblem&) { return false; }

template <class T>
Epilogue<T> from_filter(Epilogue<T> epilogue, Extent k) {
  if (epilogue.bias) epilogue.bias += k;
  return epilogue;
}

// Time at a share of the ISA's nominal peak, plus the time to move `bytes` at 20 GB/s (one core, beyond L2) and a
// call's fixed part.
inline double estimate(double flops, double share, double bytes, const ConvProblem& problem, const Kernels& kernels) {
  const double gflops = problem.dtype == DType::float32 ? kernels.f32.nominal_gflops : kernels.f64.nominal_gflops;
  return 1.0 + flops * 1e-3 / (gflops * share) + bytes * 1e-3 / 20;
}

// Microseconds to copy rows of an image, taken apart by the stride: `rows` of them, `values` in all. By steps of 1, 2
// and 4 vectors are shuffled, by others values are picked one by one. (One channel and filter, Zen 4, AVX-512 and AVX2:
// 3 to 5 ns a row; a value of float32 0.1 ns at stride 1, 0.15 to 0.25 at stride 2, 0.7 to 0.8 at stride 3.)
inline double copy_cost(double rows, double values, const ConvProblem& p) {
  const bool shuffled = p.stride_w == 1 || p.stride_w == 2 || p.stride_w == 4;
  const double value = shuffled ? (p.stride_w == 1 ? 0.025 : 0.055) * double(size_of(p.dtype)) : 0.75;
  return (4 * rows + value * values) * 1e-3;
}

inline double flops_of(const ConvProblem& p) { return 2.0 * double(p.multiply_adds()); }

// The share of all taps, over all outputs, that do not lie in the padding.
inline double share_inside(const ConvProblem& p) {
  const auto along = [](Extent taps, Extent dilation, Extent pad, Extent stride, Extent outputs, Extent size) {
    Extent inside = 0;
    for (Extent r = 0; r < taps; ++r) inside += TapRange(r * dilation - pad, stride, outputs, size).size();
    return double(inside) / double(std::max<Extent>(1, taps * outputs));
  };
  return along(p.R, p.dilation_h, p.pad_top, p.stride_h, p.P(), p.H) *
         along(p.S, p.dilation_w, p.pad_left, p.stride_w, p.Q(), p.W);
}

// Lanes that do work when `columns` pixels, or `filters` channels, are laid along vectors. Channel lanes pay for the
// sums' way through L2 and the transposing stores as well: measured at 16 % for 64 steps, 4 % at 256, 2 % at 512.
inline double pixel_share(Extent lanes, Extent columns) {
  return double(columns) / double((columns + lanes - 1) / lanes * lanes);
}
inline double channel_share(Extent lanes, Extent filters, Extent steps) {
  return double(filters) / double((filters + lanes - 1) / lanes * lanes) * double(steps) / (double(steps) + 12.0);
}

// The parts, `least` or a few more up to `most`, that share out evenly over the threads: seven tasks on two threads
// leave one of them idle for an eighth of the time.
inline Extent even_parts(Extent least, Extent most, Extent other_tasks, int threads) {
  if (least * other_tasks >= 16 * threads) return least;
  for (Extent parts = least; parts <= std::min(most, least + threads - 1); ++parts)
    if (parts * other_tasks % threads == 0) return parts;
  return least;
}

// An image's pixels in blocks of about equal size, at most `most`: multiples of 64, so that only the last one has a
// tail; enough of them to share out over the threads if there are that many pixels.
class PixelBlocks {
 public:
  PixelBlocks(Extent pixels, Extent most, Extent other_tasks, int threads)
      : pixels_(pixels),
        units_(Split::into(blocks(pixels, most, std::max<Extent>(other_tasks, 1), threads), ceil_div(pixels, unit))) {}
  Extent count() const { return units_.parts; }
  Extent begin(Extent block) const { return units_.begin(block) * unit; }
  Extent size(Extent block) const { return std::min(pixels_, begin(block + 1)) - begin(block); }  // most in block 0

 private:
  static constexpr Extent unit = 64;
  static Extent blocks(Extent pixels, Extent most, Extent other_tasks, int threads) {
    const Extent units = ceil_div(pixels, unit);
    const Extent wanted = threads > 1 ? ceil_div(4 * Extent{threads}, other_tasks) : 1;
    const Extent least =
        std::max({ceil_div(units, std::max<Extent>(1, most / unit)), std::min(wanted, pixels / 192), Extent{1}});
    return least > 1 ? even_parts(least, units, other_tasks, threads) : 1;
  }
  Extent pixels_;
  Split units_;
};

// Into how many parts the filters are cut so that `tasks` become enough for the threads.
inline Extent filter_parts(Extent filters, Extent unit, Extent tasks, int threads) {
  if (threads <= 1 || tasks >= 2 * threads) return 1;
  const Extent wanted = (2 * Extent{threads} + tasks - 1) / std::max<Extent>(tasks, 1);
  return std::max<Extent>(1, std::min(wanted, filters / unit));
}

// Parts of the filters that begin where a panel of packed weights does. Panels of at most `unit` filters: even ones for
// pixel lanes (as Split has them), full ones for channel lanes.
class FilterParts {
 public:
  const Extent count;

  FilterParts(Extent filters, Extent unit, Extent parts, bool even = true)
      : count(parts),
        filters_(filters),
        unit_(unit),
        even_(even),
        panels_(filters, unit),
        shares_(Split::into(parts, panels_.parts)) {}
  Extent begin(Extent part) const {
    const Extent panel = shares_.begin(part);
    return even_ ? panels_.begin(panel) : std::min(filters_, panel * unit_);
  }
  Extent size(Extent part) const { return begin(part + 1) - begin(part); }

 private:
  Extent filters_, unit_;
  bool even_;
  Split panels_, shares_;
};

// Packs each group's filters: pack_group(from, to), `size` packed values per group.
template <class T, class F>
void pack_groups(const ConvProblem& p, Extent size, const T* weight, T* packed, F&& pack_group) {
  for (Extent g = 0; g < p.groups; ++g) pack_group(weight + g * p.K_per_group() * p.taps(), packed + g * size);
}

}  // namespace fastconv
