#include "fastconv/plan.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "dispatch/finish.hpp"
#include "dispatch/part.hpp"
#include "dispatch/workspace.hpp"
#include "fastconv/interleaved_plan.hpp"
#include "fastconv/threads.hpp"

namespace fastconv {

namespace {

// pack_weights(problem as seen, kernels, packed), false if interrupted, and a run.
template <class F>
bool run_packed_by(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation,
                   const void* input, const void* bias, void* output, const Ending& ending, F&& pack_weights) {
  check(problem, algorithm);
  const Kernels& kernels = active_kernels();
  const Resources resources = resources_for(problem, kernels);
  const ConvProblem seen = as_seen(algorithm, problem);
  const std::size_t packed = round_up(algorithm.packed_bytes(seen, kernels), cache_line);
  const Workspace workspace(packed + workspace_of(algorithm, problem, resources) +
                            residual_copy_of(algorithm, problem, kernels, ending, output));
  return pack_weights(seen, kernels, workspace.data()) &&
         run_part(algorithm, problem, resources, activation, input, workspace.data(), bias, output, ending,
                  workspace.data() + packed);
}

}  // namespace

struct Plan::State {
  ConvProblem problem;
  const Algorithm* algorithm;
  const Kernels* kernels;
  Activation activation;
  bool brief;
  AlignedBuffer packed, bias;
};

Plan::Plan(const ConvProblem& problem, const Algorithm& algorithm, const void* weight, const void* bias,
           const Activation& activation) {
  check(problem, algorithm);
  const Kernels& kernels = active_kernels();
  state_ = std::make_unique<State>(
      State{problem, &algorithm, &kernels, activation, fastconv::is_brief(algorithm, problem, true), {}, {}});
  const ConvProblem seen = as_seen(algorithm, problem);
  state_->packed = AlignedBuffer(algorithm.packed_bytes(seen, kernels));
  pack(algorithm, seen, kernels, weight, state_->packed.data());
  if (bias) {
    const std::size_t bytes = std::size_t(problem.K) * size_of(problem.dtype);
    state_->bias = AlignedBuffer(bytes);
    std::copy_n(static_cast<const std::byte*>(bias), bytes, state_->bias.data());
  }
}
Plan::Plan(Plan&&) noexcept = default;
Plan::~Plan() = default;

bool Plan::run(const void* input, void* output, const Ending& ending) const {
  const State& s = *state_;
  const Resources resources = resources_for(s.problem, *s.kernels);
  const Workspace workspace(workspace_of(*s.algorithm, s.problem, resources) +
                            residual_copy_of(*s.algorithm, s.problem, *s.kernels, ending, output));
  return run_part(*s.algorithm, s.problem, resources, s.activation, input, s.packed.data(), s.bias.data(), output,
                  ending, workspace.data());
}

bool Plan::is_brief() const { return state_->brief; }
DType Plan::dtype() const { return state_->problem.dtype; }
Extent Plan::input_values() const { return state_->problem.input_size(); }
Extent Plan::output_values() const { return state_->problem.output_size(); }
const ConvProblem& Plan::problem() const { return state_->problem; }
const Algorithm& Plan::algorithm() const { return *state_->algorithm; }
const char* Plan::isa() const { return state_->kernels->isa; }
std::size_t Plan::packed_bytes() const { return state_->packed.bytes(); }
std::size_t Plan::workspace_bytes() const {
  return workspace_of(*state_->algorithm, state_->problem, resources_for(state_->problem, *state_->kernels));
}

bool run_once(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation, const void* input,
              const void* weight, const void* bias, void* output, const void* residual) {
  return run_packed_by(problem, algorithm, activation, input, bias, output, Ending{residual},
                       [&](const ConvProblem& seen, const Kernels& kernels, std::byte* packed) {
                         pack(algorithm, seen, kernels, weight, packed);
                         return true;
                       });
}

bool run_phase_once(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation,
                    const void* input, const void* weight, Extent R, Extent S, const std::vector<Extent>& rows,
                    const std::vector<Extent>& columns, const void* bias, void* output, const void* residual) {
  std::vector<Extent> taps(std::size_t(R * S), -1);
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t s = 0; s < columns.size(); ++s)
      taps.at(std::size_t(rows[r] * S + columns[s])) = Extent(r * columns.size() + s);
  const bool all_taps = std::find(taps.begin(), taps.end(), -1) == taps.end();
  return run_packed_by(problem, algorithm, activation, input, bias, output, Ending{residual},
                       [&](const ConvProblem& seen, const Kernels& kernels, std::byte* packed) {
                         const bool is_packed =
                             all_taps && with_type(problem.dtype, [&](auto t) {
                               using T = decltype(t);
                               const auto pack_spread = implementation<T>(algorithm).pack_spread;
                               return pack_spread &&
                                      pack_spread(seen, kernels, static_cast<const T*>(weight), taps.data(), packed);
                             });
                         if (is_packed) return true;
                         const Workspace filters(std::size_t(problem.weight_size()) * size_of(problem.dtype));
                         if (!phase_filters(problem.dtype, weight, problem.groups, problem.C, problem.K_per_group(), R,
                                            S, {rows}, {columns}, filters.data()))
                           return false;
                         pack(algorithm, seen, kernels, filters.data(), packed);
                         return true;
                       });
}

std::size_t workspace_bytes(const Algorithm& algorithm, const ConvProblem& problem) {
  return workspace_of(algorithm, problem, resources_for(problem, active_kernels()));
}

std::size_t packed_bytes(const Algorithm& algorithm, const ConvProblem& problem) {
  return algorithm.packed_bytes(as_seen(algorithm, problem), active_kernels());
}

double cost(const Algorithm& algorithm, const ConvProblem& problem, bool prepared) {
  const double microseconds =
      algorithm.cost(as_seen(algorithm, problem), active_kernels()) + layout_cost(algorithm, problem);
  if (prepared) return microseconds;
  if (algorithm.pack_cost) return microseconds + algorithm.pack_cost(as_seen(algorithm, problem), active_kernels());
  // Packing reads the weights and writes the packed ones, scattered: 20 GB/s in L2, 10 beyond (direct and im2col, 3x3
  // to 7x7, 16 to 512 channels: 17 to 33, 7 to 18).
  const double bytes = double(packed_bytes(algorithm, problem));
  return microseconds + bytes * 1e-3 / (bytes > 2e6 ? 10 : 20);
}

bool is_brief(const Algorithm& algorithm, const ConvProblem& problem, bool prepared) {
  return is_inline(problem) && cost(algorithm, problem, prepared) <= 10;
}

std::string variant(const Algorithm& algorithm, const ConvProblem& problem) {
  return algorithm.variant ? algorithm.variant(as_seen(algorithm, problem), active_kernels()) : std::string();
}

}  // namespace fastconv
