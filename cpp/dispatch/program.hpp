// How a program's stages run, and where in workspace things lie meanwhile.
#pragma once

#include <vector>

#include "dispatch/passes.hpp"
#include "fastconv/plan.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

// A part's weights in its algorithm's order, and a bias for each of its filters, or null.
struct PreparedPart {
  const std::byte* packed;
  const void* bias;
};

struct Program::State {
  State(Lowering lowered, const std::vector<Choice>& choices, const Activation& how);

  struct StagePlan {
    Scatter scatter;
    std::size_t first_part;
    std::size_t gathered_bytes, made_bytes;  // of the images, and of all parts' values that wait
    std::vector<std::size_t> made_at;        // of each part, behind the images
  };

  Lowering lowering;
  std::vector<const Algorithm*> algorithms;    // of each part of each stage
  std::vector<std::vector<Extent>> tap_places;  // of each part, as in filters.hpp; empty unless it packs from those
  std::vector<StagePlan> stages;
  const Kernels* kernels;
  Activation activation;
  bool is_single;  // one part that reads and writes the user's arrays
  bool has_background;
  double cost[2];  // by `prepared`
  bool brief[2];

  std::size_t item() const { return size_of(lowering.layer.dtype); }
  int threads(bool prepared) const;  // of passes
  Resources resources(const ConvProblem& problem) const;

  std::size_t packed_bytes(const Part& part, std::size_t index) const;
  std::size_t bias_bytes(const Part& part) const;
  bool gathers_filters(const Part& part, std::size_t index) const;
  // Brings a part's weights into the algorithm's order; `scratch` holds its filters if they are gathered. False if
  // interrupted.
  bool pack_part(const Part& part, std::size_t index, const void* weight, std::byte* packed, std::byte* scratch) const;
  std::size_t filter_bytes(const Part& part, std::size_t index) const;

  std::size_t workspace_bytes(bool prepared, bool adds) const;
  // `prepared` has each part's weights; null packs them from `weight` and `bias` in workspace.
  bool run(const PreparedPart* prepared, const void* input, const void* weight, const void* bias, void* output,
           const Ending& ending) const;

 private:
  struct Call;
  std::size_t stage_bytes(std::size_t index) const;
  std::size_t kept_residual_bytes(std::size_t index) const;
  template <class T>
  bool run_stage(std::size_t index, const Call& call, const PreparedPart* parts, std::byte* workspace) const;
};

}  // namespace fastconv
