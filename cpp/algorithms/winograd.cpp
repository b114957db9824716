// Winograd's minimal filtering: 2.25 to 6.25 times fewer multiplications than direct. (Lavin & Gray, arXiv:1509.09308.)
//
// Fused over blocks of tiles, so that the transformed image never exists as a whole: transform a block's tiles for all
// channels (V); for each few panels of filters, a product with the transformed weights (U) for every point, filters as
// lanes, V read as scalars, so that any number of tiles goes without padding; transform the sums (M) back while they
// are in cache. Every sum over the channels is made in one go: the result does not depend on blocks or threads.
//
// What runs along an axis is a row of kernels/winograd_axes.hpp, which layers it serves a row of winograd/variant.cpp.
#include "algorithms/common.hpp"
#include "gemm/filter_scale.hpp"
#include "winograd/transforms.hpp"
#include "winograd/weights.hpp"

namespace fastconv {
namespace {

using namespace filtering;

template <class T>
Blocking<T> blocking(const ConvProblem& p, const Resources& r) {
  return Blocking<T>(*find_variant(p), p, kernel_set<T>(*r.kernels), r.threads);
}

std::string rejects(const ConvProblem& p) { return find_variant(p) ? std::string() : why_not(p); }

Variants fitting(const ConvProblem& p) {
  Variants names;
  for (const Variant& v : variants())
    if (fits(v, p)) names.emplace_back(v.name, Extent(&v - variants().data()));
  return names;
}

std::string variant(const ConvProblem& p, const Kernels&) { return find_variant(p)->name; }

// Panels, and behind them what each filter was divided by.
std::size_t packed_bytes(const ConvProblem& p, const Kernels& kernels) {
  return with_type(p, [&](auto t) {
    using T = decltype(t);
    const KernelSet<T>& set = kernel_set<T>(kernels);
    const Domain domain(Tilings(*find_variant(p), p), p.C_per_group(), set.lanes);
    return std::size_t(p.groups * packed_group(domain, set, p.K_per_group()) + p.K) * sizeof(T);
  });
}

// Multiply-adds of the weights' transform, 15 a nanosecond; writing them out to L3, or, where a call's memory is not
// kept for the next one, into new pages. Measured with 32 to 512 channels, AVX-512.
double pack_cost(const ConvProblem& p, const Kernels& kernels) {
  const Tilings t(*find_variant(p), p);
  const double taps = double(p.R * p.S), points = double(t.columns.points * p.S * t.rows.stride);
  const double steps = double(p.K * p.C_per_group() * t.rows.points) * (taps + points);
  const double megabytes = double(packed_bytes(p, kernels)) * 1e-6;
  const double gigabytes = megabytes > 16 ? 9 : megabytes > 1 ? 40 : 1000;
  return steps * 1e-3 / 15 * (112 / kernels.f32.nominal_gflops) + megabytes / gigabytes * 1e3;
}

double expected_error(const ConvProblem& p) { return find_variant(p)->error(p); }

Extent multiply_adds(const ConvProblem& p) { return work(*find_variant(p), p, 1, 1).multiply_adds; }

double cost(const ConvProblem& p, const Kernels& kernels) {
  return with_type(p, [&](auto t) {
    const KernelSet<decltype(t)>& set = kernel_set<decltype(t)>(kernels);
    return 1.7 + work(*find_variant(p), p, set.lanes, sizeof(t)).microseconds(set.nominal_gflops);
  });
}

std::size_t workspace(const ConvProblem& p, const Resources& r) {
  return with_type(p, [&](auto t) {
    const auto b = blocking<decltype(t)>(p, r);
    return b.offsets_bytes + b.slice() * std::size_t(r.threads);
  });
}

template <class T>
void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
  const KernelSet<T>& set = kernel_set<T>(kernels);
  const Variant& v = *find_variant(p);
  const Tilings tilings(v, p);
  const Domain domain(tilings, p.C_per_group(), set.lanes);
  const Extent Kg = p.K_per_group(), Cg = p.C_per_group();
  T* const panels = reinterpret_cast<T*>(packed);
  const Extent group_size = packed_group(domain, set, Kg);
  T* const scales = panels + p.groups * group_size;
  pack_in_range(p, weight, scales, [&] {
    for (Extent g = 0; g < p.groups; ++g)
      pack_weights(v, tilings, set, weight + g * Kg * p.taps(), scales + g * Kg, Kg, Cg, panels + g * group_size);
  });
}

// For points without and with infinity in rows (1) and columns (2), the places in a tile's row of V of their steps.
template <class T>
struct Offsets {
  const std::ptrdiff_t* list[4];
  Offsets(const Blocking<T>& b, std::byte* memory) {
    const Tiling &rows = b.tilings.rows, &columns = b.tilings.columns;
    auto* to = reinterpret_cast<std::ptrdiff_t*>(memory);
    for (int kind = 0; kind < 4; ++kind) {
      list[kind] = to;
      const Extent i = kind & 1 ? rows.points - 1 : 0, j = kind & 2 ? columns.points - 1 : 0;
      for (Extent phase = 0; phase < b.domain.phases; ++phase)
        for (Extent c = 0; c < b.domain.C && b.domain.has(b.tilings, i, j, phase); ++c)
          *to++ = phase * b.domain.channels + c;
    }
  }
  const std::ptrdiff_t* of(const Blocking<T>& b, Extent i, Extent j) const {
    return list[(i + 1 == b.tilings.rows.points) + 2 * (j + 1 == b.tilings.columns.points)];
  }
};

// M[point][tile][filter] for `filters` filters (whole vectors) from u on. Panels inside, so that a plane of V is read
// from far away once.
template <class T>
void multiply(const KernelSet<T>& set, const Blocking<T>& b, const Block& block, const Offsets<T>& offsets, const T* u,
              Extent filters, const Slice<T>& slice) {
  const Tiling &rows = b.tilings.rows, &columns = b.tilings.columns;
  const Domain& domain = b.domain;
  const auto lanes_at = [&](Extent k) { return std::min(b.panel, filters - k); };
  const auto panel_at = [&](Extent xi, Extent k) {
    return u + k * domain.all() + domain.begin[std::size_t(xi)] * lanes_at(k);
  };
  for (Extent xi = 0; xi < domain.planes; ++xi) {
    const Extent i = xi / columns.points, j = xi % columns.points, steps = domain.steps(xi);
    const Extent begin = block.begin(columns.in_tails(j)), end = block.end(rows.in_tails(i), columns.in_tails(j));
    const Split runs(end - begin, set.channel_pixels);
    // A panel as large as L1 comes from L3 or memory: each run brings a share of the next one into L2 (512 channels on
    // AVX-512: 11-14 %; nothing at 256).
    const bool fetch = steps * b.panel * Extent(sizeof(T)) >= 32 * 1024;
    Tile<T> tile{};
    tile.steps = steps;
    tile.pixel_step = b.pitch;
    tile.offset = offsets.of(b, i, j);
    tile.ld = b.filters;
    tile.ahead_step = fetch && runs.parts ? ceil_div(b.panel, runs.parts) : 0;
    for (Extent k = 0; k < filters; k += b.panel) {
      const Extent vectors = lanes_at(k) / set.lanes;
      const T* const next = k + b.panel < filters ? panel_at(xi, k + b.panel) : panel_at(xi + 1, 0);
      tile.packed = panel_at(xi, k);
      for (Extent run = 0; run < runs.parts; ++run) {
        const Extent first = begin + runs.begin(run);
        tile.streamed = slice.v + xi * b.v_plane + first * b.pitch;
        tile.out = slice.sums + xi * b.m_plane + first * b.filters + k;
        if (fetch) tile.ahead = next + run * tile.ahead_step * steps;
        set.channel_tile[runs.size(run)][vectors](tile);
      }
    }
  }
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const auto b = blocking<T>(p, e.resources);
  const Extent Kg = p.K_per_group(), padded = padded_filters(set, Kg), group_size = packed_group(b.domain, set, Kg);
  const Offsets<T> offsets(b, e.workspace);
  std::byte* const slices = e.workspace + b.offsets_bytes;
  const T* const scales = reinterpret_cast<const T*>(e.packed) + p.groups * group_size;

  const FilterParts parts(Kg, b.panel, b.parts_of_filters, false);
  const Extent blocks = b.cut.blocks();
  return parallel_for(p.groups * blocks * parts.count, e.resources.threads, [&](Extent task, int thread) {
    const Extent part = task % parts.count, at = task / parts.count % blocks, g = task / parts.count / blocks;
    const Block block = b.block(at / b.cut.columns.parts, at % b.cut.columns.parts);
    const Slice<T> slice(b, slices + b.slice() * std::size_t(thread));
    transform_input(b, block, set, p, e.input, g, slice);

    const Extent last = parts.begin(part + 1);
    for (Extent k = parts.begin(part); k < last; k += b.filters) {
      const Extent filters = std::min(b.filters, last - k);
      const T* u = reinterpret_cast<const T*>(e.packed) + g * group_size + k * b.domain.all();
      multiply(set, b, block, offsets, u, std::min(padded_filters(set, filters), padded - k), slice);
      transform_output(b, block, set, p, filters, g * Kg + k, from_filter(e.epilogue, g * Kg + k), scales + g * Kg + k,
                       e.output, slice);
    }
  });
}

}  // namespace

extern const Algorithm winograd;
const Algorithm winograd = {
    .name = "winograd",
    .summary = "minimal filtering F(m, r), transforms fused with the products over blocks of tiles",
    .rejects = rejects,
    .variant = variant,
    .variants = fitting,
    .details = details,
    .expected_error = expected_error,
    .multiply_adds = multiply_adds,
    .cost = cost,
    .pack_cost = pack_cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .takes_nhwc = always,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
