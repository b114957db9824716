#include "dispatch/program.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/aligned_buffer.hpp"
#include "dispatch/filters.hpp"
#include "dispatch/part.hpp"
#include "fastconv/threads.hpp"

namespace fastconv {

namespace {

std::size_t lines(std::size_t bytes) { return round_up(bytes, cache_line); }

// Values that a stage's passes read and write: of gathered images, and of outputs that wait.
Extent passed_values(const Layer& layer, const Stage& stage) {
  const Extent planes = layer.N * stage.planes.count;
  const Extent gathered =
      stage.source.in_place ? 0 : stage.source.taps * layer.C * layer.axes[1].extent * layer.axes[2].extent;
  const Extent made = stage.in_place ? 0 : layer.K * layer.axes[1].outputs * layer.axes[2].outputs;
  return 2 * planes * (gathered + made);
}

// Where the part's taps lie in the user's weights, if the algorithm packs from there.
std::vector<Extent> places_to_pack_from(const Part& part, const Algorithm& algorithm, const Kernels& kernels) {
  std::vector<Extent> places = tap_places(part);
  const bool has_all = !places.empty() && std::find(places.begin(), places.end(), -1) == places.end();
  const bool takes_them =
      has_all && with_type(part.problem.dtype, [&](auto t) {
        const auto pack_spread = implementation<decltype(t)>(algorithm).pack_spread;
        return pack_spread && pack_spread(as_seen(algorithm, part.problem), kernels, nullptr, places.data(), nullptr);
      });
  return takes_them ? places : std::vector<Extent>{};
}

}  // namespace

Program::State::State(Lowering lowered, const std::vector<Choice>& choices, const Activation& how)
    : lowering(std::move(lowered)), kernels(&active_kernels()), activation(how) {
  if (choices.size() != lowering.part_count())
    throw std::invalid_argument("choices: got " + std::to_string(choices.size()) + ", expected " +
                                std::to_string(lowering.part_count()));
  const Layer& layer = lowering.layer;
  for (Stage& stage : lowering.stages) {
    StagePlan plan{Scatter(stage), parts.size(), 0, 0, 0, {}};
    const Extent times = layer.N / std::max<Extent>(stage.images, 1) * stage.planes.count / stage.planes_at_a_time;
    for (Part& part : stage.parts) {
      const Choice& choice = choices[parts.size()];
      const Algorithm& algorithm = *choice.algorithm;
      ConvProblem& p = part.problem;
      p.variant = choice.variant;
      p.error_limit = choice.error_limit;
      check(p, algorithm);
      PartPlan own{&algorithm, places_to_pack_from(part, algorithm, *kernels),
                   algorithm.packed_bytes(as_seen(algorithm, p), *kernels),
                   part.filters.phases == 1 ? 0 : lines(std::size_t(p.K) * item()), 0};
      if (!part.filters.as_they_lie && own.tap_places.empty())
        own.filters = lines(std::size_t(p.weight_size()) * item());
      plan.packed += lines(own.packed) + own.bias;
      parts.push_back(std::move(own));
      if (!stage.in_place) {
        plan.made_at.push_back(plan.made);
        plan.made += lines(std::size_t(p.output_size()) * item());
      }
      if (!stage.source.in_place) plan.gathered = lines(std::size_t(p.input_size()) * item());
      const double run = fastconv::cost(algorithm, p, true);
      cost[true] += run * double(times);
      cost[false] += run * double(times) + fastconv::cost(algorithm, p, false) - run;
      for (const bool prepared : {false, true})
        brief[prepared] = brief[prepared] && fastconv::is_brief(algorithm, p, prepared);
    }
    // Each value is read and written once more, at about 14 GB/s, as by copies from one layout to the other.
    const double passes = double(passed_values(layer, stage)) * double(item()) * 1e-3 / 14;
    for (double& estimate : cost) estimate += passes;
    has_background = has_background || stage.background;
    table = std::max(table, lines(stage.parts.size() * (sizeof(PreparedPart) + sizeof(void*))));
    stages.push_back(std::move(plan));
  }
  is_single = stages.size() == 1 && lowering.stages[0].source.in_place && lowering.stages[0].in_place;
  if (!is_single)
    for (const bool prepared : {false, true}) brief[prepared] = brief[prepared] && cost[prepared] <= 10;
}

bool Program::State::pack_part(const Part& part, const PartPlan& plan, const void* weight, std::byte* packed,
                               std::byte* scratch) const {
  const ConvProblem seen = as_seen(*plan.algorithm, part.problem);
  if (!plan.tap_places.empty()) {
    with_type(seen.dtype, [&](auto t) {
      using T = decltype(t);
      implementation<T>(*plan.algorithm)
          .pack_spread(seen, *kernels, static_cast<const T*>(weight), plan.tap_places.data(), packed);
    });
    return true;
  }
  const void* filters = weight;
  if (plan.filters) {
    const int threads = part.problem.weight_size() < 64 * 1024 ? 1 : num_threads();
    if (!gather_filters(part, weight, threads, scratch)) return false;
    filters = scratch;
  }
  pack(*plan.algorithm, seen, *kernels, filters, packed);
  return true;
}

// Of a stage: images, values that wait, and the most that a part needs.
std::size_t Program::State::stage_bytes(std::size_t index, bool adds) const {
  const Stage& stage = lowering.stages[index];
  const StagePlan& plan = stages[index];
  std::size_t most = 0;
  for (std::size_t i = 0; i < stage.parts.size(); ++i) {
    const ConvProblem& p = stage.parts[i].problem;
    const Algorithm& algorithm = *parts[plan.first_part + i].algorithm;
    const int output = 0;  // any address: a residual that is the output
    const std::size_t copy = adds && stage.in_place ? residual_copy_of(algorithm, p, *kernels, {&output}, &output) : 0;
    most = std::max(most, workspace_of(algorithm, p, resources_for(p, *kernels)) + copy);
  }
  return plan.gathered + plan.made + most;
}

// Of a residual that is the output itself, where a stage writes before it has added: what it writes to at a time if
// those are whole images, else everything. Algorithms that write in place keep their own copy, or need none.
std::size_t Program::State::kept_residual_bytes() const {
  const Layer& layer = lowering.layer;
  Extent images = 0;
  for (const Stage& stage : lowering.stages)
    if (!stage.in_place) images = std::max(images, layer.axes[0].outputs == 1 ? stage.images : layer.N);
  return lines(std::size_t(images * layer.K * layer.output_pixels()) * item());
}

std::size_t Program::State::workspace_bytes(bool prepared, bool adds) const {
  std::size_t packed = 0, rest = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    rest = std::max(rest, stage_bytes(i, adds));
    if (!prepared) packed = std::max(packed, stages[i].packed);
  }
  if (!prepared)
    for (const PartPlan& part : parts) rest = std::max(rest, part.filters);
  // Behind the workspace, which fills whole cache lines: so nothing is lost between the two.
  if (is_single) return rest + (prepared ? 0 : parts[0].packed);
  const std::size_t background = has_background ? lines(std::size_t(lowering.layer.K) * item()) : 0;
  return table + background + (adds ? kept_residual_bytes() : 0) + packed + rest;
}

Program::Program(Lowering lowering, const std::vector<Choice>& choices, const Activation& activation)
    : state_(std::make_unique<State>(std::move(lowering), choices, activation)) {}
Program::Program(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation) {
  check(problem, algorithm);
  state_ = std::make_unique<State>(lower(problem),
                                   std::vector{Choice{&algorithm, problem.variant, problem.error_limit}}, activation);
}
Program::Program(Program&&) noexcept = default;
Program::~Program() = default;

bool Program::run_once(const void* input, const void* weight, const void* bias, void* output,
                       const Ending& ending) const {
  return state_->run(nullptr, input, weight, bias, output, ending);
}

const Layer& Program::layer() const { return state_->lowering.layer; }
const Lowering& Program::lowering() const { return state_->lowering; }
const Algorithm& Program::algorithm(std::size_t part) const { return *state_->parts.at(part).algorithm; }
const char* Program::isa() const { return state_->kernels->isa; }
std::size_t Program::packed_bytes() const {
  std::size_t bytes = 0;
  for (const State::PartPlan& part : state_->parts) bytes += part.packed;
  return bytes;
}
std::size_t Program::workspace_bytes(bool prepared, bool adds) const { return state_->workspace_bytes(prepared, adds); }
double Program::cost(bool prepared) const { return state_->cost[prepared]; }
bool Program::is_brief(bool prepared) const { return state_->brief[prepared]; }

}  // namespace fastconv
