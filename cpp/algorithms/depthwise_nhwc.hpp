// Depthwise convolution of NHWC images, one filter per channel: channels are lanes, nothing is copied.
#pragma once

#include "algorithms/common.hpp"
#include "gemm/tap_range.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

// Weights as they are read: tap by tap, all channels of each.
template <class T>
void pack_depthwise_nhwc(const ConvProblem& p, const KernelSet<T>& set, const T* weight, T* packed) {
  set.transpose_pack({weight, p.taps(), p.K, p.taps(), packed, p.K, p.K, nullptr});
}

// Columns of taps that the kernel has loops for; rows, and steps from row to row, are any.
inline bool has_lane_kernel(const ConvProblem& p) {
  return (p.S == 3 || p.S == 5 || p.S == 7) && p.stride_w <= 2 && p.dilation_w == 1;
}

// Some rows of outputs from `row` on, of an image.
template <class T>
void lane_rows(const Execution<T>& e, const KernelSet<T>& set, const T* image, Extent row, Extent out_rows, T* out) {
  const ConvProblem& p = e.problem;
  const TensorSteps in = p.input_steps(), steps = p.output_steps();
  // More than one row of outputs: these follow one another in the image, and see as many rows of it more.
  const Extent y = row * p.stride_h - p.pad_top;
  const TapRange rows(y, p.dilation_h, p.R + out_rows - 1, p.H);
  DepthwiseLanes<T> d{};
  d.x = image + (y + rows.begin * p.dilation_h) * in.row;
  d.row_step = p.dilation_h * in.row;
  d.pixel_step = in.pixel;
  d.W = p.W;
  d.pad_left = p.pad_left;
  d.image_rows = rows.size();
  d.first_tap = rows.begin;
  d.taps = p.R;
  d.columns = p.S;
  d.stride = p.stride_w;
  d.weights = reinterpret_cast<const T*>(e.packed);
  d.weight_row = p.S * p.C;
  d.weight_column = p.C;
  d.pixels = p.Q();
  d.channels = p.C;
  d.out = out;
  d.out_step = steps.pixel;
  d.out_row = steps.row;
  d.out_rows = out_rows;
  d.epilogue = &e.epilogue;
  set.depthwise_lanes(d);
}

template <class T>
bool run_depthwise_nhwc(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Extent at_once = p.has_unit_stride() && p.dilation_h == 1 ? set.depthwise_lane_rows : 1;
  // Rows with all their channels, so that the hardware sees what comes next: blocks of channels whose rows stay in L1
  // take 1.2 times as long on large maps, as each of their lines is waited for.
  const Extent groups = ceil_div(p.P(), at_once);
  const Split blocks =
      Split::into(e.resources.threads > 1 ? std::min(groups, Extent{8} * e.resources.threads) : 1, groups);
  const TensorSteps in = p.input_steps(), out = p.output_steps();

  return parallel_for(p.N * blocks.parts, e.resources.threads, [&](Extent task, int) {
    const Extent block = task % blocks.parts, n = task / blocks.parts;
    const Extent end = std::min(p.P(), blocks.begin(block + 1) * at_once);
    for (Extent row = blocks.begin(block) * at_once, rows; row < end; row += rows) {
      rows = std::min(at_once, end - row);
      T* const to = e.output + n * out.image + row * out.row;
      lane_rows(e, set, e.input + n * in.image, row, rows, to);
      if (e.epilogue.second_pass)
        for (Extent pixel = 0; pixel < rows * p.Q(); ++pixel) set.activate(to + pixel * out.pixel, p.C, e.epilogue);
    }
  });
}

}  // namespace fastconv
