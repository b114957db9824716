#include "fastconv/problem.hpp"

#include "base/extents.hpp"
#include "base/simplified.hpp"

namespace fastconv {

namespace {

std::string expected(const char* name, Extent got, const char* what) {
  return std::string(name) + ": got " + std::to_string(got) + ", expected " + what;
}

}  // namespace

std::string invalid(const ConvProblem& p) {
  const struct {
    const char* name;
    Extent value, least;
  } extents[] = {
      {"N", p.N, 0},
      {"C", p.C, 1},
      {"H", p.H, 1},
      {"W", p.W, 1},
      {"K", p.K, 1},
      {"R", p.R, 1},
      {"S", p.S, 1},
      {"stride_h", p.stride_h, 1},
      {"stride_w", p.stride_w, 1},
      {"pad_top", p.pad_top, 0},
      {"pad_bottom", p.pad_bottom, 0},
      {"pad_left", p.pad_left, 0},
      {"pad_right", p.pad_right, 0},
      {"dilation_h", p.dilation_h, 1},
      {"dilation_w", p.dilation_w, 1},
      {"groups", p.groups, 1},
  };
  for (const auto& extent : extents) {
    if (extent.value < extent.least)
      return expected(extent.name, extent.value, extent.least ? "at least 1" : "at least 0");
    if (extent.value > largest_extent) return expected(extent.name, extent.value, "at most 2^40");
  }
  if (!(p.error_limit >= 0)) return "error_limit: expected at least 0";
  if (p.C % p.groups) return expected("groups", p.groups, "a divisor of the channels C = ") + std::to_string(p.C);
  if (p.K % p.groups) return expected("groups", p.groups, "a divisor of the filters K = ") + std::to_string(p.K);

  if (!product_fits({p.dilation_h, p.R - 1}) || !product_fits({p.dilation_w, p.S - 1}))
    return "dilation * kernel: expected a dilated kernel that fits 2^62 pixels";
  const Extent window_h = p.dilation_h * (p.R - 1) + 1, window_w = p.dilation_w * (p.S - 1) + 1;
  const Extent padded_h = p.H + p.pad_top + p.pad_bottom, padded_w = p.W + p.pad_left + p.pad_right;
  if (window_h > padded_h || window_w > padded_w)
    return "kernel: the dilated kernel covers " + std::to_string(window_h) + " x " + std::to_string(window_w) +
           " pixels, expected at most the padded input's " + std::to_string(padded_h) + " x " +
           std::to_string(padded_w);

  const Extent bytes = Extent(size_of(p.dtype));
  const Extent images = p.N > 0 ? p.N : 1;
  if (!product_fits({bytes, images, p.C, padded_h, padded_w}))
    return "input: expected a padded size that fits 2^62 bytes";
  if (!product_fits({bytes, p.K, p.C_per_group(), p.R, p.S})) return "weight: expected a size that fits 2^62 bytes";
  if (!product_fits({bytes, images, p.K, p.P(), p.Q()})) return "output: expected a size that fits 2^62 bytes";
  if (!product_fits({2, images, p.K, p.P(), p.Q(), p.C_per_group(), p.R, p.S}))
    return "problem: expected at most 2^61 multiply-adds";
  return {};
}

ConvProblem simplified(const ConvProblem& p) {
  if (p.W != 1 || p.S != 1 || p.H == 1 || p.pad_left != 0 || p.pad_right != 0) return p;
  ConvProblem row = p;
  row.H = 1, row.W = p.H;
  row.R = 1, row.S = p.R;
  row.stride_h = 1, row.stride_w = p.stride_h;
  row.dilation_h = 1, row.dilation_w = p.dilation_h;
  row.pad_top = row.pad_bottom = 0, row.pad_left = p.pad_top, row.pad_right = p.pad_bottom;
  return row;
}

}  // namespace fastconv
