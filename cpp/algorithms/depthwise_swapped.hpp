// Depthwise convolution with kernels wider than the image: the two change places. An output is the sum over the pixels,
// all of which count, of pixel times weight; over the taps, half of them lie in the padding. (27x27 on 14 x 14 pixels:
// 196 products for 378 that vectors of a row of pixels make.) Turned by 180 degrees, the image is a kernel that slides
// over the turned weights.
#pragma once

#include "algorithms/common.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

// The turned weights must hold every tap that an output asks for.
inline bool is_swapped(const ConvProblem& p) {
  return p.layout == Layout::nchw && p.has_unit_stride() && p.has_unit_dilation() && p.S > p.W && p.R >= p.H &&
         p.pad_top + p.H >= p.R && p.pad_left + p.W >= p.S;
}

// Rows of turned weights, with room for a vector behind each: no load is masked.
inline Extent swapped_row(const ConvProblem& p) { return p.S + widest_lanes; }

inline std::size_t swapped_packed_bytes(const ConvProblem& p) {
  return std::size_t(p.K * p.R * swapped_row(p)) * size_of(p.dtype);
}

template <class T>
std::size_t swapped_workspace(const ConvProblem& p, int threads) {
  return bytes_of<T>(p.H * p.W) * std::size_t(threads);
}

template <class T>
void pack_swapped(const ConvProblem& p, const T* weight, T* packed) {
  const Extent ld = swapped_row(p);
  for (Extent k = 0; k < p.K; ++k, weight += p.R * p.S, packed += p.R * ld)
    for (Extent r = 0; r < p.R; ++r) {
      T* const to = packed + (p.R - 1 - r) * ld;
      std::reverse_copy(weight + r * p.S, weight + (r + 1) * p.S, to);
      std::fill(to + p.S, to + ld, T(0));
    }
}

template <class T>
bool run_swapped(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Extent P = p.P(), Q = p.Q(), per_channel = p.K_per_group(), pixels = p.H * p.W;
  const std::size_t slice = bytes_of<T>(pixels);
  return parallel_for(p.N * p.C, e.resources.threads, [&](Extent image, int thread) {
    const T* const x = e.input + image * pixels;
    T* const taps = reinterpret_cast<T*>(e.workspace + slice * std::size_t(thread));  // turned, column by column
    for (Extent r = 0; r < p.H; ++r)
      for (Extent s = 0; s < p.W; ++s) taps[(p.W - 1 - s) * p.H + p.H - 1 - r] = x[r * p.W + s];
    for (Extent i = 0; i < per_channel; ++i) {
      const Extent plane = image * per_channel + i, k = plane % p.K;
      const Epilogue<T> epilogue = from_filter(e.epilogue, k);
      DepthwiseRows<T> d{};
      d.image = reinterpret_cast<const T*>(e.packed) + k * p.R * swapped_row(p);
      d.H = p.R;
      d.W = swapped_row(p);
      d.filters = d.per_channel = 1;
      d.weights = taps;
      d.R = p.H;
      d.S = p.W;
      d.stride = d.dilation_h = d.dilation_w = 1;
      d.pad_top = p.pad_top + p.H - p.R;
      d.pad_left = p.pad_left + p.W - p.S;
      d.last_row = P;
      d.Q = Q;
      d.out = e.output + plane * P * Q;
      d.plane = P * Q;
      d.epilogue = &epilogue;
      set.depthwise_long(d);
    }
  });
}

}  // namespace fastconv
