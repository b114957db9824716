#include <algorithm>
#include <utility>

#include "base/aligned_buffer.hpp"
#include "dispatch/filters.hpp"
#include "dispatch/part.hpp"
#include "dispatch/program.hpp"
#include "dispatch/workspace.hpp"
#include "fastconv/threads.hpp"

namespace fastconv {

// What is the same for all stages of one call.
struct Program::State::Call {
  const void *input, *bias;
  void* output;
  Ending ending;
  int threads;                           // of passes
  const void* background = nullptr;      // K values, for stages that have one
  std::byte* residual_copy = nullptr;
};

bool Program::State::run(const PreparedPart* prepared, const void* input, const void* weight, const void* bias,
                         void* output, const Ending& ending) const {
  if (lowering.layer.N == 0) return true;
  // The number that workspace is counted for is the number that runs, whoever sets another meanwhile.
  const ThreadsScope scope(num_threads());
  const bool is_prepared = prepared != nullptr;
  const std::size_t bytes = workspace_bytes(is_prepared, ending.residual && ending.residual == output);
  const Workspace workspace(bytes);
  const Call call{input, bias, output, ending, brief[is_prepared] ? 1 : num_threads()};
  if (is_single) return run_single(prepared, weight, call, workspace.data(), bytes);
  return with_type(lowering.layer.dtype,
                   [&](auto t) { return run_stages<decltype(t)>(prepared, weight, call, workspace.data()); });
}

bool Program::State::run_single(const PreparedPart* prepared, const void* weight, const Call& call,
                                std::byte* workspace, std::size_t bytes) const {
  const Part& part = lowering.stages[0].parts[0];
  PreparedPart own{workspace + bytes - parts[0].packed, call.bias};
  if (prepared)
    own = *prepared;
  else if (!pack_part(part, parts[0], weight, workspace + bytes - parts[0].packed, workspace))
    return false;
  return run_part(*parts[0].algorithm, part.problem, resources_for(part.problem, *kernels), activation, call.input,
                  own.packed, own.bias, call.output, call.ending, workspace);
}

// The weights of a stage's parts, one behind the other from `packed` on.
bool Program::State::pack_stage(std::size_t index, const void* weight, const void* bias, PreparedPart* to,
                                std::byte* packed, std::byte* scratch) const {
  const Stage& stage = lowering.stages[index];
  for (std::size_t i = 0; i < stage.parts.size(); ++i) {
    const PartPlan& own = parts[stages[index].first_part + i];
    if (!pack_part(stage.parts[i], own, weight, packed, scratch)) return false;
    to[i] = {packed, bias};
    packed += round_up(own.packed, cache_line);
    if (bias && own.bias) {
      per_filter(stage.parts[i], bias, packed);
      to[i].bias = packed;
    }
    packed += own.bias;
  }
  return true;
}

template <class T>
bool Program::State::run_stages(const PreparedPart* prepared, const void* weight, Call call,
                                std::byte* workspace) const {
  const Layer& layer = lowering.layer;
  const auto take = [&](std::size_t bytes) {
    return std::exchange(workspace, workspace + round_up(bytes, cache_line));
  };
  auto* const own = reinterpret_cast<PreparedPart*>(take(table));
  if (has_background) {
    auto* const values = reinterpret_cast<T*>(take(std::size_t(layer.K) * sizeof(T)));
    call.bias ? std::copy_n(static_cast<const T*>(call.bias), layer.K, values) : std::fill_n(values, layer.K, T(0));
    if (call.ending.activated && !call.ending.residual) Finish{kernels, activation, nullptr, nullptr}(values, layer.K);
    call.background = values;
  }
  if (call.ending.residual && call.ending.residual == call.output) {
    const std::size_t kept = kept_residual_bytes();
    call.residual_copy = take(kept);
    if (kept && layer.axes[0].outputs != 1 &&
        !keep_residual(call.ending.residual, call.output, std::size_t(layer.output_size()) * sizeof(T), call.threads,
                       call.residual_copy))
      return false;
  }
  for (std::size_t i = 0; i < stages.size(); ++i) {
    std::byte* rest = workspace;
    if (prepared) {
      std::copy_n(prepared + stages[i].first_part, lowering.stages[i].parts.size(), own);
    } else {
      rest += stages[i].packed;
      if (!pack_stage(i, weight, call.bias, own, workspace, rest)) return false;
    }
    if (!run_stage<T>(i, call, own, rest)) return false;
  }
  return true;
}

// `own` has the stage's parts, and room for as many pointers behind them.
template <class T>
bool Program::State::run_stage(std::size_t index, const Call& call, PreparedPart* own, std::byte* workspace) const {
  const Layer& layer = lowering.layer;
  const Stage& stage = lowering.stages[index];
  const StagePlan& plan = stages[index];
  T* const images = reinterpret_cast<T*>(workspace);
  std::byte* const made = workspace + plan.gathered;
  std::byte* const rest = made + plan.made;
  const auto** const values = reinterpret_cast<const T**>(own + stage.parts.size());
  for (std::size_t i = 0; i < plan.made_at.size(); ++i) values[i] = reinterpret_cast<const T*>(made + plan.made_at[i]);

  const Extent volume = layer.C * layer.input_pixels(), result = layer.K * layer.output_pixels();
  const Extent plane = layer.K * layer.axes[1].outputs * layer.axes[2].outputs;
  const bool whole_images = layer.axes[0].outputs == 1;
  const T* const all_residual = static_cast<const T*>(call.ending.residual);
  for (Extent n = 0; n < layer.N; n += stage.images) {
    const T* const from = static_cast<const T*>(call.input) + n * volume;
    T* const to = static_cast<T*>(call.output) + n * result;
    // What is added to these images, as if they were all: the second pass finds it by the output's address.
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
        const Ending direct{residual ? static_cast<const T*>(residual) + at : nullptr, call.ending.activated};
        void* const y = stage.in_place ? static_cast<void*>(to + at) : made + plan.made_at[i];
        if (!run_part(*parts[plan.first_part + i].algorithm, p, resources_for(p, *kernels), activation, x,
                      own[i].packed, own[i].bias, y, stage.in_place ? direct : inner, rest))
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

}  // namespace fastconv
