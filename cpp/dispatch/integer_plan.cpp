#include "fastconv/integer_plan.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "base/simplified.hpp"
#include "dispatch/workspace.hpp"
#include "fastconv/threads.hpp"
#include "integer/filters.hpp"
#include "integer/product.hpp"
#include "integer/strip.hpp"
#include "integer/word_grid.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {
namespace {

// As in plan.cpp, for products that take a quarter of the time.
constexpr Extent inline_multiply_adds = 2 * 1024 * 1024, brief_multiply_adds = 256 * 1024;

int threads_for(const ConvProblem& p) { return p.multiply_adds() <= inline_multiply_adds ? 1 : num_threads(); }

void check(const IntegerConvolution& c) {
  const std::string reason = invalid(c.problem);
  if (!reason.empty()) throw std::invalid_argument(reason);
  if (c.problem.layout != Layout::nchw) throw std::invalid_argument("layout: expected NCHW");
  const auto check_zero = [](const char* name, int zero, bool is_signed) {
    const int low = is_signed ? -128 : 0;
    if (zero < low || zero > low + 255)
      throw std::invalid_argument(std::string(name) + ": got " + std::to_string(zero) + ", expected " +
                                  std::to_string(low) + " to " + std::to_string(low + 255));
  };
  check_zero("input_zero", c.input_zero, c.input_signed);
  for (Extent k = 0; k < c.problem.K; ++k) check_zero("weight_zero", c.weight_zero[k], c.weight_signed);
  if (c.requantization) check_zero("zero", c.requantization->zero, c.requantization->is_signed);
}

// The kernel that needs no strip, if there is one for this layer.
void (*find_depthwise(const ConvProblem& p, const DotKernels& kernels, bool windows))(const DotDepthwise&) {
  const bool fits = p.C_per_group() == 1 && p.K_per_group() == 1 && p.has_unit_dilation() && p.stride_h == p.stride_w &&
                    p.stride_w <= 2 && (p.R == 3 || p.R == 5 || p.R == 7) && p.S <= 4 * dot_depthwise_words;
  return fits && !windows ? kernels.depthwise[p.stride_w - 1][(p.R - 3) / 2][(p.S - 1) / 4] : nullptr;
}

// Who does what: images, some groups, a block of rows, some panels of each group's filters.
struct Shares {
  Extent blocks, group_parts, panel_parts, tasks;
  Split groups, rows, panels;

  Shares(const ConvProblem& p, const WordGrid& grid, const PackedFilters& packed, int threads)
      : Shares(p, ceil_div(p.P(), grid.block_rows), grid, packed, threads) {}

 private:
  Shares(const ConvProblem& p, Extent blocks_, const WordGrid& grid, const PackedFilters& packed, int threads)
      : blocks(blocks_),
        group_parts(parts_of_groups(p, grid, threads)),
        panel_parts(parts_of_panels(p.N * group_parts * blocks, packed.panels.parts, threads)),
        tasks(p.N * group_parts * blocks * panel_parts),
        groups(Split::into(group_parts, p.groups)),
        rows(Split::into(blocks, p.P())),
        panels(Split::into(panel_parts, packed.panels.parts)) {}

  // A task is to take some microseconds at least.
  static Extent parts_of_groups(const ConvProblem& p, const WordGrid& grid, int threads) {
    constexpr Extent least_products = 64 * 1024;  // of words
    const Extent products = grid.block_rows * p.Q() * grid.steps() * p.K_per_group() / 16;
    const Extent together = std::max<Extent>(1, least_products / std::max<Extent>(1, products));
    return std::min(p.groups, std::max(ceil_div(p.groups, together), std::min<Extent>(p.groups, threads)));
  }
  static Extent parts_of_panels(Extent others, Extent panels, int threads) {
    if (threads == 1 || others >= 2 * threads) return 1;
    return std::min(panels, ceil_div(2 * threads, std::max<Extent>(others, 1)));
  }
};

}  // namespace

struct IntegerPlan::State {
  ConvProblem problem;  // as it was given
  IntegerConvolution convolution;
  const DotKernels* kernels;
  WordGrid grid;
  PackedFilters filters;
  std::vector<std::ptrdiff_t> offsets;
  bool windows;
  AlignedBuffer words, ones;
  std::vector<std::int32_t> initial, zeros;
  std::vector<float> scales;
  Requantization requantization;

  State(const IntegerConvolution& c, const DotKernels& k)
      : problem(c.problem),
        convolution(simplified(c)),
        kernels(&k),
        grid(convolution.problem, k),
        filters(convolution.problem, grid, k),
        offsets(grid.offsets(convolution.problem)) {}

  static IntegerConvolution simplified(IntegerConvolution c) {
    c.problem = fastconv::simplified(c.problem);
    return c;
  }

  std::size_t strip_bytes() const { return bytes_of<std::int32_t>(grid.strip_words()); }
  std::size_t slice_bytes() const {
    return strip_bytes() + strip_scratch_bytes(grid) + product_scratch_bytes(grid, *kernels, windows);
  }
  void (*depthwise)(const DotDepthwise&) = nullptr;
  void run_depthwise(Extent n, Extent g, Extent first_row, Extent rows, const std::uint8_t* input, void* output) const;
  void run_task(Extent task, const Shares& shares, const std::uint8_t* input, void* output, std::byte* memory) const;
};

void IntegerPlan::State::run_depthwise(Extent n, Extent g, Extent first_row, Extent rows, const std::uint8_t* input,
                                       void* output) const {
  const ConvProblem& p = convolution.problem;
  const Requantization* const q = convolution.requantization;
  const Extent to = ((n * p.K + g) * p.P() + first_row) * p.Q();
  DotScale scale{};
  if (q) scale = scale_of(*q, g);
  DotDepthwise d{};
  d.image = input + (n * p.C + g) * p.H * p.W;
  d.H = p.H;
  d.W = p.W;
  d.is_signed = convolution.input_signed;
  d.zero = convolution.input_zero;
  d.pad_top = p.pad_top;
  d.pad_left = p.pad_left;
  d.weights = reinterpret_cast<const std::int32_t*>(words.data()) + g * filters.group_words();
  d.initial = initial[std::size_t(g)];
  d.first_row = first_row;
  d.rows = rows;
  d.Q = p.Q();
  d.to = q ? static_cast<void*>(static_cast<std::uint8_t*>(output) + to)
           : static_cast<void*>(static_cast<std::int32_t*>(output) + to);
  d.scale = q ? &scale : nullptr;
  depthwise(d);
}

void IntegerPlan::State::run_task(Extent task, const Shares& shares, const std::uint8_t* input, void* output,
                                  std::byte* memory) const {
  const ConvProblem& p = convolution.problem;
  const Extent part = task % shares.panel_parts, block = task / shares.panel_parts % shares.blocks;
  const Extent groups = task / shares.panel_parts / shares.blocks % shares.group_parts;
  const Extent n = task / shares.panel_parts / shares.blocks / shares.group_parts;
  std::int32_t* const strip = reinterpret_cast<std::int32_t*>(memory);
  std::uint8_t* const bytes = reinterpret_cast<std::uint8_t*>(memory + strip_bytes());
  std::int32_t* const scratch = reinterpret_cast<std::int32_t*>(memory + strip_bytes() + strip_scratch_bytes(grid));
  const StripSource source{p, grid, *kernels, convolution.input_signed, convolution.input_zero};

  IntegerProduct product{*kernels, grid, filters, p, offsets.data(), strip, scratch};
  product.ones = windows ? reinterpret_cast<const std::int32_t*>(ones.data()) : nullptr;
  product.first_row = shares.rows.begin(block);
  product.rows = shares.rows.size(block);
  product.first_panel = shares.panels.begin(part);
  product.panels = shares.panels.size(part);
  product.requantization = convolution.requantization;
  for (Extent g = shares.groups.begin(groups); g < shares.groups.begin(groups) + shares.groups.size(groups); ++g) {
    if (depthwise) {
      run_depthwise(n, g, product.first_row, product.rows, input, output);
      continue;
    }
    const Extent k = g * p.K_per_group();
    fill_strip(source, input + (n * p.C + g * p.C_per_group()) * p.H * p.W, product.first_row, product.rows, bytes,
               strip);
    product.words = reinterpret_cast<const std::int32_t*>(words.data()) + g * filters.group_words();
    product.initial = initial.data() + k;
    product.zeros = zeros.data() + k;
    product.first_filter = k;
    product.first_output = (n * p.K + k) * p.P() * p.Q();
    multiply(product, output);
  }
}

IntegerPlan::IntegerPlan(const IntegerConvolution& c, const void* weight) {
  check(c);
  state_ = std::make_unique<State>(c, active_dot_kernels());
  State& s = *state_;
  const std::size_t K = std::size_t(c.problem.K);
  s.windows = needs_windows(s.convolution, *s.kernels);
  s.depthwise = find_depthwise(s.convolution.problem, *s.kernels, s.windows);
  s.words = AlignedBuffer(bytes_of<std::int32_t>(s.convolution.problem.groups * s.filters.group_words()));
  s.initial.resize(K);
  s.zeros.resize(K);
  pack_filters(s.convolution, s.grid, *s.kernels, s.filters, weight, reinterpret_cast<std::int32_t*>(s.words.data()),
               s.initial.data(), s.zeros.data());
  if (s.windows) {
    s.ones = AlignedBuffer(bytes_of<std::int32_t>(s.grid.steps()));
    pack_ones(s.convolution.problem, s.grid, reinterpret_cast<std::int32_t*>(s.ones.data()));
  }
  s.convolution.weight_zero = s.convolution.bias = nullptr;  // the caller's
  if (c.requantization) {
    s.scales.assign(c.requantization->scale, c.requantization->scale + K);
    s.requantization = {s.scales.data(), c.requantization->zero, c.requantization->is_signed};
    s.convolution.requantization = &s.requantization;
  }
}
IntegerPlan::IntegerPlan(IntegerPlan&&) noexcept = default;
IntegerPlan::~IntegerPlan() = default;

bool IntegerPlan::run(const void* input, void* output) const {
  const State& s = *state_;
  const ConvProblem& p = s.convolution.problem;
  if (p.N == 0) return true;
  const int threads = threads_for(p);
  const Shares shares(p, s.grid, s.filters, threads);
  const std::size_t slice = s.slice_bytes();
  const Workspace workspace(slice * std::size_t(threads));
  return parallel_for(shares.tasks, threads, [&](Extent task, int thread) {
    s.run_task(task, shares, static_cast<const std::uint8_t*>(input), output,
               workspace.data() + slice * std::size_t(thread));
  });
}

bool IntegerPlan::is_brief() const { return problem().multiply_adds() <= brief_multiply_adds; }
const ConvProblem& IntegerPlan::problem() const { return state_->problem; }
bool IntegerPlan::input_signed() const { return state_->convolution.input_signed; }
const Requantization* IntegerPlan::requantization() const { return state_->convolution.requantization; }
const char* IntegerPlan::isa() const { return state_->kernels->isa; }
std::size_t IntegerPlan::packed_bytes() const { return state_->words.bytes(); }
std::size_t IntegerPlan::workspace_bytes() const {
  return state_->slice_bytes() * std::size_t(threads_for(state_->convolution.problem));
}

}  // namespace fastconv
