// Blocks of outputs are brought into two panels: gradients as [output][filter], in the order of the register tiles'
// packed operand, and the inputs they look at as [row][column][channel], padding included. Then each tap is a product
// of the two, with filters as lanes and channels broadcast, added to the sums [channel][tap][filter]. So the tiles read
// both operands line by line, whatever the layout, stride and dilation, and nothing is unfolded.
#include "fastconv/weight_gradient.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/simplified.hpp"
#include "dispatch/depthwise_gradient.hpp"
#include "dispatch/gradient_blocks.hpp"
#include "fastconv/threads.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

namespace {

// How a dense layer is shared out, and in what portions a task works.
template <class T>
struct Shares {
  bool merged;  // few channels: the taps of a row, which follow one another in the strip, are broadcast together
  Extent filters, channels;  // of a task, at most
  Extent portion;  // channels in the strip at a time
  Extent filter_parts, channel_parts;

  Shares(const ConvProblem& p, const KernelSet<T>& set, const Block& block, int threads) {
    const Extent C = p.C_per_group(), panel = Extent{set.channel_vectors} * set.lanes;
    merged = p.dilation_w == 1 && p.S > 1 && C < set.channel_pixels;
    filters = std::min(ceil_div(p.K_per_group(), panel) * panel, 8 * panel);
    channels = C;
    const auto tasks = [&] { return p.groups * ceil_div(p.K_per_group(), filters) * ceil_div(C, channels); };
    while (threads > 1 && tasks() < 2 * threads) {
      if (filters > panel)
        filters = ceil_div(filters / 2, panel) * panel;
      else if (!merged && channels > 2 * set.channel_pixels)
        channels = ceil_div(channels, 2);
      else
        break;
    }
    filter_parts = ceil_div(p.K_per_group(), filters);
    channel_parts = ceil_div(C, channels);
    constexpr Extent strip_bytes = 256 * 1024;
    const Extent fit = strip_bytes / Extent(sizeof(T)) / block.positions();
    portion = merged ? C : std::clamp<Extent>(fit / set.channel_pixels * set.channel_pixels, set.channel_pixels, C);
    portion = std::min(portion, C);
  }
  Extent sums(const ConvProblem& p) const { return channels * p.R * p.S * filters; }
};

// The sums of one block's outputs onto those so far, for the channels in the strip: the first of them is `at` among the
// task's. Rows of the sums are (r, s, c) if merged, else (c, r, s).
template <class T>
void multiply(const Work<T>& w, const Shares<T>& shares, const Range& range, Extent filters, Extent at, Extent channels,
              bool accumulate) {
  const ConvProblem& p = w.p;
  const Extent L = w.set.lanes, panel = Extent{w.set.channel_vectors} * L, taps = p.R * p.S;
  const Extent ld = ceil_div(filters, L) * L, rows = shares.merged ? p.S * channels : channels;
  Tile<T> tile{};
  tile.steps = range.outputs();
  tile.offset = w.offset;
  tile.pixel_step = 1;
  tile.ld = shares.merged ? ld : taps * ld;
  tile.accumulate = accumulate;
  for (Extent k = 0; k < ld; k += panel) {
    const Extent width = std::min(panel, ld - k);
    const Split runs(rows, longest_run(w.set, width / L));
    tile.packed = w.panel + k * w.block.outputs();
    for (Extent r = 0; r < p.R; ++r)
      for (Extent s = 0; s < (shares.merged ? 1 : p.S); ++s) {
        const T* const from = w.strip + (r * p.dilation_h * w.block.strip_columns + s * p.dilation_w) * channels;
        T* const to = w.sums + (shares.merged ? r * rows : at * taps + r * p.S + s) * ld + k;
        for (Extent run = 0; run < runs.parts; ++run) {
          tile.streamed = from + runs.begin(run);
          tile.out = to + runs.begin(run) * tile.ld;
          w.set.channel_tile[runs.size(run)][width / L](tile);
        }
      }
  }
}

// A task's sums into its filters' weights.
template <class T>
void store(const Work<T>& w, const Shares<T>& shares, Extent filters, Extent channels, T* weight) {
  const ConvProblem& p = w.p;
  const Extent taps = p.R * p.S, L = w.set.lanes, ld = ceil_div(filters, L) * L, filter_step = p.taps();
  if (!shares.merged) {
    const Extent rows = channels * taps;
    w.set.transpose_pack({w.sums, ld, rows, filters, weight, filter_step, rows, nullptr});
    return;
  }
  const T* from = w.sums;
  for (Extent r = 0; r < p.R; ++r)
    for (Extent s = 0; s < p.S; ++s)
      for (Extent c = 0; c < channels; ++c, from += ld)
        for (Extent k = 0; k < filters; ++k) weight[k * filter_step + c * taps + r * p.S + s] = from[k];
}

template <class T>
bool run_dense(const ConvProblem& p, const KernelSet<T>& set, int threads, const T* input, const T* gradient,
               T* weight) {
  const Block block(p);
  const Shares<T> shares(p, set, block, threads);
  const Extent parts = shares.filter_parts * shares.channel_parts;
  const Extent C = p.C_per_group(), Kg = p.K_per_group();
  return run_tasks<T>(
      p.groups * parts, threads, block.positions() * shares.portion, block.outputs() * shares.filters, shares.sums(p),
      block.outputs(), [&](Extent task, T* strip, T* panel, T* sums, std::ptrdiff_t* offset) {
        const Extent g = task / parts, k = task % shares.filter_parts * shares.filters;
        const Extent c = task / shares.filter_parts % shares.channel_parts * shares.channels;
        const Extent filters = std::min(shares.filters, Kg - k), channels = std::min(shares.channels, C - c);
        const Work<T> w{p, set, block, input, gradient, strip, panel, sums, offset};
        bool accumulate = false;
        each_range(block, [&](const Range& range) {
          const Extent width = Extent{set.channel_vectors} * set.lanes;
          for (Extent f = 0; f < filters; f += width) {
            const Extent live = std::min(width, filters - f), lanes = ceil_div(live, Extent{set.lanes}) * set.lanes;
            fill_panel(w, range, g * Kg + k + f, live, lanes, panel + f * block.outputs());
          }
          for (Extent at = 0; at < channels; at += shares.portion) {
            const Extent live = std::min(shares.portion, channels - at);
            fill_strip(w, range, g * C + c + at, live);
            fill_offsets(w, range, live);
            multiply(w, shares, range, filters, at, live, accumulate);
          }
          accumulate = true;
        });
        store(w, shares, filters, channels, weight + (g * Kg + k) * p.taps() + c * p.R * p.S);
      });
}

}  // namespace

bool weight_gradient(const ConvProblem& problem, const void* input, const void* output_gradient, void* weight) {
  const std::string reason = invalid(problem);
  if (!reason.empty()) throw std::invalid_argument(reason);
  const ConvProblem p = simplified(problem);
  constexpr Extent inline_multiply_adds = 512 * 1024;  // as in plan.cpp
  const int threads = p.multiply_adds() <= inline_multiply_adds ? 1 : num_threads();
  return with_type(p.dtype, [&](auto t) {
    using T = decltype(t);
    T* const to = static_cast<T*>(weight);
    if (p.N == 0) {
      std::fill_n(to, p.weight_size(), T(0));
      return true;
    }
    const KernelSet<T>& set = kernel_set<T>(active_kernels());
    const auto run = is_depthwise(p) ? depthwise_gradient<T> : run_dense<T>;
    return run(p, set, threads, static_cast<const T*>(input), static_cast<const T*>(output_gradient), to);
  });
}

}  // namespace fastconv
