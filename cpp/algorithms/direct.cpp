// Direct convolution, without im2col. Channel lanes for most layers: the register tiles read the image in place.
//
// Pixel lanes where the sum behind an output is short (first layers: C <= 4) or the filters fill vectors badly. A
// thread then copies the strip of the image that a few output rows look at, padding included, with the pixels of a
// stride's phases side by side, and runs the register tiles over it: a tap is an offset into the strip.
#include "algorithms/lanes.hpp"
#include "gemm/padded_strip.hpp"

namespace fastconv {
namespace {

Extent one_row(const ConvProblem& p) { return p.Q(); }
using Choice = Lanes<one_row, never>;

template <class T>
struct Blocking {
  StripShape strip;
  Split row_blocks{1, 1};
  Extent column_blocks, parts_of_filters;
  std::size_t strip_bytes;

  Blocking(const ConvProblem& p, const Resources& r) {
    const KernelSet<T>& set = kernel_set<T>(*r.kernels);
    const Extent P = p.P(), Q = p.Q(), C = p.C_per_group();
    const auto fits = [&](Extent rows, Extent columns) {
      return std::size_t(strip_shape(p, rows, columns).values(C)) * sizeof(T) <= l2_share;
    };
    // Whole rows if one of them fits the cache, halves of rows until it does; then as many rows as fit, as long as the
    // strips are enough for all threads.
    Extent columns = Q;
    while (columns > 4 * set.lanes && !fits(1, columns)) columns = (columns + 1) / 2;
    column_blocks = (Q + columns - 1) / columns;
    const Extent wanted = r.threads > 1 ? (4 * Extent{r.threads} - 1) / (p.N * p.groups * column_blocks) + 1 : 1;
    const Extent most = std::clamp<Extent>(4096 / columns, 1, std::max<Extent>(1, P / wanted));
    Extent rows = 1;
    while (rows < most && fits(rows + 1, columns)) ++rows;
    const Extent others = p.N * p.groups * column_blocks;
    row_blocks = Split::into(even_parts(ceil_div(P, rows), P, others, r.threads), P);

    strip = strip_shape(p, row_blocks.size(0), columns);
    parts_of_filters = filter_parts(p.K_per_group(), panel_rows(set, p.taps()), others * row_blocks.parts, r.threads);
    strip_bytes = bytes_of<T>(strip.values(C));
  }
};

// Channel lanes leave out what lies in the padding, half of the work at large dilations. Pixel lanes copy every strip,
// which at large dilations is several times the image.
double cost(const ConvProblem& p, const Kernels& kernels) {
  const double image = double(p.input_size()) * double(size_of(p.dtype)), share = Choice::share(p, kernels);
  if (Choice::are_channels(p, kernels)) {
    const double inside = p.has_unit_dilation() ? 1 : share_inside(p), steps = double(p.taps());
    const double short_sums = (steps + 12) / (steps + 12 / std::max(inside, 0.01));  // as in channel_share
    return estimate(flops_of(p) * share_inside(p), share * short_sums, image, p, kernels);
  }
  const double copies = with_type(p, [&](auto t) {
    const Blocking<decltype(t)> b(p, {&kernels, 1});
    const double strips = double(p.N * p.groups * b.row_blocks.parts * b.column_blocks), C = double(p.C_per_group());
    const double rows = double(p.N * p.groups * p.P() * b.column_blocks);
    const Extent panels = ceil_div(p.K_per_group(), panel_rows(kernel_set<decltype(t)>(kernels), p.taps()));
    // A strip takes 60 ns beside its copy, a row of outputs and a panel of filters 15. (196 channels of 48, 6 taps: 19
    // us instead of 5.)
    return copy_cost(strips * C * double(b.strip.copied_rows()), strips * C * double(b.strip.copied_values()), p) +
           0.06 * strips + 0.015 * rows * double(panels);
  });
  return estimate(flops_of(p), share, image / 2, p, kernels) + copies;
}

std::size_t workspace(const ConvProblem& p, const Resources& r) {
  return with_type(p, [&](auto t) {
    using T = decltype(t);
    if (Choice::are_channels(p, kernel_set<T>(*r.kernels))) return channel_workspace<T>(p, r);
    return offsets_bytes(p.taps()) + Blocking<T>(p, r).strip_bytes * std::size_t(r.threads);
  });
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  if (Choice::are_channels(p, set)) return run_channel_lanes(p, e);
  const Blocking<T> b(p, e.resources);
  const Extent C = p.C_per_group(), Kg = p.K_per_group(), P = p.P(), Q = p.Q();
  const Extent packed_size = Choice::packed_group(p, set);
  const T* weight = reinterpret_cast<const T*>(e.packed);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(e.workspace);
  strip_offsets(p, b.strip, C, offset);
  std::byte* slices = e.workspace + offsets_bytes(p.taps());

  const FilterParts filters(Kg, panel_rows(set, p.taps()), b.parts_of_filters);
  const Extent strips = b.row_blocks.parts * b.column_blocks;
  return parallel_for(p.N * p.groups * strips * filters.count, e.resources.threads, [&](Extent task, int thread) {
    const Extent chunk = task % filters.count, block = task / filters.count % strips;
    const Extent image_group = task / filters.count / strips, n = image_group / p.groups, g = image_group % p.groups;
    const Extent row = b.row_blocks.begin(block / b.column_blocks), rows = b.row_blocks.size(block / b.column_blocks);
    const Extent column = block % b.column_blocks * b.strip.columns, columns = std::min(b.strip.columns, Q - column);
    const Extent k = filters.begin(chunk);
    T* strip = reinterpret_cast<T*>(slices + b.strip_bytes * std::size_t(thread));
    copy_strip(p, set, b.strip, e.input + image_group * C * p.H * p.W, C, row, rows, column, strip);

    const Product<T> product{set,
                             weight + g * packed_size + k * p.taps(),
                             filters.size(chunk),
                             p.taps(),
                             strip,
                             offset,
                             rows,
                             b.strip.row_step(p),
                             columns,
                             e.output + ((n * p.K + g * Kg + k) * P + row) * Q + column,
                             P * Q,
                             Q,
                             from_filter(e.epilogue, g * Kg + k)};
    multiply_pixel_lanes(product);
  });
}

}  // namespace

extern const Algorithm direct;
const Algorithm direct = {
    .name = "direct",
    .summary = "register tiles over the plain image, read in place or by padded strips, no im2col",
    .rejects = accepts_all,
    .variant = Choice::variant,
    .cost = cost,
    .packed_bytes = Choice::packed_bytes,
    .workspace = workspace,
    .adds_in_place = Choice::adds_in_place,
    .takes_nhwc = always,
    .f32 = {Choice::pack<float>, run<float>, Choice::pack_spread<float>},
    .f64 = {Choice::pack<double>, run<double>, Choice::pack_spread<double>},
};

}  // namespace fastconv
