// groups == C: every filter sees one channel. At stride 1 (any dilation) and, for kernels of 3, 5 and 7 rows, stride 2
// the image is read in place; other strides go through a padded copy of the channel. NHWC: depthwise_nhwc.hpp; kernels
// wider than the image: depthwise_swapped.hpp.
#include "algorithms/common.hpp"
#include "algorithms/depthwise_nhwc.hpp"
#include "algorithms/depthwise_swapped.hpp"
#include "gemm/padded_strip.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {
namespace {

std::string rejects(const ConvProblem& p) {
  if (p.groups == p.C) return {};
  return "needs groups == channels, got groups " + std::to_string(p.groups) + " for " + std::to_string(p.C) +
         " channels";
}

// Whether R is a template argument of depthwise_rows.
bool has_own_kernel(const ConvProblem& p) {
  const bool by_one = p.R == 1 || p.R == 2 || p.R == 4;
  return (p.R == 3 || p.R == 5 || p.R == 7 || (by_one && p.has_unit_stride())) && p.S <= depthwise_columns;
}

// One filter per channel and the kernels that have their own loops there: for others two transposed copies and pixels
// as lanes are faster (31x31, 128 channels at 56 x 56: 6 ms against 25).
bool takes_nhwc(const ConvProblem& p) { return p.K == p.C && p.C >= 8 && p.R <= 7 && has_lane_kernel(p); }

enum class Path { rows, long_rows, strips, channels, swapped };

Path path_of(const ConvProblem& p) {
  if (p.layout == Layout::nhwc) return Path::channels;
  constexpr Extent largest = Extent{1} << 29;  // what kernel_set.hpp promises the kernels
  if (std::max({p.W, p.pad_left, p.pad_right, p.Q(), p.dilation_w * p.S}) > largest) return Path::strips;
  if (is_swapped(p)) return Path::swapped;
  if (p.has_unit_stride()) return has_own_kernel(p) ? Path::rows : Path::long_rows;
  const bool by_two = p.stride_h == 2 && p.stride_w == 2 && p.has_unit_dilation();
  return by_two && has_own_kernel(p) ? Path::rows : Path::strips;
}

// From one tap of a run to the next, in taps: as far down the image as from one output row to the next.
Extent run_step(const ConvProblem& p) {
  if (path_of(p) != Path::strips) return 1;
  return p.dilation_h == 1 ? std::min(p.stride_h, p.R) : p.R;
}

// The order in which a kernel adds the taps: column by column; on a strip, rows of one stride phase together. Calls
// run(r, s, taps) for taps (r, s), (r + step, s), (r + 2 step, s) ...
template <class F>
void visit_runs(const ConvProblem& p, F&& run) {
  const Extent step = run_step(p);
  for (Extent s = 0; s < p.S; ++s)
    for (Extent r = 0; r < step; ++r) run(r, s, (p.R - r + step - 1) / step);
}

std::size_t packed_bytes(const ConvProblem& p, const Kernels&) {
  if (path_of(p) == Path::swapped) return swapped_packed_bytes(p);
  return std::size_t(p.weight_size()) * size_of(p.dtype);
}

template <class T>
void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
  T* to = reinterpret_cast<T*>(packed);
  if (path_of(p) == Path::channels) return pack_depthwise_nhwc(p, kernel_set<T>(kernels), weight, to);
  if (path_of(p) == Path::swapped) return pack_swapped(p, weight, to);
  const Extent step = run_step(p);
  for (Extent k = 0; k < p.K; ++k, weight += p.taps())
    visit_runs(p, [&](Extent r, Extent s, Extent taps) {
      for (Extent i = 0; i < taps; ++i) *to++ = weight[(r + i * step) * p.S + s];
    });
}

std::string variant(const ConvProblem& p, const Kernels&) {
  switch (path_of(p)) {
    case Path::rows:
      return "in place";
    case Path::long_rows:
      return "in place, by columns of taps";
    case Path::strips:
      return "padded strip";
    case Path::channels:
      return "channel lanes";
    case Path::swapped:
      return "in place, the image sliding over the kernel";
  }
  return {};
}

template <class T>
struct Strips {
  Extent blocks;
  StripShape shape;

  explicit Strips(const ConvProblem& p) {
    const Extent P = p.P(), Q = p.Q();
    Extent rows = P;
    const auto fits = [&] { return bytes_of<T>(strip_shape(p, rows, Q).values(1)) <= l2_share; };
    while (rows > depthwise_strip_rows && !fits()) rows = (rows + 1) / 2;
    blocks = (P + rows - 1) / rows;
    shape = strip_shape(p, std::max<Extent>(rows, depthwise_strip_rows), Q);
  }
  std::size_t bytes() const { return bytes_of<T>(shape.values(1)); }
};

// Fitted on Zen 4, AVX-512 float32, as shares of the nominal peak: in place at stride 1, 0.65 to 0.85 for 3x3, 0.9 for
// 5x5, 0.95 for 7x7 and for large kernels; at stride 2 0.45, 0.6 and 0.7 (loads and shuffles); for a single row of
// outputs, which fills a fraction of the tiles, 0.07 to 0.12, on a strip too.
double cost(const ConvProblem& p, const Kernels& kernels) {
  const Extent lanes = p.dtype == DType::float32 ? std::min(kernels.f32.lanes, 8) : std::min(kernels.f64.lanes, 4);
  const double taps = double(p.R * p.S), values = double(p.input_size() + p.output_size());
  if (path_of(p) == Path::channels) return estimate(flops_of(p), 0.8 * taps / (taps + 2.5), 0, p, kernels);
  if (path_of(p) == Path::swapped) {
    const double work = 2.0 * double(p.output_size()) * double(p.H * p.W);
    return estimate(work, 0.6 * pixel_share(lanes, p.Q()), 0, p, kernels);
  }
  constexpr double one_row = 0.09;
  if (path_of(p) == Path::strips) {
    const double copies = with_type(p, [&](auto t) {
      const Strips<decltype(t)> strips(p);
      const double blocks = double(p.N * p.C * strips.blocks);
      return copy_cost(blocks * double(strips.shape.copied_rows()), blocks * double(strips.shape.copied_values()), p);
    });
    return estimate(flops_of(p), (p.P() == 1 ? one_row : 0.45) * pixel_share(lanes, p.Q()), 0, p, kernels) + copies;
  }
  const double share = p.P() == 1 ? one_row : p.stride_h == 2 ? 0.8 * taps / (taps + 7) : 0.97 * taps / (taps + 2.5);
  const double bytes = 0.1 * values * double(size_of(p.dtype));  // mostly from cache, and beside the arithmetic
  return estimate(flops_of(p), share * pixel_share(lanes, p.Q()), bytes, p, kernels);
}

std::size_t workspace(const ConvProblem& p, const Resources& r) {
  if (path_of(p) == Path::swapped)
    return with_type(p, [&](auto t) { return swapped_workspace<decltype(t)>(p, r.threads); });
  if (path_of(p) != Path::strips) return 0;
  return with_type(
      p, [&](auto t) { return 2 * offsets_bytes(p.taps()) + Strips<decltype(t)>(p).bytes() * std::size_t(r.threads); });
}

// Tasks of filters x output rows: planes are shared out first; rows only if there are few planes, and not in slivers.
template <class T>
bool run_in_place(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Extent P = p.P(), Q = p.Q(), per_channel = p.K_per_group(), threads = e.resources.threads;
  const Extent parts = threads > 1 && p.N * p.K < 4 * threads ? std::clamp<Extent>(P / 14, 1, 4 * threads) : 1;
  const Extent most = std::max<Extent>(1, 64 * 1024 / (P * Q));  // filters to a task: some microseconds of work
  const Extent wanted = std::min(p.K, threads > 1 ? (8 * threads + p.N - 1) / p.N : 1);
  const Split chunks = Split::into(std::max(wanted, (p.K + most - 1) / most), p.K), rows = Split::into(parts, P);
  return parallel_for(p.N * chunks.parts * parts, e.resources.threads, [&](Extent task, int) {
    const Extent part = task % parts, chunk = task / parts % chunks.parts, n = task / parts / chunks.parts;
    const Extent k = chunks.begin(chunk), c = k / per_channel;
    const Epilogue<T> epilogue = from_filter(e.epilogue, k);
    DepthwiseRows<T> d{};
    d.image = e.input + (n * p.C + c) * p.H * p.W;
    d.H = p.H;
    d.W = p.W;
    d.filters = chunks.size(chunk);
    d.per_channel = per_channel;
    d.position = k % per_channel;
    d.weights = reinterpret_cast<const T*>(e.packed) + k * p.taps();
    d.R = p.R;
    d.S = p.S;
    d.stride = p.stride_h;
    d.dilation_h = p.dilation_h;
    d.dilation_w = p.dilation_w;
    d.pad_top = p.pad_top;
    d.pad_left = p.pad_left;
    d.first_row = rows.begin(part);
    d.last_row = rows.begin(part + 1);
    d.Q = Q;
    d.out = e.output + (n * p.K + k) * P * Q;
    d.plane = P * Q;
    d.epilogue = &epilogue;
    (path_of(p) == Path::rows ? set.depthwise_rows : set.depthwise_long)(d);
  });
}

template <class T>
bool run_strips(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Strips<T> strips(p);
  const Extent P = p.P(), Q = p.Q(), most = std::max<Extent>(1, (P + strips.blocks - 1) / strips.blocks);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(e.workspace);
  auto* run_taps = reinterpret_cast<std::ptrdiff_t*>(e.workspace + offsets_bytes(p.taps()));
  Extent runs = 0;
  visit_runs(p, [&](Extent r, Extent s, Extent taps) {
    offset[runs] = strip_offset(p, strips.shape, r, s);
    run_taps[runs++] = taps;
  });
  std::byte* slices = e.workspace + 2 * offsets_bytes(p.taps());
  return parallel_for(p.N * p.C * strips.blocks, e.resources.threads, [&](Extent task, int thread) {
    const Extent row = task % strips.blocks * most, rows = std::min(most, P - row), image = task / strips.blocks;
    if (rows <= 0) return;
    T* strip = reinterpret_cast<T*>(slices + strips.bytes() * std::size_t(thread));
    copy_strip(p, set, strips.shape, e.input + image * p.H * p.W, 1, row, strips.shape.rows, 0, strip);
    for (Extent i = 0; i < p.K_per_group(); ++i) {
      const Extent plane = image * p.K_per_group() + i, k = plane % p.K;
      const Epilogue<T> epilogue = from_filter(e.epilogue, k);
      const T* weights = reinterpret_cast<const T*>(e.packed) + k * p.taps();
      set.depthwise_strip({strip, strips.shape.row_step(p), runs, offset, run_taps, weights, rows, Q,
                           e.output + (plane * P + row) * Q, &epilogue});
    }
  });
}

template <class T>
bool run(const Execution<T>& e) {
  switch (path_of(e.problem)) {
    case Path::strips:
      return run_strips(e);
    case Path::channels:
      return run_depthwise_nhwc(e);
    case Path::swapped:
      return run_swapped(e);
    default:
      return run_in_place(e);
  }
}

}  // namespace

extern const Algorithm depthwise;
const Algorithm depthwise = {
    .name = "depthwise",
    .summary = "one filter per channel, rows of outputs in registers, the image read in place",
    .rejects = rejects,
    .variant = variant,
    .cost = cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .takes_nhwc = takes_nhwc,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
