// A problem, an algorithm, an ISA and packed weights: everything that is done once. Runs from any number of threads at
// a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "fastconv/algorithm.hpp"
#include "fastconv/epilogue.hpp"
#include "fastconv/operation.hpp"
#include "fastconv/problem.hpp"

namespace fastconv {

class Plan final : public Operation {
 public:
  // `weight` is KCRS; `bias` has K values or is null. Both are copied. Throws std::invalid_argument if the problem is
  // invalid or the algorithm rejects it, NoMemory if the packed weights do not fit in memory.
  Plan(const ConvProblem& problem, const Algorithm& algorithm, const void* weight, const void* bias,
       const Activation& activation);
  Plan(Plan&&) noexcept;
  ~Plan() override;

  // `input` is NCHW and `output` NKPQ, or NHWC and NPQK; neither overlaps the other. False if interrupted: the output
  // is then incomplete.
  using Operation::run;
  bool run(const void* input, void* output, const Ending& ending) const override;

  bool is_brief() const override;
  DType dtype() const override;
  Extent input_values() const override;
  Extent output_values() const override;

  const ConvProblem& problem() const;
  const Algorithm& algorithm() const;
  const char* isa() const;
  std::size_t packed_bytes() const override;
  std::size_t workspace_bytes() const;  // of one call, with the present number of threads

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Packs, runs and forgets: for weights that are used once. The packed weights live in workspace. `residual` is as in
// Ending.
bool run_once(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation, const void* input,
              const void* weight, const void* bias, void* output, const void* residual = nullptr);

// Scratch bytes of one call with the active ISA and the present number of threads, packed weights not included.
std::size_t workspace_bytes(const Algorithm& algorithm, const ConvProblem& problem);
std::size_t packed_bytes(const Algorithm& algorithm, const ConvProblem& problem);
double cost(const Algorithm& algorithm, const ConvProblem& problem, bool prepared);
// Done in about 10 us, by the calling thread alone: less than it takes to hand work, or a lock, to another thread.
bool is_brief(const Algorithm& algorithm, const ConvProblem& problem, bool prepared);
std::string variant(const Algorithm& algorithm, const ConvProblem& problem);

}  // namespace fastconv
