// One convolution of images by one algorithm: packing, copies for algorithms that read one layout alone, the residual.
#pragma once

#include "dispatch/layout.hpp"
#include "fastconv/operation.hpp"
#include "fastconv/plan.hpp"

namespace fastconv {

template <class T>
const Implementation<T>& implementation(const Algorithm& algorithm) {
  if constexpr (sizeof(T) == sizeof(float))
    return algorithm.f32;
  else
    return algorithm.f64;
}

// Throws std::invalid_argument if the problem is invalid or the algorithm rejects it.
void check(const ConvProblem& problem, const Algorithm& algorithm);

// One thread for what is done before a second one has woken.
bool is_inline(const ConvProblem& problem);
Resources resources_for(const ConvProblem& problem, const Kernels& kernels);

void pack(const Algorithm& algorithm, const ConvProblem& seen, const Kernels& kernels, const void* weight,
          std::byte* packed);

// Workspace of a run: of the algorithm and of layout copies, and of the copy of a residual that is the output itself.
std::size_t workspace_of(const Algorithm& algorithm, const ConvProblem& problem, const Resources& resources);
std::size_t residual_copy_of(const Algorithm& algorithm, const ConvProblem& problem, const Kernels& kernels,
                             const Ending& ending, const void* output);

// False if interrupted.
bool run_part(const Algorithm& algorithm, const ConvProblem& problem, const Resources& resources,
              const Activation& activation, const void* input, const std::byte* packed, const void* bias, void* output,
              const Ending& ending, std::byte* workspace);

}  // namespace fastconv
