// Pixels or output channels along the vectors? Both products exist for `pointwise` and `direct`; this is the choice
// between them, and the packing of weights that goes with it.
#pragma once

#include "algorithms/common.hpp"
#include "gemm/channel_lanes.hpp"

namespace fastconv {

// run_length(problem): how many neighbouring output pixels the algorithm can lay along vectors. in_place(problem):
// whether pixel lanes need no copy of the image; channel lanes never do.
template <Extent (*run_length)(const ConvProblem&), bool (*in_place)(const ConvProblem&)>
struct Lanes {
  template <class T>
  static bool are_channels(const ConvProblem& p, const KernelSet<T>& set) {
    return p.layout == Layout::nhwc || channels(p, set) > pixels(p, set.lanes);
  }

  static bool are_channels(const ConvProblem& p, const Kernels& kernels) {
    return with_type(p, [&](auto t) { return are_channels(p, kernel_set<decltype(t)>(kernels)); });
  }

  static double share(const ConvProblem& p, const Kernels& kernels) {
    return with_type(p, [&](auto t) {
      const KernelSet<decltype(t)>& set = kernel_set<decltype(t)>(kernels);
      return p.layout == Layout::nhwc ? channels(p, set) : std::max(channels(p, set), pixels(p, set.lanes));
    });
  }

  static std::string variant(const ConvProblem& p, const Kernels& kernels) {
    return are_channels(p, kernels) ? "channel lanes" : "pixel lanes";
  }

  // Pixel lanes go on with a sum that lies in the output: see product.cpp.
  static bool adds_in_place(const ConvProblem& p, const Kernels& kernels) { return !are_channels(p, kernels); }

  // Values of one group's packed weights: channel lanes fill up the last vector.
  template <class T>
  static Extent packed_group(const ConvProblem& p, const KernelSet<T>& set) {
    return are_channels(p, set) ? ChannelLanes<T>(p, set).packed_group() : p.K_per_group() * p.taps();
  }

  static std::size_t packed_bytes(const ConvProblem& p, const Kernels& kernels) {
    return with_type(p, [&](auto t) {
      using T = decltype(t);
      return std::size_t(p.groups * packed_group(p, kernel_set<T>(kernels))) * sizeof(T);
    });
  }

  template <class T>
  static void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
    const KernelSet<T>& set = kernel_set<T>(kernels);
    const ChannelLanes<T> channels(p, set);
    pack_groups(p, packed_group(p, set), weight, reinterpret_cast<T*>(packed), [&](const T* from, T* to) {
      if (are_channels(p, set))
        channels.pack_group(from, to);
      else
        pack_pixel_lanes(set, from, p.K_per_group(), p.taps(), to);
    });
  }

  template <class T>
  static bool pack_spread(const ConvProblem& p, const Kernels& kernels, const T* weight, const Extent* taps,
                          std::byte* packed) {
    const KernelSet<T>& set = kernel_set<T>(kernels);
    if (!are_channels(p, set)) return false;
    if (!packed) return true;
    const ChannelLanes<T> channels(p, set);
    // A group's share is as large as in KCRS.
    pack_groups(p, channels.packed_group(), weight, reinterpret_cast<T*>(packed),
                [&](const T* from, T* to) { channels.pack_spread_group(from, taps, to); });
    return true;
  }

 private:
  // Shares of peak. The copy: 64 channels at 224 x 224, 3 x 3, 87 % against 96 with channel lanes.
  static double pixels(const ConvProblem& p, Extent lanes) {
    return pixel_share(lanes, run_length(p)) * (in_place(p) ? 0.98 : 0.92);
  }
  // Thin tiles read unpacked pixels too often: AVX2, 1x1 at 7 x 7, 14 x 14 and by stride 2, 65 to 80 % of
  // peak, with pixel lanes 75 to 89.
  template <class T>
  static double channels(const ConvProblem& p, const KernelSet<T>& set) {
    const double reading = p.R * p.S == 1 && has_thin_tiles(set) ? 0.85 : 1;
    return 0.98 * reading * channel_share(set.lanes, p.K_per_group(), p.taps());
  }
};

// Blocks of output pixels whose inputs, over a part's channels at least, and whose sums share L2. A row's blocks depend
// on the problem alone: at the borders, so do the sums' order.
template <class T>
struct ChannelBlocking {
  Split rows, columns;
  Extent parts_of_filters;
  std::size_t sums_bytes;

  ChannelBlocking(const ConvProblem& p, const ChannelLanes<T>& lanes, int threads)
      : rows(1, 1), columns(p.Q(), most_pixels) {
    const Extent P = p.P(), images = p.N * p.groups;
    if (P == 1 && !p.has_padding())
      columns = Split::into(PixelBlocks(p.Q(), row_pixels(p), images, threads).count(), p.Q());
    const Extent width = columns.size(0),
                 wanted = threads > 1 ? (4 * Extent{threads} - 1) / (images * columns.parts) + 1 : 1;

    // Of the numbers of rows that keep a part's inputs in L2, the one that moves the fewest bytes from beyond it:
    // weights once per block of rows, and inputs once, or once per panel of filters if not all channels' fit. (2048 ->
    // 256 channels at 33 x 33, dilation 12, row by row: 125 % of peak, against 143 with the whole map.)
    const double weights = double(p.weight_size() / p.groups) * sizeof(T);
    const Extent channels = p.layout == Layout::nhwc && p.groups > 1 ? p.C : lanes.part_channels();
    const double panels = double((p.K_per_group() + lanes.unit() - 1) / lanes.unit());
    double least = 0;
    Extent best = 1;
    for (Extent n = 1; n <= std::clamp<Extent>(2 * most_pixels / width, 1, std::max<Extent>(1, P / wanted)); ++n) {
      const Extent inputs = std::min(p.H, (n - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1);
      const double bytes = double(inputs * width * p.stride_w) * sizeof(T);
      if (n > 1 && bytes * double(channels) > double(l2_share)) break;
      const double blocks = double((P + n - 1) / n), image = bytes * double(p.C_per_group()) * blocks;
      const double moved = (weights > double(l2_share) / 2 ? blocks * weights : 0) +
                           image * (bytes * double(p.C_per_group()) > double(l2_share) ? panels : 1);
      if (n > 1 && moved > least) continue;
      least = moved;
      best = n;
    }
    rows = Split::into(even_parts(ceil_div(P, best), P, images * columns.parts, threads), P);
    // Cutting the filters costs nothing here, so there are more tasks than elsewhere: a thread may come late.
    parts_of_filters =
        filter_parts(p.K_per_group(), lanes.unit(), images * rows.parts * columns.parts, threads > 1 ? 2 * threads : 1);
    // Few pixels and few filters. (384 -> 64 channels at 14 x 14: one panel, and else one task for two threads.)
    if (P == 1 && !p.has_padding() && images * columns.parts * parts_of_filters < threads)
      columns = Split::into(std::min(p.Q(), Extent{threads}), p.Q());
    sums_bytes = bytes_of<T>(lanes.sums(rows.size(0), columns.size(0)));
  }

 private:
  static constexpr Extent most_pixels = 512;
  static Extent row_pixels(const ConvProblem& p) {
    return std::clamp<Extent>(Extent(l2_share / sizeof(T)) / p.C_per_group(), 64, most_pixels);
  }
};

template <class T>
std::size_t channel_workspace(const ConvProblem& p, const Resources& r) {
  const ChannelLanes<T> lanes(p, kernel_set<T>(*r.kernels));
  return offsets_bytes(lanes.offsets()) + ChannelBlocking<T>(p, lanes, r.threads).sums_bytes * std::size_t(r.threads);
}

// Convolution by channel lanes; `p` is e.problem, or the same one seen as a single row of pixels.
template <class T>
bool run_channel_lanes(const ConvProblem& p, const Execution<T>& e) {
  const ChannelLanes<T> lanes(p, kernel_set<T>(*e.resources.kernels));
  const ChannelBlocking<T> b(p, lanes, e.resources.threads);
  const Extent C = p.C_per_group(), Kg = p.K_per_group();
  const TensorSteps in = p.input_steps(), out = p.output_steps();
  const T* weight = reinterpret_cast<const T*>(e.packed);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(e.workspace);
  lanes.fill_offsets(offset);
  std::byte* slices = e.workspace + offsets_bytes(lanes.offsets());

  const FilterParts filters(Kg, lanes.unit(), b.parts_of_filters, false);
  const Extent blocks = b.rows.parts * b.columns.parts;
  // NHWC: a pixel's groups share its cache lines, so all of them have their turn while a block's rows are in L2. (32
  // groups of 8 channels at 56 x 56, by 2: 16 % of peak, group after group.)
  const bool nhwc = p.layout == Layout::nhwc;
  const Extent inner = nhwc ? p.groups : blocks, outer = nhwc ? blocks : p.groups;
  return parallel_for(p.N * inner * outer * filters.count, e.resources.threads, [&](Extent task, int thread) {
    const Extent chunk = task % filters.count, at = task / filters.count, n = at / inner / outer;
    const Extent g = nhwc ? at % inner : at / inner % outer, block = nhwc ? at / inner % outer : at % inner;
    const Extent row = block / b.columns.parts, column = block % b.columns.parts;
    const Extent k = filters.begin(chunk), filter = g * Kg + k;
    lanes.run({e.input + n * in.image + g * C * in.channel, weight + g * lanes.packed_group() + k * p.taps(), offset,
               filters.size(chunk), b.rows.begin(row), b.rows.size(row), b.columns.begin(column),
               b.columns.size(column), e.output + n * out.image + filter * out.channel, from_filter(e.epilogue, filter),
               reinterpret_cast<T*>(slices + b.sums_bytes * std::size_t(thread))});
  });
}

}  // namespace fastconv
