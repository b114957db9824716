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

  // Beside the part itself: who computes it, and the bytes of what is made of its weights.
  struct PartPlan {
    const Algorithm* algorithm;
    std::vector<Extent> tap_places;   // as in filters.hpp; empty unless it packs from those
    std::size_t packed, bias;         // of the packed weights; of a bias that is repeated for phases
    std::size_t filters;              // of weights in the order KCRS, if they are gathered first
  };
  struct StagePlan {
    Scatter scatter;
    std::size_t first_part;
    std::size_t packed;                   // of all its parts, each beginning a cache line
    std::size_t gathered, made;       // of the images, and of all parts' values that wait
    std::vector<std::size_t> made_at;         // of each part, behind the images
  };

  Lowering lowering;
  std::vector<PartPlan> parts;  // of each part of each stage
  std::vector<StagePlan> stages;
  const Kernels* kernels;
  Activation activation;
  bool is_single = false;  // one part that reads and writes the user's arrays
  bool has_background = false;
  std::size_t table = 0;  // of pointers to a stage's parts
  double cost[2] = {0, 0};          // by `prepared`
  bool brief[2] = {true, true};

  std::size_t item() const { return size_of(lowering.layer.dtype); }

  // Brings a part's weights into the algorithm's order; `scratch` holds its filters if they are gathered. False if
  // interrupted.
  bool pack_part(const Part& part, const PartPlan& plan, const void* weight, std::byte* packed,
                 std::byte* scratch) const;

  std::size_t workspace_bytes(bool prepared, bool adds) const;
  // `prepared` has each part's weights; null packs them from `weight` and `bias` in workspace.
  bool run(const PreparedPart* prepared, const void* input, const void* weight, const void* bias, void* output,
           const Ending& ending) const;

 private:
  struct Call;
  std::size_t stage_bytes(std::size_t index, bool adds) const;
  std::size_t kept_residual_bytes() const;
  bool run_single(const PreparedPart* prepared, const void* weight, const Call& call, std::byte* workspace,
                  std::size_t bytes) const;
  bool pack_stage(std::size_t index, const void* weight, const void* bias, PreparedPart* to, std::byte* packed,
                  std::byte* scratch) const;
  template <class T>
  bool run_stages(const PreparedPart* prepared, const void* weight, Call call, std::byte* workspace) const;
  template <class T>
  bool run_stage(std::size_t index, const Call& call, PreparedPart* table, std::byte* workspace) const;
};

}  // namespace fastconv
