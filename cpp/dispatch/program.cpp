#include "dispatch/program.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/aligned_buffer.hpp"
#include "dispatch/filters.hpp"
#include "dispatch/part.hpp"
#include "dispatch/workspace.hpp"
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

}  // namespace

// What is the same for all stages of one call.
struct Program::State::Call {
  const void *input, *bias;
  void* output;
  Ending ending;
  const void* background;  // K values, for stages that have one
  std::byte* residual_copy;
  int threads;
};

Program::State::State(Lowering lowered, const std::vector<Choice>& choices, const Activation& how)
    : lowering(std::move(lowered)),
      kernels(&active_kernels()),
      activation(how),
      is_single(false),
      has_background(false),
      cost{0, 0},
      brief{true, true} {
  if (choices.size() != lowering.part_count())
    throw std::invalid_argument("choices: got " + std::to_string(choices.size()) + ", expected " +
                                std::to_string(lowering.part_count()));
  const Layer& layer = lowering.layer;
  for (Stage& stage : lowering.stages) {
    StagePlan plan{Scatter(stage), algorithms.size(), 0, 0, {}};
    const Extent times = layer.N / std::max<Extent>(stage.images, 1) * stage.planes.count / stage.planes_at_a_time;
    for (Part& part : stage.parts) {
      const Choice& choice = choices[algorithms.size()];
      part.problem.variant = choice.variant;
      part.problem.error_limit = choice.error_limit;
      check(part.problem, *choice.algorithm);
      algorithms.push_back(choice.algorithm);
      std::vector<Extent> places = fastconv::tap_places(part);
      const bool takes_places = !places.empty() && with_type(part.problem.dtype, [&](auto t) {
        const auto pack_spread = implementation<decltype(t)>(*choice.algorithm).pack_spread;
        return std::find(places.begin(), places.end(), -1) == places.end() && pack_spread &&
               pack_spread(as_seen(*choice.algorithm, part.problem), *kernels, nullptr, places.data(), nullptr);
      });
      tap_places.push_back(takes_places ? std::move(places) : std::vector<Extent>{});
      if (!stage.in_place) {
        plan.made_at.push_back(plan.made_bytes);
        plan.made_bytes += lines(std::size_t(part.problem.output_size()) * item());
      }
      if (!stage.source.in_place) plan.gathered_bytes = lines(std::size_t(part.problem.input_size()) * item());
      const double once = fastconv::cost(*choice.algorithm, part.problem, true);
      cost[1] += once * double(times);
      cost[0] += once * double(times) + fastconv::cost(*choice.algorithm, part.problem, false) - once;
      for (const bool prepared : {false, true})
        brief[prepared] = brief[prepared] && fastconv::is_brief(*choice.algorithm, part.problem, prepared);
    }
    // Each value is read and written once more, at about 14 GB/s, as by copies from one layout to the other.
    const double passes = double(passed_values(layer, stage)) * double(item()) * 1e-3 / 14;
    for (double& estimate : cost) estimate += passes;
    has_background = has_background || stage.background;
    stages.push_back(std::move(plan));
  }
  is_single = stages.size() == 1 && lowering.stages[0].source.in_place && lowering.stages[0].in_place;
  if (!is_single)
    for (const bool prepared : {false, true}) brief[prepared] = brief[prepared] && cost[prepared] <= 10;
}

int Program::State::threads(bool prepared) const { return brief[prepared] ? 1 : num_threads(); }
Resources Program::State::resources(const ConvProblem& problem) const { return resources_for(problem, *kernels); }

std::size_t Program::State::packed_bytes(const Part& part, std::size_t index) const {
  return algorithms[index]->packed_bytes(as_seen(*algorithms[index], part.problem), *kernels);
}
std::size_t Program::State::bias_bytes(const Part& part) const {
  return part.filters.phases == 1 ? 0 : lines(std::size_t(part.problem.K) * item());
}
bool Program::State::gathers_filters(const Part& part, std::size_t index) const {
  return !part.filters.as_they_lie && tap_places[index].empty();
}
std::size_t Program::State::filter_bytes(const Part& part, std::size_t index) const {
  return gathers_filters(part, index) ? lines(std::size_t(part.problem.weight_size()) * item()) : 0;
}

bool Program::State::pack_part(const Part& part, std::size_t index, const void* weight, std::byte* packed,
                               std::byte* scratch) const {
  const Algorithm& algorithm = *algorithms[index];
  const ConvProblem seen = as_seen(algorithm, part.problem);
  if (!tap_places[index].empty()) {
    with_type(seen.dtype, [&](auto t) {
      using T = decltype(t);
      implementation<T>(algorithm).pack_spread(seen, *kernels, static_cast<const T*>(weight), tap_places[index].data(),
                                               packed);
    });
    return true;
  }
  const void* filters = weight;
  if (gathers_filters(part, index)) {
    const int threads = part.problem.weight_size() < 64 * 1024 ? 1 : num_threads();
    if (!gather_filters(part, weight, threads, scratch)) return false;
    filters = scratch;
  }
  pack(algorithm, seen, *kernels, filters, packed);
  return true;
}

// Of a stage: images, values that wait, and the most that a part needs.
std::size_t Program::State::stage_bytes(std::size_t index) const {
  const Stage& stage = lowering.stages[index];
  const StagePlan& plan = stages[index];
  std::size_t most = 0;
  for (std::size_t i = 0; i < stage.parts.size(); ++i) {
    const ConvProblem& p = stage.parts[i].problem;
    most = std::max(most, workspace_of(*algorithms[plan.first_part + i], p, resources(p)));
  }
  return plan.gathered_bytes + plan.made_bytes + most;
}

// Of a residual that is the output itself, if the stage writes before it has added: what it writes to at a time where
// those are whole images, else everything. Algorithms that write in place keep their own copy, or need none.
std::size_t Program::State::kept_residual_bytes(std::size_t index) const {
  const Layer& layer = lowering.layer;
  if (lowering.stages[index].in_place) return 0;
  const Extent images = layer.axes[0].outputs == 1 ? lowering.stages[index].images : layer.N;
  return lines(std::size_t(layer.output_size() / std::max<Extent>(layer.N, 1) * images) * item());
}

std::size_t Program::State::workspace_bytes(bool prepared, bool adds) const {
  std::size_t packed = 0, rest = 0, residual = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    std::size_t own = 0;
    if (adds) residual = std::max(residual, kept_residual_bytes(i));
    std::size_t needed = stage_bytes(i);
    std::size_t index = stages[i].first_part;
    for (const Part& part : lowering.stages[i].parts) {
      const ConvProblem& p = part.problem;
      if (adds && lowering.stages[i].in_place) {
        const int output = 0;  // any address: a residual that is the output
        needed =
            std::max(needed, stage_bytes(i) + residual_copy_of(*algorithms[index], p, *kernels, {&output}, &output));
      }
      if (!prepared) {
        own += lines(packed_bytes(part, index)) + bias_bytes(part);
        needed = std::max(needed, filter_bytes(part, index));
      }
      ++index;
    }
    packed = std::max(packed, own), rest = std::max(rest, needed);
  }
  // Behind the workspace, which fills whole cache lines: so nothing is lost between the two.
  if (is_single) return rest + (prepared ? 0 : packed_bytes(lowering.stages[0].parts[0], 0));
  std::size_t most_parts = 0;
  for (const Stage& stage : lowering.stages) most_parts = std::max(most_parts, stage.parts.size());
  const std::size_t tables = lines(most_parts * (sizeof(PreparedPart) + sizeof(void*)));
  const std::size_t background = has_background ? lines(std::size_t(lowering.layer.K) * item()) : 0;
  return tables + background + residual + packed + rest;
}

template <class T>
bool Program::State::run_stage(std::size_t index, const Call& call, const PreparedPart* parts,
                               std::byte* workspace) const {
  const Layer& layer = lowering.layer;
  const Stage& stage = lowering.stages[index];
  const StagePlan& plan = stages[index];
  T* const images = reinterpret_cast<T*>(workspace);
  std::byte* const made = workspace + plan.gathered_bytes;
  std::byte* const rest = made + plan.made_bytes;
  const auto** const values = reinterpret_cast<const T**>(const_cast<PreparedPart*>(parts) + stage.parts.size());
  for (std::size_t i = 0; i < plan.made_at.size(); ++i) values[i] = reinterpret_cast<const T*>(made + plan.made_at[i]);

  const Extent volume = layer.C * layer.input_pixels(), result = layer.K * layer.output_pixels();
  const Extent plane = layer.K * layer.axes[1].outputs * layer.axes[2].outputs;
  const bool whole_images = layer.axes[0].outputs == 1;
  const T* const all_residual = static_cast<const T*>(call.ending.residual);
  for (Extent n = 0; n < layer.N; n += stage.images) {
    const T* const from = static_cast<const T*>(call.input) + n * volume;
    T* const to = static_cast<T*>(call.output) + n * result;
    // What is added to these images, as if it were all: where the second pass finds it by the output's address.
    const void* residual = all_residual ? all_residual + n * result : nullptr;
    if (!stage.in_place && whole_images &&
        !keep_residual(residual, to, std::size_t(stage.images * result) * sizeof(T), call.threads, call.residual_copy))
      return false;
    const Finish end{kernels, call.ending.activated ? activation : Activation{}, to, residual};
    const Ending inner{nullptr, call.ending.activated && !residual};
    for (Extent j = 0; j < stage.planes.count; j += stage.planes_at_a_time) {
      if (!stage.source.in_place && !stage.parts.empty() && !gather(layer, stage, j, call.threads, from, images))
        return false;
      const T* const x = stage.source.in_place ? from : images;
      const Extent at = whole_images ? 0 : (stage.planes.first + j) * plane;  // of outputs in place
      for (std::size_t i = 0; i < stage.parts.size(); ++i) {
        const ConvProblem& p = stage.parts[i].problem;
        const Ending own{residual ? static_cast<const T*>(residual) + at : nullptr, call.ending.activated};
        void* const y = stage.in_place ? static_cast<void*>(to + at) : made + plan.made_at[i];
        if (!run_part(*algorithms[plan.first_part + i], p, resources(p), activation, x, parts[i].packed, parts[i].bias,
                      y, stage.in_place ? own : inner, rest))
          return false;
      }
      if (!stage.in_place &&
          !plan.scatter.run(layer, stage, j, call.threads, std::span<const T* const>(values, stage.parts.size()),
                            static_cast<const T*>(call.background), to, residual ? &end : nullptr))
        return false;
    }
  }
  return true;
}

bool Program::State::run(const PreparedPart* prepared, const void* input, const void* weight, const void* bias,
                         void* output, const Ending& ending) const {
  const Layer& layer = lowering.layer;
  if (layer.N == 0) return true;
  const bool is_prepared = prepared != nullptr, adds = ending.residual && ending.residual == output;
  const std::size_t bytes = workspace_bytes(is_prepared, adds);
  const Workspace workspace(bytes);
  std::byte* at = workspace.data();
  const auto take = [&](std::size_t bytes) { return std::exchange(at, at + lines(bytes)); };
  // Where the parts' weights are packed in the call, a stage's at a time.
  const auto pack_stage = [&](std::size_t index, PreparedPart* parts, std::byte* to) {
    const Stage& stage = lowering.stages[index];
    std::byte* packed = to;
    std::size_t total = 0;
    for (std::size_t i = 0; i < stage.parts.size(); ++i)
      total += lines(packed_bytes(stage.parts[i], stages[index].first_part + i)) + bias_bytes(stage.parts[i]);
    for (std::size_t i = 0; i < stage.parts.size(); ++i) {
      const Part& part = stage.parts[i];
      const std::size_t own = stages[index].first_part + i;
      if (!pack_part(part, own, weight, packed, to + total)) return false;
      parts[i] = {packed, bias};
      packed += lines(packed_bytes(part, own));
      if (bias && part.filters.phases > 1) {
        per_filter(part, bias, packed);
        parts[i].bias = packed;
        packed += bias_bytes(part);
      }
    }
    return true;
  };
  if (is_single) {
    const Part& part = lowering.stages[0].parts[0];
    PreparedPart own{nullptr, bias};
    if (is_prepared) {
      own = prepared[0];
    } else {
      std::byte* const packed = at + bytes - packed_bytes(part, 0);
      if (!pack_part(part, 0, weight, packed, at)) return false;
      own.packed = packed;
    }
    return run_part(*algorithms[0], part.problem, resources(part.problem), activation, input, own.packed, own.bias,
                    output, ending, at);
  }
  std::size_t most_parts = 0;
  for (const Stage& stage : lowering.stages) most_parts = std::max(most_parts, stage.parts.size());
  auto* const table = reinterpret_cast<PreparedPart*>(take(most_parts * (sizeof(PreparedPart) + sizeof(void*))));
  Call call{input, bias, output, ending, nullptr, nullptr, threads(is_prepared)};
  return with_type(layer.dtype, [&](auto t) {
    using T = decltype(t);
    if (has_background) {
      auto* const values = reinterpret_cast<T*>(take(std::size_t(layer.K) * sizeof(T)));
      bias ? std::copy_n(static_cast<const T*>(bias), layer.K, values) : std::fill_n(values, layer.K, T(0));
      if (ending.activated && !ending.residual) Finish{kernels, activation, nullptr, nullptr}(values, layer.K);
      call.background = values;
    }
    if (adds) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < stages.size(); ++i) kept = std::max(kept, kept_residual_bytes(i));
      call.residual_copy = take(kept);
      if (kept && layer.axes[0].outputs != 1 &&
          !keep_residual(call.ending.residual, output, std::size_t(layer.output_size()) * sizeof(T), call.threads,
                         call.residual_copy))
        return false;
    }
    for (std::size_t i = 0; i < stages.size(); ++i) {
      const Stage& stage = lowering.stages[i];
      std::byte* rest = at;
      if (is_prepared) {
        std::copy_n(prepared + stages[i].first_part, stage.parts.size(), table);
      } else {
        if (!pack_stage(i, table, at)) return false;
        for (std::size_t part = 0; part < stage.parts.size(); ++part)
          rest += lines(packed_bytes(stage.parts[part], stages[i].first_part + part)) + bias_bytes(stage.parts[part]);
      }
      if (!run_stage<T>(i, call, table, rest)) return false;
    }
    return true;
  });
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
const Algorithm& Program::algorithm(std::size_t part) const { return *state_->algorithms.at(part); }
const char* Program::isa() const { return state_->kernels->isa; }
std::size_t Program::packed_bytes() const {
  std::size_t bytes = 0, index = 0;
  for (const Stage& stage : state_->lowering.stages)
    for (const Part& part : stage.parts) bytes += state_->packed_bytes(part, index++);
  return bytes;
}
std::size_t Program::workspace_bytes(bool prepared, bool adds) const { return state_->workspace_bytes(prepared, adds); }
double Program::cost(bool prepared) const { return state_->cost[prepared]; }
bool Program::is_brief(bool prepared) const { return state_->brief[prepared]; }

}  // namespace fastconv
