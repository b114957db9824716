// What Winograd's minimal filtering does with a layer: which F(m, r) along each axis, and how tiles cover the output.
//
// Every layer it takes becomes unit steps. A stride s splits the image, and the kernel's taps, into s phases per axis;
// their products are summed in the transformed domain, as if they were s * s times the channels. The phases with a tap
// less lack the point at infinity. A dilation d splits image and output into d * d interleaved layers that share their
// weights, as images of a batch do.
#pragma once

#include <cmath>
#include <span>
#include <string>

#include "fastconv/problem.hpp"
#include "kernels/kernel_set.hpp"

namespace fastconv::filtering {

// Of a WinogradAxis, as data.
struct AxisTable {
  int outputs, taps, tail;  // see cook_toom::Axis
  double weight[cook_toom::most_points][cook_toom::most_points];  // G[point][tap]
  cook_toom::Ratio point[cook_toom::most_points];  // the finite ones
  int points() const { return outputs + taps - 1; }
};
const AxisTable& table(WinogradAxis axis);

struct Variant {
  const char* name;
  Extent R, S, stride;
  WinogradAxis rows, columns;
  // Rounding in the transforms does not grow; that of the sums over channels, which the transforms amplify, does with
  // their root. Fitted to measured errors for 1 to 512 channels, in epsilons.
  double constant, factor;

  double error(const ConvProblem& p) const { return std::hypot(constant, factor * std::sqrt(double(p.C_per_group()))); }
};

std::span<const Variant> variants();
bool takes(const Variant& variant, const ConvProblem& problem);  // by its kernel, stride and dilation
bool fits(const Variant& variant,
          const ConvProblem& problem);  // and in the workspace's bound; whatever the error limit
double microseconds(const Variant& variant, const ConvProblem& problem);  // what the choice is made by

// Of those within the error limit the one that takes the least estimated time; null if there is none, and why. Of the
// one that runs: its points and tiles, and why none of the others.
const Variant* find_variant(const ConvProblem& problem);
std::string why_not(const ConvProblem& problem);
std::string details(const ConvProblem& problem);

// What a variant does with a layer: multiplications of channels with weights; floating-point operations of these in
// whole vectors, and what the transforms' time is worth in them; bytes of transformed weights, and
// how often they are read.
struct Work {
  Extent multiply_adds;
  double products, transforms, weights, reads;
  double microseconds(double gflops) const;  // of one thread
};
Work work(const Variant& variant, const ConvProblem& problem, Extent lanes, std::size_t element);

// One axis of a layer.
struct Tiling {
  WinogradAxis axis;
  Extent outputs, tail_outputs, taps, points;
  Extent kernel, stride, dilation, pad;  // taps of the layer's kernel
  Extent image, result;  // pixels: H and P, or W and Q
  Extent whole, tails;  // tiles of one of the interleaved layers

  Tiling(WinogradAxis axis, Extent kernel, Extent stride, Extent dilation, Extent pad, Extent image, Extent result);

  Extent tiles() const { return whole + tails; }
  bool is_tail(Extent tile) const { return tile >= whole; }
  Extent outputs_of(bool tail) const { return tail ? tail_outputs : outputs; }
  Extent points_of(bool tail) const { return outputs_of(tail) + taps - 1; }
  Extent begin(Extent tile) const {  // first output, of one of the interleaved layers
    return tile <= whole ? tile * outputs : whole * outputs + (tile - whole) * tail_outputs;
  }
  Extent point(bool tail, Extent i) const { return i + 1 == points_of(tail) ? points - 1 : i; }  // i: a tile's own
  bool in_tails(Extent i) const { return tails && (i == points - 1 || i < points_of(true) - 1); }
  Extent taps_of(Extent phase) const { return (kernel - phase + stride - 1) / stride; }
  bool has_infinity(Extent phase) const { return taps_of(phase) == taps; }
  Extent products() const { return whole * points + tails * points_of(true); }  // per line of one layer, one phase
};

struct Tilings {
  Tiling rows, columns;
  Tilings(const Variant& v, const ConvProblem& p)
      : rows(v.rows, p.R, p.stride_h, p.dilation_h, p.pad_top, p.H, p.P()),
        columns(v.columns, p.S, p.stride_w, p.dilation_w, p.pad_left, p.W, p.Q()) {}
};

}  // namespace fastconv::filtering
