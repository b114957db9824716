// Blocks of outputs are brought into two panels: gradients as [output][filter], in the order of the register tiles'
// packed operand, and the inputs they look at as [row][column][channel], padding included. Then each tap is a product
// of the two, with filters as lanes and channels broadcast, added to the sums [channel][tap][filter]. So the tiles read
// both operands line by line, whatever the layout, stride and dilation, and nothing is unfolded.
//
// A depthwise layer has no product over channels: there channels are lanes, and a tap's sum runs over a block's outputs
// as if these were the taps of a depthwise convolution.
#include "fastconv/weight_gradient.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "dispatch/workspace.hpp"
#include "fastconv/threads.hpp"
#include "gemm/product.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

namespace {

// Outputs in a block: the sums come and go once for each, and a panel of gradients stays in L1 or near it.
constexpr Extent block_outputs = 256;

bool is_depthwise(const ConvProblem& p) { return p.groups == p.C && p.K == p.C && p.groups > 1; }

// Images, rows and columns of outputs that make a block; as many of each but for the last.
struct Block {
  Extent images, rows, columns;  // at most
  Split image_blocks, row_blocks, column_blocks;
  Extent strip_rows, strip_columns;  // of the input, for whole blocks

  explicit Block(const ConvProblem& p)
      : images(1),
        rows(1),
        columns(std::min(p.Q(), block_outputs)),
        image_blocks(1, 1),
        row_blocks(1, 1),
        column_blocks(p.Q(), columns) {
    columns = column_blocks.size(0);
    row_blocks = Split(p.P(), std::clamp<Extent>(block_outputs / columns, 1, p.P()));
    rows = row_blocks.size(0);
    const bool whole = row_blocks.parts == 1 && column_blocks.parts == 1;
    image_blocks = Split(p.N, whole ? std::max<Extent>(1, block_outputs / (rows * columns)) : 1);
    images = image_blocks.size(0);
    strip_rows = (rows - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1;
    strip_columns = (columns - 1) * p.stride_w + (p.S - 1) * p.dilation_w + 1;
  }
  Extent outputs() const { return images * rows * columns; }
  Extent positions() const { return images * strip_rows * strip_columns; }
};

// What a task works on, and where it keeps it.
template <class T>
struct Work {
  const ConvProblem& p;
  const KernelSet<T>& set;
  const Block& block;
  const T *input, *gradient;
  T *strip, *panel, *sums;
  std::ptrdiff_t* offset;
};

// The part of a block that exists.
struct Range {
  Extent image, images, row, rows, column, columns;
  Extent outputs() const { return images * rows * columns; }
};

// Channels from `first` on of the inputs under a range, as [image][row][column][channel].
template <class T>
void fill_strip(const Work<T>& w, const Range& range, Extent first, Extent channels) {
  const ConvProblem& p = w.p;
  const TensorSteps in = p.input_steps();
  const Extent rows = w.block.strip_rows, columns = w.block.strip_columns, line = columns * channels;
  const Extent y0 = range.row * p.stride_h - p.pad_top, x0 = range.column * p.stride_w - p.pad_left;
  const Extent begin = std::clamp<Extent>(-x0, 0, columns), end = std::clamp<Extent>(p.W - x0, begin, columns);
  for (Extent n = 0; n < range.images; ++n)
    for (Extent i = 0; i < rows; ++i) {
      T* const to = w.strip + (n * rows + i) * line;
      if (y0 + i < 0 || y0 + i >= p.H || begin == end) {
        std::fill_n(to, line, T(0));
        continue;
      }
      std::fill_n(to, begin * channels, T(0));
      std::fill_n(to + end * channels, (columns - end) * channels, T(0));
      const T* from =
          w.input + (range.image + n) * in.image + first * in.channel + (y0 + i) * in.row + (x0 + begin) * in.pixel;
      if (p.layout == Layout::nchw)
        w.set.transpose_pack(
            {from, in.channel, channels, end - begin, to + begin * channels, channels, channels, nullptr});
      else
        for (Extent x = begin; x < end; ++x, from += in.pixel) std::copy_n(from, channels, to + x * channels);
    }
}

// Gradients of filters from `first` on, as [output][lane], `width` lanes with zeros from `filters` on.
template <class T>
void fill_panel(const Work<T>& w, const Range& range, Extent first, Extent filters, Extent width, T* to) {
  const TensorSteps out = w.p.output_steps();
  for (Extent n = 0; n < range.images; ++n)
    for (Extent i = 0; i < range.rows; ++i) {
      const T* from = w.gradient + (range.image + n) * out.image + first * out.channel + (range.row + i) * out.row +
                      range.column * out.pixel;
      if (w.p.layout == Layout::nchw)
        w.set.transpose_pack({from, out.channel, filters, range.columns, to, width, width, nullptr});
      else
        for (Extent x = 0; x < range.columns; ++x, from += out.pixel) {
          std::copy_n(from, filters, to + x * width);
          std::fill_n(to + x * width + filters, width - filters, T(0));
        }
      to += range.columns * width;
    }
}

// Where in the strip each output's first tap lies.
template <class T>
void fill_offsets(const Work<T>& w, const Range& range, Extent channels) {
  const ConvProblem& p = w.p;
  std::ptrdiff_t* to = w.offset;
  for (Extent n = 0; n < range.images; ++n)
    for (Extent i = 0; i < range.rows; ++i)
      for (Extent j = 0; j < range.columns; ++j)
        *to++ = ((n * w.block.strip_rows + i * p.stride_h) * w.block.strip_columns + j * p.stride_w) * channels;
}

// Calls f for each block, in order.
template <class F>
void each_range(const Block& b, F&& f) {
  for (Extent n = 0; n < b.image_blocks.parts; ++n)
    for (Extent i = 0; i < b.row_blocks.parts; ++i)
      for (Extent j = 0; j < b.column_blocks.parts; ++j)
        f(Range{b.image_blocks.begin(n), b.image_blocks.size(n), b.row_blocks.begin(i), b.row_blocks.size(i),
                b.column_blocks.begin(j), b.column_blocks.size(j)});
}

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

// Calls task(index, slice of workspace) on each thread.
template <class T, class Task>
bool run_tasks(Extent tasks, int threads, Extent strip, Extent panel, Extent sums, Extent outputs, Task&& task) {
  const std::size_t strip_bytes = bytes_of<T>(strip), panel_bytes = bytes_of<T>(panel), sums_bytes = bytes_of<T>(sums);
  const std::size_t offset_bytes = round_up(std::size_t(outputs) * sizeof(std::ptrdiff_t), cache_line);
  const std::size_t slice = strip_bytes + panel_bytes + sums_bytes + offset_bytes;
  const Workspace workspace(slice * std::size_t(threads));
  return parallel_for(tasks, threads, [&](Extent index, int thread) {
    std::byte* const at = workspace.data() + slice * std::size_t(thread);
    task(index, reinterpret_cast<T*>(at), reinterpret_cast<T*>(at + strip_bytes),
         reinterpret_cast<T*>(at + strip_bytes + panel_bytes),
         reinterpret_cast<std::ptrdiff_t*>(at + strip_bytes + panel_bytes + sums_bytes));
  });
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

template <class T>
bool run_depthwise(const ConvProblem& p, const KernelSet<T>& set, int threads, const T* input, const T* gradient,
                   T* weight) {
  const Block block(p);
  const Extent most = std::min<Extent>(p.C, 4 * set.lanes), taps = p.R * p.S;
  return run_tasks<T>(ceil_div(p.C, most), threads, block.positions() * most, block.outputs() * most, taps * most, 0,
                      [&](Extent task, T* strip, T* panel, T* sums, std::ptrdiff_t*) {
                        const Extent c = task * most, channels = std::min(most, p.C - c);
                        const Work<T> w{p, set, block, input, gradient, strip, panel, sums, nullptr};
                        std::fill_n(sums, taps * channels, T(0));
                        each_range(block, [&](const Range& range) {
                          fill_panel(w, range, c, channels, channels, panel);
                          fill_strip(w, range, c, channels);
                          constexpr T infinity = std::numeric_limits<T>::infinity();
                          Epilogue<T> onto{nullptr, -infinity, infinity, ActivationKind::clip, T(0)};
                          DepthwisePixels<T> d{};
                          d.row_step = p.stride_h * block.strip_columns * channels;
                          d.column_step = p.stride_w * channels;
                          d.weight_row = range.columns * channels;
                          d.weight_column = channels;
                          d.rows = range.rows;
                          d.columns = range.columns;
                          d.pixels = 1;
                          d.channels = channels;
                          d.epilogue = &onto;
                          for (Extent n = 0; n < range.images; ++n)
                            for (Extent tap = 0; tap < taps; ++tap) {
                              const Extent row = n * block.strip_rows + tap / p.S * p.dilation_h,
                                           column = tap % p.S * p.dilation_w;
                              d.x = strip + (row * block.strip_columns + column) * channels;
                              d.weights = panel + n * range.rows * range.columns * channels;
                              d.out = sums + tap * channels;
                              onto.bias = d.out;  // what the sums begin with
                              set.depthwise_pixels(d);
                            }
                        });
                        for (Extent tap = 0; tap < taps; ++tap)
                          for (Extent i = 0; i < channels; ++i) weight[(c + i) * taps + tap] = sums[tap * channels + i];
                      });
}

}  // namespace

bool weight_gradient(const ConvProblem& p, const void* input, const void* output_gradient, void* weight) {
  const std::string reason = invalid(p);
  if (!reason.empty()) throw std::invalid_argument(reason);
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
    const auto run = is_depthwise(p) ? run_depthwise<T> : run_dense<T>;
    return run(p, set, threads, static_cast<const T*>(input), static_cast<const T*>(output_gradient), to);
  });
}

}  // namespace fastconv
