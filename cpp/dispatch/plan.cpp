#include "fastconv/plan.hpp"

#include <algorithm>

#include "base/aligned_buffer.hpp"
#include "dispatch/filters.hpp"
#include "dispatch/part.hpp"
#include "dispatch/program.hpp"
#include "dispatch/workspace.hpp"

namespace fastconv {

struct Plan::State {
  std::shared_ptr<const Program> program;
  std::vector<AlignedBuffer> packed, biases;  // of each part
  AlignedBuffer bias;                         // of the layer
  std::vector<PreparedPart> parts;
};

Plan::Plan(std::shared_ptr<const Program> program, const void* weight, const void* bias)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.program = std::move(program);
  const Program::State& p = *s.program->state_;
  if (bias) {
    s.bias = AlignedBuffer(std::size_t(p.lowering.layer.K) * p.item());
    std::copy_n(static_cast<const std::byte*>(bias), s.bias.bytes(), s.bias.data());
  }
  for (const Stage& stage : p.lowering.stages)
    for (const Part& part : stage.parts) {
      const Program::State::PartPlan& own = p.parts[s.packed.size()];
      s.packed.emplace_back(own.packed);
      const Workspace scratch(own.filters);
      p.pack_part(part, own, weight, s.packed.back().data(), scratch.data());
      s.biases.emplace_back(bias ? own.bias : 0);
      if (bias && own.bias) per_filter(part, bias, s.biases.back().data());
    }
  for (std::size_t i = 0; i < s.packed.size(); ++i)
    s.parts.push_back({s.packed[i].data(), s.biases[i].bytes() ? s.biases[i].data() : s.bias.data()});
}
Plan::Plan(const ConvProblem& problem, const Algorithm& algorithm, const void* weight, const void* bias,
           const Activation& activation)
    : Plan(std::make_shared<const Program>(problem, algorithm, activation), weight, bias) {}
Plan::Plan(Plan&&) noexcept = default;
Plan::~Plan() = default;

bool Plan::run(const void* input, void* output, const Ending& ending) const {
  const State& s = *state_;
  return s.program->state_->run(s.parts.data(), input, nullptr, s.bias.data(), output, ending);
}

bool Plan::is_brief() const { return program().is_brief(true); }
DType Plan::dtype() const { return program().layer().dtype; }
Extent Plan::input_values() const { return program().layer().input_size(); }
Extent Plan::output_values() const { return program().layer().output_size(); }
const std::shared_ptr<const Program>& Plan::shared_program() const { return state_->program; }
const ConvProblem& Plan::problem() const {
  for (const Stage& stage : program().lowering().stages)
    if (!stage.parts.empty()) return stage.parts[0].problem;
  throw std::logic_error("plan: no output sees a tap, so there is no part");
}
const Algorithm& Plan::algorithm() const { return program().algorithm(0); }
std::size_t Plan::packed_bytes() const { return program().packed_bytes(); }
std::size_t Plan::workspace_bytes() const { return program().workspace_bytes(true); }

bool run_once(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation, const void* input,
              const void* weight, const void* bias, void* output, const void* residual) {
  return Program(problem, algorithm, activation).run_once(input, weight, bias, output, Ending{residual});
}

}  // namespace fastconv
