// im2col + GEMM. The matrix of patches is packed block by block beside the product that uses it: a block is one part of
// the reduction by a few hundred output pixels and stays in L2. Pixels are lanes, so the output needs no reordering.
#include "gemm/im2col_block.hpp"

#include "algorithms/common.hpp"

namespace fastconv {
namespace {

template <class T>
struct Blocking {
  Extent part;
  PixelBlocks blocks;
  Extent ld, parts_of_filters;

  Blocking(const ConvProblem& p, const Resources& r)
      : part(part_of<T>(p.taps())),
        blocks(p.P() * p.Q(), std::clamp<Extent>(Extent(l2_share / sizeof(T)) / part, 64, 1024), p.N * p.groups,
               r.threads),
        ld(odd_lines<T>(blocks.size(0))),
        parts_of_filters(filter_parts(p.K_per_group(), panel_rows(kernel_set<T>(*r.kernels), p.taps()),
                                      p.N * p.groups * blocks.count(), r.threads)) {}
};

double cost(const ConvProblem& p, const Kernels& kernels) {
  // The packed matrix, R * S times the image, is read from L2 as well.
  const double rows = double(p.N * p.C * p.R * p.S * p.P()), patches = rows * double(p.Q());
  return estimate(flops_of(p), 0.93, patches * double(size_of(p.dtype)) / 6, p, kernels) + copy_cost(rows, patches, p);
}

std::size_t packed_bytes(const ConvProblem& p, const Kernels&) {
  return std::size_t(p.weight_size()) * size_of(p.dtype);
}

// One list of offsets for all, then a block for each thread.
std::size_t workspace(const ConvProblem& p, const Resources& r) {
  return with_type(p, [&](auto t) {
    using T = decltype(t);
    const Blocking<T> b(p, r);
    return offsets_bytes(p.taps()) + bytes_of<T>(b.part * b.ld) * std::size_t(r.threads);
  });
}

template <class T>
void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
  pack_groups(p, p.taps() * p.K_per_group(), weight, reinterpret_cast<T*>(packed), [&](const T* from, T* to) {
    pack_pixel_lanes(kernel_set<T>(kernels), from, p.K_per_group(), p.taps(), to);
  });
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Blocking<T> b(p, e.resources);
  const Extent taps = p.taps(), pixels = p.P() * p.Q(), Kg = p.K_per_group();
  const T* weight = reinterpret_cast<const T*>(e.packed);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(e.workspace);
  for (Extent i = 0; i < taps; ++i) offset[i] = i < b.part ? i * b.ld : offset[i - b.part];
  std::byte* blocks = e.workspace + offsets_bytes(taps);

  const FilterParts filters(Kg, panel_rows(set, taps), b.parts_of_filters);
  const Extent tasks = p.N * p.groups * b.blocks.count() * filters.count;
  return parallel_for(tasks, e.resources.threads, [&](Extent task, int thread) {
    const Extent chunk = task % filters.count, block = task / filters.count % b.blocks.count();
    const Extent image_group = task / filters.count / b.blocks.count(), g = image_group % p.groups;
    const Extent first_pixel = b.blocks.begin(block), count = b.blocks.size(block);
    const Extent k = g * Kg + filters.begin(chunk);
    T* to = reinterpret_cast<T*>(blocks + bytes_of<T>(b.part * b.ld) * std::size_t(thread));
    Product<T> product{set,
                       weight + k * taps,
                       filters.size(chunk),
                       taps,
                       to,
                       offset,
                       1,
                       0,
                       count,
                       e.output + (image_group / p.groups * p.K + k) * pixels + first_pixel,
                       pixels,
                       pixels,
                       from_filter(e.epilogue, k)};
    for (Extent first = 0; first < taps; first += b.part) {
      product.first_step = first;
      product.last_step = std::min(taps, first + b.part);
      pack_im2col_block(p, set, e.input + image_group * p.C_per_group() * p.H * p.W, first, product.last_step,
                        first_pixel, count, to, b.ld);
      multiply_pixel_lanes(product);
    }
  });
}

}  // namespace

extern const Algorithm im2col;
const Algorithm im2col = {
    .name = "im2col",
    .summary = "im2col + GEMM, the patches packed block by block beside the product",
    .rejects = accepts_all,
    .variant = nullptr,
    .cost = cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .adds_in_place = [](const ConvProblem&, const Kernels&) { return true; },
    .takes_nhwc = never,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
