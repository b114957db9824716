// A layer as convolutions of images by stride 1, or by the layer's own: what is gathered, which convolutions run, where
// their values go, and which weights they have. Pure data, made without running anything.
//
// A forward layer of images is one convolution. A volume's planes become channels of images, so that depth is part of
// one sum by any algorithm. A transposed layer is a convolution for each *phase* of its stride: outputs with the same
// remainder share their taps and look at neighbouring inputs. Phases that look at the same inputs are one convolution
// with more filters; if the kernel is as large as the stride, all of them are. Nothing is multiplied by the zeros
// between inputs, and no two products are added in memory.
//
// Sources: polyphase filters, Crochiere and Rabiner, Multirate Digital Signal Processing, 1983; phases as filters, Shi
// et al., arXiv:1609.07009.
#pragma once

#include <vector>

#include "fastconv/layer.hpp"

namespace fastconv {

// Along an axis of the output: place first + i * step is value skip + i of a convolution, for i < count.
struct Run {
  Extent first = 0, step = 1, count = 1, skip = 0;
  bool operator==(const Run&) const = default;
};

// Filter (g, f, k), phase f, at channel c, depth tap m and plane tap i is
//   weight[g * group + k * filter + c * channel + taps[(f * depth_taps + m) * plane_taps + i]].
// Channels of the images are (g, c, m) with channels first, (g, m, c) with channels last.
struct FilterMap {
  Extent group = 0, filter = 0, channel = 0;
  Extent phases = 1, depth_taps = 1, plane_taps = 1;
  std::vector<Extent> taps;
  bool as_they_lie = true;  // then the weights are the filters, and nothing is gathered

  bool operator==(const FilterMap&) const = default;
};

// Image i of a portion of planes from j on: depth tap m is plane start + (j + i) * image_step + m * tap_step of the
// input, zeros where there is none.
struct Source {
  Extent taps = 1, start = 0, image_step = 1, tap_step = 0;
  bool in_place = true;  // the images are the input's own

  bool operator==(const Source&) const = default;
};

// Where a phase's values go, within a plane of the output.
struct Target {
  Run rows, columns;
  bool operator==(const Target&) const = default;
};

struct Part {
  ConvProblem problem;
  FilterMap filters;
  std::vector<Target> targets;  // one for each phase

  bool operator==(const Part&) const = default;
};

// Gather once, run the parts, write all targets in one pass: for `planes` of the output, `planes_at_a_time`, of
// `images` images or volumes at a time.
struct Stage {
  Source source;
  Run planes;
  Extent images = 1, planes_at_a_time = 1;
  std::vector<Part> parts;
  bool background = false;  // some outputs see no tap: all become the activation of their bias first
  bool in_place = false;  // the one part's values are the outputs as they lie

  bool operator==(const Stage&) const = default;
};

struct Lowering {
  Layer layer;  // as the stages see it: simplified
  std::vector<Stage> stages;

  bool operator==(const Lowering&) const = default;
  std::size_t part_count() const {
    std::size_t count = 0;
    for (const Stage& stage : stages) count += stage.parts.size();
    return count;
  }
};

// What policy decides before there are parts.
struct Route {
  bool splits_depth = false;  // planes near the edge of a volume apart, with the taps alone that they see
};

// Of a sound layer, forward or transposed.
Lowering lower(const Layer& layer, const Route& route);

// One convolution of images is its own only part.
Lowering lower(const ConvProblem& problem);

// Products with padding that splitting the depth saves, of all, and weights that are packed more: what the choice of a
// Route is made from. Zeros if there is nothing to split.
struct DepthSavings {
  Extent products = 0, wasted = 0, weights = 0;
};
DepthSavings depth_savings(const Layer& layer);

}  // namespace fastconv
