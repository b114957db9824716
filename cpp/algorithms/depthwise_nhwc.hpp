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

template <class T>
bool run_depthwise_nhwc(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  // Rows with all their channels, so that the hardware sees what comes next: blocks of channels whose rows stay in L1
  // take 1.2 times as long on large maps, as each of their lines is waited for.
  const Split blocks =
      Split::into(e.resources.threads > 1 ? std::min(p.P(), Extent{8} * e.resources.threads) : 1, p.P());
  const TensorSteps in = p.input_steps(), out = p.output_steps();
  const Extent Q = p.Q(), reach = (p.S - 1) * p.dilation_w;
  // Pixels whose taps all lie inside the image's columns.
  const Extent inner_begin = std::min(Q, ceil_div(p.pad_left, p.stride_w)), last = p.W - 1 - reach + p.pad_left;
  const Extent inner_end = last < 0 ? inner_begin : std::clamp(last / p.stride_w + 1, inner_begin, Q);

  return parallel_for(p.N * blocks.parts, e.resources.threads, [&](Extent task, int) {
    const Extent block = task % blocks.parts, n = task / blocks.parts;
    const T* const image = e.input + n * in.image;
    const T* const weights = reinterpret_cast<const T*>(e.packed);

    DepthwisePixels<T> d{};
    d.pixel_step = p.stride_w * in.pixel;
    d.row_step = p.dilation_h * in.row;
    d.column_step = p.dilation_w * in.pixel;
    d.weight_row = p.S * p.C;
    d.weight_column = p.C;
    d.channels = p.C;
    d.out_step = out.pixel;
    d.epilogue = &e.epilogue;
    for (Extent row = blocks.begin(block); row < blocks.begin(block + 1); ++row) {
      const Extent y = row * p.stride_h - p.pad_top;
      const TapRange rows(y, p.dilation_h, p.R, p.H);
      d.rows = rows.size();
      T* const out_row = e.output + n * out.image + row * out.row;
      for (Extent q = 0; q < Q; q += d.pixels) {
        const bool inner = q >= inner_begin && q < inner_end;
        const Extent x = q * p.stride_w - p.pad_left;
        const TapRange columns(x, p.dilation_w, p.S, p.W);
        d.pixels = inner ? inner_end - q : 1;
        d.columns = columns.size();
        d.x = image + (y + rows.begin * p.dilation_h) * in.row + (x + columns.begin * p.dilation_w) * in.pixel;
        d.weights = weights + (rows.begin * p.S + columns.begin) * p.C;
        d.out = out_row + q * out.pixel;
        set.depthwise_pixels(d);
      }
      if (e.epilogue.kind != ActivationKind::clip)
        for (Extent q = 0; q < Q; ++q) set.activate(out_row + q * out.pixel, p.C, e.epilogue.kind, e.epilogue.slope);
    }
  });
}

}  // namespace fastconv
