#include "fastconv/layer.hpp"

#include <utility>

#include "base/extents.hpp"

namespace fastconv {

namespace {

bool is_sound(const Axis& a) {
  for (Extent value : {a.extent, a.taps, a.outputs, a.stride, a.dilation})
    if (value < 1 || value > largest_extent) return false;
  for (Extent value : {a.before, a.after})
    if (value < 0 || value > largest_extent) return false;
  return product_fits({a.dilation, a.taps});
}

// A forward axis has as many outputs as fit.
bool outputs_fit(const Axis& a) {
  return product_fits({a.stride, a.outputs}) &&
         (a.outputs - 1) * a.stride + (a.taps - 1) * a.dilation + 1 <= a.extent + a.before + a.after;
}

bool is_still(const Axis& a) { return a.taps == 1 && a.stride == 1 && a.before == 0 && a.outputs == a.extent; }

}  // namespace

std::string invalid(const Layer& layer) {
  if (layer.N < 0 || layer.N > largest_extent) return "N: got " + std::to_string(layer.N) + ", expected 0 to 2^40";
  if (layer.C < 1 || layer.C > largest_extent) return "C: got " + std::to_string(layer.C) + ", expected 1 to 2^40";
  if (layer.K < 1 || layer.K > largest_extent) return "K: got " + std::to_string(layer.K) + ", expected 1 to 2^40";
  if (layer.groups < 1 || layer.C % layer.groups || layer.K % layer.groups)
    return "groups: got " + std::to_string(layer.groups) + ", expected a divisor of C and K";
  for (const Axis& axis : layer.axes) {
    if (!is_sound(axis)) return "axes: expected extents of at least 1 and at most 2^40";
    if (layer.kind != Kind::transposed && !outputs_fit(axis)) return "axes: expected outputs within the padded input";
  }
  const auto [d, h, w] = layer.axes;
  const Extent bytes = Extent(size_of(layer.dtype)), images = layer.N > 0 ? layer.N : 1;
  const auto padded = [](const Axis& a) { return a.extent + a.before + a.after; };
  if (!product_fits({bytes, images, layer.C, d.taps, padded(h), padded(w)}) ||
      !product_fits({bytes, images, layer.C, padded(d), padded(h), padded(w)}))
    return "input: expected a padded size that fits 2^62 bytes";
  if (!product_fits({bytes, layer.K, layer.C / layer.groups, d.taps, h.taps, w.taps}))
    return "weight: expected a size that fits 2^62 bytes";
  if (!product_fits({bytes, images, layer.K, d.outputs, h.outputs, w.outputs}))
    return "output: expected a size that fits 2^62 bytes";
  return {};
}

Layer layer_of(const ConvProblem& p) {
  Layer layer{Kind::forward, p.dtype, p.layout, p.N, p.C, p.K, p.groups, {}};
  layer.axes[1] = {p.H, p.R, p.P(), p.stride_h, p.dilation_h, p.pad_top, p.pad_bottom};
  layer.axes[2] = {p.W, p.S, p.Q(), p.stride_w, p.dilation_w, p.pad_left, p.pad_right};
  return layer;
}

namespace {

// Planes of one column are rows of pixels, which lie along vectors.
Layer columns_as_rows(Layer layer) {
  auto& [depth, height, width] = layer.axes;
  if (width.is_trivial() && !height.is_trivial()) std::swap(height, width);
  return layer;
}

}  // namespace

Layer simplified(const Layer& layer) {
  const auto& [depth, height, width] = layer.axes;
  if (depth.is_trivial()) return columns_as_rows(layer);
  Layer flat = layer;
  flat.axes[0] = {};
  // Outputs look at pixels of their own place alone: a plane is a row of pixels, and depth is height.
  if (is_still(height) && is_still(width)) {
    flat.axes[1] = depth;
    flat.axes[2] = {height.extent * width.extent, 1, height.outputs * width.outputs};
    return columns_as_rows(flat);
  }
  // Planes look at themselves alone, and lie one behind the other as images do.
  if (is_still(depth) && layer.layout == Layout::nhwc) {
    flat.N = layer.N * depth.extent;
    return columns_as_rows(flat);
  }
  return columns_as_rows(layer);
}

}  // namespace fastconv
