// A transposed convolution: several ordinary ones whose outputs lie interleaved.
//
// With a stride of s, the outputs at y with the same remainder of y by s make a *phase*: all of them look at the same
// share of the taps, and at neighbouring inputs. So a phase is a dense convolution by stride 1, and no products with
// the zeros between inputs are made, nor overlapping outputs added. Phases with equal geometry are one convolution with
// more filters; if the kernel is as large as the stride, all of them are. (Shi et al., arXiv:1609.07009.)
#pragma once

#include <memory>
#include <vector>

#include "fastconv/operation.hpp"
#include "fastconv/plan.hpp"

namespace fastconv {

// A phase along an axis: output first + i * step is value skip + i of its convolution, for i < count.
struct PhaseAxis {
  Extent first, step, count, skip;
  bool operator==(const PhaseAxis&) const = default;
};

struct Phase {
  PhaseAxis rows, columns;
};

// Of the plan's filters in each group, the first K / groups belong to phases[0], the next to phases[1], ...
struct PhasedPlan {
  std::shared_ptr<const Plan> plan;
  std::vector<Phase> phases;
};

struct InterleavedShape {
  DType dtype;
  Layout layout;
  Extent N, K, P, Q;
};

// A transposed convolution's weights (C, K / groups, R, S) as the filters of a plan: in each group, every phase's in
// turn. For each phase along an axis, `rows` and `columns` list its taps, as many for each, in the plan's order. `to`
// has rows.size() * columns.size() * K filters of C / groups channels. False if interrupted.
bool phase_filters(DType dtype, const void* weight, Extent groups, Extent C, Extent filters_per_group, Extent R,
                   Extent S, const std::vector<std::vector<Extent>>& rows,
                   const std::vector<std::vector<Extent>>& columns, void* to);

// run_once with filters that phase_filters makes: `weight` is (problem.C, K / groups, R, S), and there is one phase
// along each axis. The filters live in workspace.
bool run_phase_once(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation,
                    const void* input, const void* weight, Extent R, Extent S, const std::vector<Extent>& rows,
                    const std::vector<Extent>& columns, const void* bias, void* output, const void* residual = nullptr);

class InterleavedPlan final : public Operation {
 public:
  // Each plan convolves the same number of images, a divisor of N; they follow one another in the input. Outputs in
  // `blank`, whose filters see no tap there, become the activation of bias[k], or of zero if that is null. `activation`
  // is the plans'. Every output must lie in one phase. Throws std::invalid_argument if a phase leaves its plan or the
  // output.
  InterleavedPlan(const InterleavedShape& shape, std::vector<PhasedPlan> plans, std::vector<Phase> blank,
                  const void* bias, const Activation& activation);
  InterleavedPlan(InterleavedPlan&&) noexcept;
  ~InterleavedPlan() override;

  using Operation::run;
  bool run(const void* input, void* output, const Ending& ending) const override;
  bool is_brief() const override;
  DType dtype() const override;
  std::size_t packed_bytes() const override;
  Extent input_values() const override;
  Extent output_values() const override;

  const InterleavedShape& shape() const;
  const std::vector<PhasedPlan>& plans() const;
  std::size_t workspace_bytes() const;  // of the outputs before they are interleaved; plans have theirs beside it

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fastconv
