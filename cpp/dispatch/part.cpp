#include "dispatch/part.hpp"

#include <stdexcept>

#include "dispatch/finish.hpp"
#include "fastconv/threads.hpp"

namespace fastconv {

namespace {

bool run_as_seen(const Algorithm& algorithm, const ConvProblem& problem, const Resources& resources,
                 const Activation& activation, const void* input, const std::byte* packed, const void* bias,
                 void* output, const void* residual, std::byte* workspace) {
  return with_type(problem.dtype, [&](auto t) {
    using T = decltype(t);
    return implementation<T>(algorithm).run({problem, resources, static_cast<const T*>(input), packed,
                                             static_cast<T*>(output), workspace,
                                             epilogue_of<T>(activation, bias, output, residual)});
  });
}

bool adds_in_place(const Algorithm& algorithm, const ConvProblem& p, const Kernels& kernels) {
  return !is_transposed(algorithm, p) && algorithm.adds_in_place &&
         algorithm.adds_in_place(as_seen(algorithm, p), kernels);
}

}  // namespace

void pack(const Algorithm& algorithm, const ConvProblem& problem, const Kernels& kernels, const void* weight,
          std::byte* packed) {
  with_type(problem.dtype, [&](auto t) {
    using T = decltype(t);
    implementation<T>(algorithm).pack(problem, kernels, static_cast<const T*>(weight), packed);
  });
}

std::size_t residual_copy_of(const Algorithm& algorithm, const ConvProblem& p, const Kernels& kernels,
                             const Ending& ending, const void* output) {
  if (adds_in_place(algorithm, p, kernels)) return 0;
  return residual_copy_bytes(ending, output, std::size_t(p.output_size()) * size_of(p.dtype));
}

bool run_part(const Algorithm& algorithm, const ConvProblem& p, const Resources& resources,
              const Activation& activation, const void* input, const std::byte* packed, const void* bias, void* output,
              const Ending& ending, std::byte* workspace) {
  if (p.N == 0) return true;
  const std::size_t bytes = std::size_t(p.output_size()) * size_of(p.dtype);
  const void* residual = ending.residual;
  if (!adds_in_place(algorithm, p, *resources.kernels)) {
    if (!keep_residual(residual, output, bytes, resources.threads, workspace)) return false;
    workspace += residual_copy_bytes(ending, output, bytes);
  }
  const ConvProblem seen = as_seen(algorithm, p);
  const Activation wanted = ending.activated ? activation : Activation{};
  if (!is_transposed(algorithm, p))
    return run_as_seen(algorithm, seen, resources, wanted, input, packed, bias, output, residual, workspace);
  // The residual lies as the output does, not as its copy.
  const Activation first = residual ? Activation{} : wanted;
  const Kernels& kernels = *resources.kernels;
  const Extent threads = resources.threads, pixels = p.P() * p.Q();
  std::byte* const x = workspace;
  std::byte* const y = x + input_copy_bytes(p);
  std::byte* const rest = workspace + layout_workspace(algorithm, p);
  return transpose(kernels, p.dtype, threads, p.N, p.H * p.W, p.C, input, x) &&
         run_as_seen(algorithm, seen, resources, first, x, packed, bias, y, nullptr, rest) &&
         transpose(kernels, p.dtype, threads, p.N, p.K, pixels, y, output) &&
         (!residual || with_type(p.dtype, [&](auto t) {
           return finish_all({&kernels, wanted, output, residual}, static_cast<decltype(t)*>(output), p.output_size(),
                             int(threads));
         }));
}

std::size_t workspace_of(const Algorithm& algorithm, const ConvProblem& problem, const Resources& resources) {
  return layout_workspace(algorithm, problem) + algorithm.workspace(as_seen(algorithm, problem), resources);
}

// A problem this small is done before a second thread has woken (tens of microseconds). 8 -> 16 channels at 20 x 20,
// 3 x 3, 460 thousand: 8 us alone, 7 with a thread that still spins, 23 with one that sleeps.
constexpr Extent inline_multiply_adds = 512 * 1024;

bool is_inline(const ConvProblem& problem) { return problem.multiply_adds() <= inline_multiply_adds; }

Resources resources_for(const ConvProblem& problem, const Kernels& kernels) {
  return {&kernels, is_inline(problem) ? 1 : num_threads()};
}

void check(const ConvProblem& problem, const Algorithm& algorithm) {
  std::string reason = invalid(problem);
  if (!reason.empty()) throw std::invalid_argument(reason);
  reason = algorithm.rejects(as_seen(algorithm, problem));
  if (!reason.empty()) throw std::invalid_argument(std::string(algorithm.name) + " " + reason);
}

std::size_t workspace_bytes(const Algorithm& algorithm, const ConvProblem& problem) {
  return workspace_of(algorithm, problem, resources_for(problem, active_kernels()));
}

std::size_t packed_bytes(const Algorithm& algorithm, const ConvProblem& problem) {
  return algorithm.packed_bytes(as_seen(algorithm, problem), active_kernels());
}

double cost(const Algorithm& algorithm, const ConvProblem& problem, bool prepared) {
  const double microseconds =
      algorithm.cost(as_seen(algorithm, problem), active_kernels()) + layout_cost(algorithm, problem);
  if (prepared) return microseconds;
  if (algorithm.pack_cost) return microseconds + algorithm.pack_cost(as_seen(algorithm, problem), active_kernels());
  // Packing reads the weights and writes the packed ones, scattered: 20 GB/s in L2, 10 beyond (direct and im2col, 3x3
  // to 7x7, 16 to 512 channels: 17 to 33, 7 to 18).
  const double bytes = double(packed_bytes(algorithm, problem));
  return microseconds + bytes * 1e-3 / (bytes > 2e6 ? 10 : 20);
}

bool is_brief(const Algorithm& algorithm, const ConvProblem& problem, bool prepared) {
  return is_inline(problem) && cost(algorithm, problem, prepared) <= 10;
}

std::string variant(const Algorithm& algorithm, const ConvProblem& problem) {
  return algorithm.variant ? algorithm.variant(as_seen(algorithm, problem), active_kernels()) : std::string();
}

}  // namespace fastconv
