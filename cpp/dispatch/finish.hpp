// Bias, residual and activation as kernels take them, and the second pass for outputs that no kernel has finished.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "fastconv/operation.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

template <class T>
Epilogue<T> epilogue_of(const Activation& activation, const void* bias, const void* output, const void* residual) {
  const bool clip = activation.kind == ActivationKind::clip, adds = residual != nullptr;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  const T low = clip ? T(activation.low) : -infinity, high = clip ? T(activation.high) : infinity;
  return {.bias = static_cast<const T*>(bias),
          .low = adds ? -infinity : low,
          .high = adds ? infinity : high,
          .kind = activation.kind,
          .slope = T(clip ? 0 : activation.low),
          .second_pass = adds || !clip,
          .output = static_cast<const T*>(output),
          .residual = static_cast<const T*>(residual),
          .last_low = low,
          .last_high = high};
}

// The second pass over parts of an output that was run without: see Ending.
struct Finish {
  const Kernels* kernels;
  Activation activation;
  const void *output, *residual;  // whole arrays; null for no residual

  template <class T>
  void operator()(T* values, std::ptrdiff_t count) const {
    kernel_set<T>(*kernels).activate(values, count, epilogue_of<T>(activation, nullptr, output, residual));
  }
};

// False if interrupted.
template <class T>
bool finish_all(const Finish& finish, T* values, std::ptrdiff_t count, int threads) {
  constexpr std::ptrdiff_t most = 16 * 1024;  // of a task
  return parallel_for((count + most - 1) / most, threads,
                      [&](std::ptrdiff_t i, int) { finish(values + i * most, std::min(most, count - i * most)); });
}

// What is added to an output: itself, copied to workspace of that many bytes first, if it is to be added to.
inline std::size_t residual_copy_bytes(const Ending& ending, const void* output, std::size_t output_bytes) {
  return ending.residual && ending.residual == output ? round_up(output_bytes, cache_line) : 0;
}

// Makes that copy if need be, and puts it in the place of the residual; false if interrupted.
inline bool keep_residual(const void*& residual, const void* output, std::size_t output_bytes, int threads,
                          std::byte* workspace) {
  if (!residual || residual != output) return true;
  residual = workspace;
  constexpr std::size_t most = 64 * 1024;  // of a task
  const auto* const from = static_cast<const std::byte*>(output);
  return parallel_for(std::ptrdiff_t((output_bytes + most - 1) / most), threads, [&](std::ptrdiff_t i, int) {
    const std::size_t at = std::size_t(i) * most;
    std::memcpy(workspace + at, from + at, std::min(most, output_bytes - at));
  });
}

}  // namespace fastconv
