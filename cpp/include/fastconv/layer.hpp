// One layer of any operator as plain data: what it is of, and how its filters lie along three axes. An axis that a
// user's arrays do not have is one pixel with one tap, so signals, images and volumes are the same record.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "fastconv/problem.hpp"

namespace fastconv {

enum class Kind : std::uint8_t { forward, transposed, weight_gradient };

// `outputs` is what a layer is asked for; a transposed layer may be asked for fewer or more than its inputs reach.
// forward: output y takes tap r of input y * stride + r * dilation - before.
// transposed: output y takes tap r of input i where y + before = i * stride + r * dilation.
// weight_gradient: as the forward layer whose weights it is for.
struct Axis {
  Extent extent = 1, taps = 1, outputs = 1, stride = 1, dilation = 1, before = 0, after = 0;

  // One pixel that looks at itself: what a missing axis is.
  bool is_trivial() const { return extent == 1 && taps == 1 && outputs == 1 && before == 0 && after == 0; }
  bool operator==(const Axis&) const = default;
};

// Depth, height, width. Weights are (K, C / groups, T, R, S), of a transposed layer (C, K / groups, T, R, S). Input and
// output have channels first or last, as `layout` says.
struct Layer {
  Kind kind = Kind::forward;
  DType dtype = DType::float32;
  Layout layout = Layout::nchw;
  Extent N = 1, C = 1, K = 1, groups = 1;
  std::array<Axis, 3> axes{};

  Extent input_pixels() const { return axes[0].extent * axes[1].extent * axes[2].extent; }
  Extent output_pixels() const { return axes[0].outputs * axes[1].outputs * axes[2].outputs; }
  Extent taps() const { return axes[0].taps * axes[1].taps * axes[2].taps; }
  Extent input_size() const { return N * C * input_pixels(); }
  Extent output_size() const { return N * K * output_pixels(); }
  Extent weight_size() const { return K * (C / groups) * taps(); }

  bool operator==(const Layer&) const = default;
};

// What is wrong with the layer, as `invalid` of a problem says it; empty if it is sound. Sizes of a sound layer's
// tensors, and those of its parts, fit 2^62 bytes.
std::string invalid(const Layer& layer);

// The forward layer of one convolution of images, and back: the problem has the layer's geometry and defaults else.
Layer layer_of(const ConvProblem& problem);

// The same layer with fewer axes in use, on the same arrays: a volume whose planes do not look at one another's
// neighbours is an image, or a batch of them.
Layer simplified(const Layer& layer);

}  // namespace fastconv
