// The library without Python: every algorithm on every ISA and dtype against `reference`, prepared and not, for one
// thread and two. Also built with the address and undefined-behaviour sanitizers.
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "check.hpp"
#include "fastconv/isa.hpp"
#include "fastconv/machine.hpp"
#include "fastconv/plan.hpp"
#include "fastconv/threads.hpp"
#include "kernels/kernels.hpp"

using namespace fastconv;

namespace {

std::vector<ConvProblem> layers(DType dtype) {
  std::vector<ConvProblem> list;
  const auto add = [&](auto&& change) {
    ConvProblem p;
    p.dtype = dtype;
    p.C = 5;
    p.H = 9;
    p.W = 11;
    p.K = 7;
    p.R = p.S = 3;
    p.pad_top = p.pad_bottom = p.pad_left = p.pad_right = 1;
    change(p);
    list.push_back(p);
  };
  add([](ConvProblem&) {});
  add([](ConvProblem& p) { p.N = 3, p.C = 33, p.K = 40, p.H = 19, p.W = 17; });
  add([](ConvProblem& p) { p.stride_h = 2, p.stride_w = 3, p.pad_left = 0; });
  add([](ConvProblem& p) { p.dilation_h = 2, p.dilation_w = 3, p.pad_right = 7; });
  add([](ConvProblem& p) { p.C = 6, p.K = 4, p.groups = 2; });
  add([](ConvProblem& p) { p.C = p.groups = 6, p.K = 12, p.stride_h = p.stride_w = 2; });
  add([](ConvProblem& p) { p.C = p.K = p.groups = 9, p.H = p.W = 30; });
  add([](ConvProblem& p) { p.R = p.S = 1, p.pad_top = p.pad_bottom = p.pad_left = p.pad_right = 0; });
  add([](ConvProblem& p) { p.R = p.S = 1, p.stride_h = 2, p.C = 70, p.K = 50; });
  add([](ConvProblem& p) { p.R = 1, p.S = 6, p.pad_left = 9; });
  add([](ConvProblem& p) { p.H = p.W = 1; });
  add([](ConvProblem& p) { p.C = p.K = 8, p.H = p.W = 4; });  // rows shorter than a vector, many of them
  add([](ConvProblem& p) { p.C = p.K = 8, p.H = p.W = 3; });
  add([](ConvProblem& p) { p.H = 40, p.W = 37, p.R = 17, p.S = 20, p.pad_left = 9; });  // tiles of spectra
  add([](ConvProblem& p) { p.C = p.K = p.groups = 3, p.H = 70, p.W = 41, p.R = 33, p.S = 31, p.pad_top = 16; });
  add([](ConvProblem& p) {  // kernels over the image
    p.C = p.groups = 3, p.K = 6, p.H = 7, p.W = 9, p.R = 13, p.S = 15;
    p.pad_top = p.pad_bottom = 6, p.pad_left = p.pad_right = 8;
  });
  add([](ConvProblem& p) {
    p.R = p.S = 1, p.C = 40, p.K = 60, p.pad_top = p.pad_bottom = p.pad_left = p.pad_right = 0;
  });
  add([](ConvProblem& p) { p.N = 0; });
  return list;
}

template <class T>
void compare(const Algorithm& algorithm, const ConvProblem& p) {
  std::mt19937 generator(1);
  std::normal_distribution<double> normal;
  const auto filled = [&](Extent size) {
    std::vector<T> values(static_cast<std::size_t>(size));
    for (T& value : values) value = T(normal(generator));
    return values;
  };
  const std::vector<T> x = filled(p.input_size()), w = filled(p.weight_size()), bias = filled(p.K);
  const Activation activation{ActivationKind::clip, -2.0, 3.0};
  const std::size_t size = static_cast<std::size_t>(p.output_size());
  std::vector<T> expected(size), y(size), once(size), two(size);
  CHECK(Plan(p, *find_algorithm("reference"), w.data(), bias.data(), activation).run(x.data(), expected.data()));

  const Plan plan(p, algorithm, w.data(), bias.data(), activation);
  set_num_threads(1);
  CHECK(plan.run(x.data(), y.data()));
  CHECK(run_once(p, algorithm, activation, x.data(), w.data(), bias.data(), once.data()));
  set_num_threads(2);
  CHECK(plan.run(x.data(), two.data()));

  const double unit = sizeof(T) == 4 ? 1.2e-7 : 2.3e-16;
  // In epsilons of the output's rms: the largest of a few hundred errors is at most some 15 times their rms.
  const double epsilons = algorithm.expected_error ? 25 * algorithm.expected_error(p) : 60;
  const double bound = epsilons * unit * std::sqrt(double(p.taps()));
  double worst = 0;
  for (std::size_t i = 0; i < size; ++i) worst = std::max(worst, double(std::abs(y[i] - expected[i])));
  if (!(worst <= bound))
    std::fprintf(stderr, "%s on %s, %s: error %g, bound %g\n", algorithm.name, active_isa(), name_of(p.dtype), worst,
                 bound);
  CHECK(worst <= bound);
  CHECK(size == 0 || std::memcmp(y.data(), once.data(), size * sizeof(T)) == 0);
  CHECK(size == 0 || std::memcmp(y.data(), two.data(), size * sizeof(T)) == 0);
}

// With exactly the memory that the algorithm asks for, so that the address sanitizer sees what is touched behind it: a
// call's own workspace is often larger, left by an earlier one.
template <class T>
void run_in_own_memory(const Algorithm& algorithm, const ConvProblem& p) {
  const auto& implementation = [&]() -> const Implementation<T>& {
    if constexpr (sizeof(T) == 4)
      return algorithm.f32;
    else
      return algorithm.f64;
  }();
  if (p.N == 0) return;
  const Resources resources{&active_kernels(), 1};
  const std::vector<T> x(std::size_t(p.input_size()), T(1)), w(std::size_t(p.weight_size()), T(1));
  std::vector<T> y(std::size_t(p.output_size())), bias(std::size_t(p.K));
  const AlignedBuffer packed(algorithm.packed_bytes(p, *resources.kernels)),
      workspace(algorithm.workspace(p, resources));
  implementation.pack(p, *resources.kernels, w.data(), packed.data());
  const Epilogue<T> epilogue{bias.data(), T(-1e9), T(1e9), ActivationKind::clip, T(0)};
  CHECK(implementation.run({p, resources, x.data(), packed.data(), y.data(), workspace.data(), epilogue}));
}

template <class T>
void product() {
  const long long M = 37, N = 301, K = 523;
  std::vector<T> a(M * K), b(K * N), c(M * N);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = T(int(i % 7) - 3);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = T(int(i % 5) - 2);
  CHECK(matrix_product(dtype_of<T>, M, N, K, a.data(), b.data(), c.data()));
  bool exact = true;
  for (long long i = 0; i < M; ++i)
    for (long long j = 0; j < N; ++j) {
      T sum = 0;
      for (long long k = 0; k < K; ++k) sum += a[i * K + k] * b[k * N + j];
      exact = exact && sum == c[i * N + j];
    }
  CHECK(exact);
}

void refusals() {
  ConvProblem p;
  p.R = p.S = 5;
  const float one = 1;
  bool thrown = false;
  try {
    Plan(p, *find_algorithm("direct"), &one, nullptr, {});
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  CHECK(thrown);
  p = {};
  p.C = p.H = p.W = p.K = Extent{1} << 39;
  CHECK(!invalid(p).empty());
  CHECK(find_algorithm("no such algorithm") == nullptr);
  CHECK(!set_isa("no such isa").empty());
}

}  // namespace

int main() {
  for (const char* isa : available_isas()) {
    CHECK(set_isa(isa).empty());
    for (const Algorithm* algorithm : algorithms()) {
      for (const ConvProblem& p : layers(DType::float32))
        if (algorithm->rejects(p).empty()) compare<float>(*algorithm, p), run_in_own_memory<float>(*algorithm, p);
      for (const ConvProblem& p : layers(DType::float64))
        if (algorithm->rejects(p).empty()) compare<double>(*algorithm, p), run_in_own_memory<double>(*algorithm, p);
    }
    product<float>();
    product<double>();
  }
  refusals();
  return failures != 0;
}
