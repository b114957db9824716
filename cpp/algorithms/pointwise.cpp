// 1x1 convolution: a product on the image itself. At stride 1 without padding nothing is copied, unless tiles are thin;
// else the pixels that are looked at are gathered, block by block.
//
// Pixels are lanes, except on maps whose pixels fill vectors badly (7x7: 77 %), where output channels are.
#include "gemm/im2col_block.hpp"

#include "algorithms/lanes.hpp"

namespace fastconv {
namespace {

Extent all_pixels(const ConvProblem& p) { return p.P() * p.Q(); }
bool is_in_place(const ConvProblem& p) { return p.has_unit_stride() && !p.has_padding(); }
using Choice = Lanes<all_pixels, is_in_place>;

// The same layer with all its pixels in one row, where they follow one another.
ConvProblem as_one_row(const ConvProblem& p) {
  ConvProblem row = p;
  if (!is_in_place(p)) return row;
  row.H = 1;
  row.W = p.H * p.W;
  return row;
}

// Pixel lanes.
template <class T>
struct Blocking {
  bool in_place;
  Extent strip;  // pixels of a packed strip, 0 for none
  bool by_filters;  // each block's filters are shared out over the threads, and pixels are not
  PixelBlocks blocks;
  Extent ld, strip_step, parts_of_filters;
  std::size_t block_bytes;

  // With 64 filters for each thread, every block is even work and none need be small for the threads' sake. (Two
  // threads, 64 -> 256 channels at 56 x 56: 80 -> 90 % of peak, 512 -> 128 at 28 x 28: 93 -> 96.)
  Blocking(const ConvProblem& p, const Resources& r)
      : in_place(is_in_place(p)),
        strip(in_place && packs(kernel_set<T>(*r.kernels), p)
                  ? strip_width(kernel_set<T>(*r.kernels), p.K_per_group(), p.C_per_group())
                  : 0),
        by_filters(in_place && !strip && p.K_per_group() >= 64 * Extent{r.threads}),
        blocks(p.P() * p.Q(), most_pixels(p, in_place && !strip), p.N * p.groups, by_filters ? 1 : r.threads) {
    const Extent C = p.C_per_group();
    ld = strip ? strip : in_place ? p.H * p.W : odd_lines<T>(blocks.size(0));
    // One line more than full: strips a power of two apart would be written to the same sets of L1.
    strip_step = C * strip + Extent(cache_line / sizeof(T));
    parts_of_filters = by_filters ? Extent{r.threads}
                                  : filter_parts(p.K_per_group(), panel_rows(kernel_set<T>(*r.kernels), C),
                                                 p.N * p.groups * blocks.count(), r.threads);
    block_bytes = strip      ? bytes_of<T>(ceil_div(blocks.size(0), strip) * strip_step)
                  : in_place ? 0
                             : bytes_of<T>(C * ld);
  }

 private:
  // The reduction is walked in parts, so it is a part of the image that must fit; but all of what is gathered.
  static Extent most_pixels(const ConvProblem& p, bool reads_image) {
    const Extent C = p.C_per_group();
    return std::max<Extent>(64, Extent(l2_share / 2 / sizeof(T)) / (reads_image ? part_of<T>(C) : C));
  }
  // Tiles of few rows read pixels so often that it pays to pack them. (AVX2, 64 -> 256 channels at 56 x 56: 71 -> 87 %
  // of peak, 512 -> 128 at 28 x 28: 77 -> 89. AVX-512, 14 rows: slower on 12 layers of 12.)
  static bool packs(const KernelSet<T>& set, const ConvProblem& p) {
    return has_thin_tiles(set) && p.K_per_group() >= 8 * set.pixel_rows && p.C_per_group() >= 32;
  }
};

std::string rejects(const ConvProblem& p) {
  if (p.R != 1 || p.S != 1) return "needs a 1x1 kernel, got " + std::to_string(p.R) + "x" + std::to_string(p.S);
  return {};
}

double cost(const ConvProblem& p, const Kernels& kernels) {
  return estimate(flops_of(p), Choice::share(p, kernels), 0, p, kernels);
}

std::size_t workspace(const ConvProblem& p, const Resources& r) {
  return with_type(p, [&](auto t) {
    using T = decltype(t);
    if (Choice::are_channels(p, kernel_set<T>(*r.kernels))) return channel_workspace<T>(as_one_row(p), r);
    return offsets_bytes(p.taps()) + Blocking<T>(p, r).block_bytes * std::size_t(r.threads);
  });
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  if (Choice::are_channels(p, set)) return run_channel_lanes(as_one_row(p), e);
  const Blocking<T> b(p, e.resources);
  const Extent C = p.C_per_group(), Kg = p.K_per_group(), pixels = p.P() * p.Q();
  const Extent packed_size = Choice::packed_group(p, set);
  const T* weight = reinterpret_cast<const T*>(e.packed);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(e.workspace);
  for (Extent c = 0; c < C; ++c) offset[c] = c * b.ld;
  std::byte* slices = e.workspace + offsets_bytes(C);

  const FilterParts filters(Kg, panel_rows(set, C), b.parts_of_filters);
  const Extent tasks = p.N * p.groups * b.blocks.count() * filters.count;
  return parallel_for(tasks, e.resources.threads, [&](Extent task, int thread) {
    const Extent chunk = task % filters.count, block = task / filters.count % b.blocks.count();
    const Extent image_group = task / filters.count / b.blocks.count(), n = image_group / p.groups,
                 g = image_group % p.groups;
    const Extent first_pixel = b.blocks.begin(block), count = b.blocks.size(block);
    const Extent k = filters.begin(chunk);
    const T* image = e.input + image_group * C * p.H * p.W;
    const T* streamed = image + first_pixel;
    if (b.strip) {
      T* packed = reinterpret_cast<T*>(slices + b.block_bytes * std::size_t(thread));
      set.strip_pack({streamed, p.H * p.W, C, count, packed, b.strip, b.strip_step});
      streamed = packed;
    } else if (!b.in_place) {
      T* gathered = reinterpret_cast<T*>(slices + b.block_bytes * std::size_t(thread));
      pack_im2col_block(p, set, image, 0, C, first_pixel, count, gathered, b.ld);
      streamed = gathered;
    }
    Product<T> product{set,
                       weight + g * packed_size + k * C,
                       filters.size(chunk),
                       C,
                       streamed,
                       offset,
                       1,
                       0,
                       count,
                       e.output + (n * p.K + g * Kg + k) * pixels + first_pixel,
                       pixels,
                       pixels,
                       from_filter(e.epilogue, g * Kg + k)};
    // In place, the planes' pieces of a block lie in as many pages, where the hardware does not prefetch. (256 -> 64
    // channels at 56 x 56: 73 -> 92 % of peak; with 8 images 43 -> 80.) The task after the next belongs to the other of
    // two threads, so the block to come is as many tasks ahead as there are threads.
    const Extent next = (task + e.resources.threads) / filters.count;
    if (b.strip) {
      product.strip = b.strip;
      product.strip_step = b.strip_step;
    } else if (b.in_place && next > task / filters.count && next < p.N * p.groups * b.blocks.count()) {
      const Extent next_pixel = b.blocks.begin(next % b.blocks.count());
      product.ahead = e.input + next / b.blocks.count() * C * pixels + next_pixel;
      product.ahead_step = b.ld;
      product.ahead_columns = b.blocks.size(next % b.blocks.count());
    }
    multiply_pixel_lanes(product);
  });
}

}  // namespace

extern const Algorithm pointwise;
const Algorithm pointwise = {
    .name = "pointwise",
    .summary = "1x1 as a product on the image itself, without a copy at stride 1",
    .rejects = rejects,
    .variant = Choice::variant,
    .cost = cost,
    .packed_bytes = Choice::packed_bytes,
    .workspace = workspace,
    .adds_in_place = Choice::adds_in_place,
    .takes_nhwc = always,
    .f32 = {Choice::pack<float>, run<float>},
    .f64 = {Choice::pack<double>, run<double>},
};

}  // namespace fastconv
