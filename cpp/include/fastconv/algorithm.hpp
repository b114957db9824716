// An algorithm is a plain record. To add one: one file in algorithms/, one line in algorithms/registry.cpp.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fastconv/problem.hpp"

namespace fastconv {

template <class T>
struct Epilogue;
struct Kernels;

// What an algorithm may know beside the problem: they decide blocking and workspace, never the value of a result.
struct Resources {
  const Kernels* kernels;
  int threads;
};

// One execution. Pointers are to whole tensors in the problem's layout (weights KCRS, already packed); nothing is
// null.
template <class T>
struct Execution {
  const ConvProblem& problem;
  Resources resources;
  const T* input;
  const std::byte* packed;
  T* output;
  std::byte* workspace;  // workspace(problem, resources) bytes, aligned to a cache line
  Epilogue<T> epilogue;  // bias has K values, or is null
};

// `pack` brings weights into the algorithm's own order; `run` returns false if it was interrupted. run allocates
// nothing.
template <class T>
struct Implementation {
  void (*pack)(const ConvProblem&, const Kernels&, const T* weight, std::byte* packed);
  bool (*run)(const Execution<T>&);
  // As `pack`, from the weights of a transposed convolution by stride 1, (C, K / groups, R, S), whose tap i is taps[i]
  // here. False if the algorithm would rather have them as KCRS; null if it always would. With `packed` null it
  // packs nothing, and only answers.
  bool (*pack_spread)(const ConvProblem&, const Kernels&, const T* weight, const Extent* taps,
                      std::byte* packed) = nullptr;
};

using Variants = std::vector<std::pair<std::string, Extent>>;  // names, and numbers as in ConvProblem::variant

struct Algorithm {
  const char* name;
  const char* summary;
  std::string (*rejects)(const ConvProblem&);  // why not, or nothing
  std::string (*variant)(const ConvProblem&, const Kernels&);  // the inner choice, if there is one; may be null
  Variants (*variants)(const ConvProblem&) = nullptr;  // those that could run it, whatever is expected of them
  std::string (*details)(const ConvProblem&) = nullptr;  // what that choice is, and why not another
  // Expected rms error as in ConvProblem::error_limit; null if it is that of a plain sum.
  double (*expected_error)(const ConvProblem&) = nullptr;
  // Multiplications done, those of transforms not counted; null if as many as the definition has.
  Extent (*multiply_adds)(const ConvProblem&) = nullptr;
  double (*cost)(const ConvProblem&, const Kernels&);  // estimated microseconds of one thread, weights packed
  // The same for packing; null if it is that of packed_bytes.
  double (*pack_cost)(const ConvProblem&, const Kernels&) = nullptr;
  std::size_t (*packed_bytes)(const ConvProblem&, const Kernels&);
  std::size_t (*workspace)(const ConvProblem&, const Resources&);  // exact bytes
  // Whether a residual may be the output itself, which is then added to where it lies; null for never: a copy is made.
  bool (*adds_in_place)(const ConvProblem&, const Kernels&) = nullptr;
  // Whether it reads and writes NHWC itself; else it only ever sees NCHW, and copies are made for it.
  bool (*takes_nhwc)(const ConvProblem&);
  Implementation<float> f32;
  Implementation<double> f64;
};

std::span<const Algorithm* const> algorithms();
const Algorithm* find_algorithm(const std::string& name);  // null if there is none

}  // namespace fastconv
