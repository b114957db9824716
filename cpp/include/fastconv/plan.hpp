// What is decided once about a layer, and what is prepared once: a Program knows how it runs, a Plan has the weights as
// well. Both run from any number of threads at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "fastconv/algorithm.hpp"
#include "fastconv/epilogue.hpp"
#include "fastconv/lowering.hpp"
#include "fastconv/operation.hpp"
#include "fastconv/problem.hpp"

namespace fastconv {

// Who computes a part, and what of its problem is no property of the layer.
struct Choice {
  const Algorithm* algorithm = nullptr;
  Extent variant = -1;  // as in ConvProblem
  double error_limit = 25;  // as in ConvProblem
};

// A layer, its parts, and the algorithm of each, for the ISA that was active when it was made. Without weights: what
// functions remember, whose weights are used once.
class Program {
 public:
  // A choice for each part of each stage, in order. Throws std::invalid_argument if there are others, or if an
  // algorithm rejects its part.
  Program(Lowering lowering, const std::vector<Choice>& choices, const Activation& activation);
  // One convolution of images, whatever it is part of.
  Program(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation);
  Program(Program&&) noexcept;
  ~Program();

  // Packs, runs and forgets: the packed weights live in workspace. `weight` lies as the layer says, `bias` has K values
  // or is null, `input` and `output` are contiguous and apart. False if interrupted: the output is then incomplete.
  bool run_once(const void* input, const void* weight, const void* bias, void* output, const Ending& ending) const;

  const Layer& layer() const;  // as its parts see it: simplified
  const Lowering& lowering() const;
  const Algorithm& algorithm(std::size_t part) const;
  const char* isa() const;
  std::size_t packed_bytes() const;
  // Of one call with the present number of threads; with the packed weights, unless they are prepared. `adds` is for a
  // call whose residual is its output.
  std::size_t workspace_bytes(bool prepared, bool adds = false) const;
  double cost(bool prepared) const;  // estimated microseconds of one thread
  // Done in about 10 us by the calling thread alone: less than it takes to hand work, or a lock, to another thread.
  bool is_brief(bool prepared) const;

 private:
  friend class Plan;
  struct State;
  std::unique_ptr<State> state_;
};

class Plan final : public Operation {
 public:
  // `weight` and `bias` are as in Program::run_once, and copied. Throws NoMemory if there is no memory for the packed
  // weights.
  Plan(std::shared_ptr<const Program> program, const void* weight, const void* bias);
  // One convolution of images, `weight` is KCRS.
  Plan(const ConvProblem& problem, const Algorithm& algorithm, const void* weight, const void* bias,
       const Activation& activation);
  Plan(Plan&&) noexcept;
  ~Plan() override;

  using Operation::run;
  bool run(const void* input, void* output, const Ending& ending) const override;
  bool is_brief() const override;
  DType dtype() const override;
  Extent input_values() const override;
  Extent output_values() const override;

  const Program& program() const { return *shared_program(); }
  const std::shared_ptr<const Program>& shared_program() const;
  const ConvProblem& problem() const;  // of its first part
  const Algorithm& algorithm() const;  // likewise
  std::size_t packed_bytes() const override;
  std::size_t workspace_bytes() const;  // of one call, with the present number of threads

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Packs, runs and forgets, one convolution of images. `residual` is as in Ending.
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
