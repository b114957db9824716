// Convolutions of whole numbers without Python: every ISA's kernels against plain loops, exactly, for one thread and
// two. Also built with the address and undefined-behaviour sanitizers.
#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "fastconv/integer_plan.hpp"
#include "fastconv/isa.hpp"
#include "fastconv/threads.hpp"

using namespace fastconv;

namespace {

std::vector<ConvProblem> layers() {
  std::vector<ConvProblem> list;
  const auto add = [&](auto&& change) {
    ConvProblem p;
    p.N = 2;
    p.C = 6;
    p.H = 9;
    p.W = 11;
    p.K = 15;
    p.R = p.S = 3;
    p.pad_top = p.pad_bottom = p.pad_left = p.pad_right = 1;
    change(p);
    list.push_back(p);
  };
  add([](ConvProblem&) {});
  add([](ConvProblem& p) { p.C = 33, p.K = 16, p.H = 19, p.W = 37; });
  add([](ConvProblem& p) { p.stride_h = 2, p.stride_w = 3, p.pad_left = 0; });
  add([](ConvProblem& p) { p.dilation_h = 2, p.dilation_w = 3, p.pad_right = 7, p.pad_left = 9; });
  add([](ConvProblem& p) { p.C = 3, p.R = p.S = 7, p.stride_h = p.stride_w = 2, p.H = 40; });
  add([](ConvProblem& p) { p.K = 4, p.groups = 2; });
  add([](ConvProblem& p) { p.C = p.groups = 6, p.K = 12, p.stride_h = p.stride_w = 2; });
  add([](ConvProblem& p) { p.C = p.K = p.groups = 9, p.H = p.W = 30; });
  add([](ConvProblem& p) { p.C = 70, p.R = p.S = 1, p.pad_top = p.pad_bottom = p.pad_left = p.pad_right = 0; });
  add([](ConvProblem& p) { p.C = 260, p.K = 2, p.H = 12, p.W = 90; });  // several blocks
  add([](ConvProblem& p) { p.N = 0; });
  return list;
}

template <class X, class W>
void compare(const ConvProblem& p, int input_zero) {
  std::mt19937 generator(1);
  std::vector<X> x(std::size_t(p.input_size()));
  std::vector<W> w(std::size_t(p.weight_size()));
  std::vector<std::int32_t> zeros(std::size_t(p.K)), bias(zeros.size());
  std::vector<float> scale(zeros.size());
  for (X& value : x) value = X(generator());
  for (W& value : w) value = W(generator());
  for (std::size_t k = 0; k < zeros.size(); ++k) {
    zeros[k] = W(generator());
    bias[k] = int(generator() % 9999) - 5000;
    scale[k] = float(generator() % 1000) * 1e-6f;
  }
  const Extent Cg = p.C_per_group(), P = p.P(), Q = p.Q();
  const std::size_t size = std::size_t(p.output_size());
  std::vector<std::int32_t> expected(size), y(size);
  std::vector<std::uint8_t> bytes(size);
  std::size_t at = 0;
  for (Extent n = 0; n < p.N; ++n)
    for (Extent k = 0; k < p.K; ++k)
      for (Extent i = 0; i < P; ++i)
        for (Extent j = 0; j < Q; ++j) {
          int sum = bias[std::size_t(k)];
          for (Extent c = 0; c < Cg; ++c)
            for (Extent r = 0; r < p.R; ++r)
              for (Extent s = 0; s < p.S; ++s) {
                const Extent h = i * p.stride_h + r * p.dilation_h - p.pad_top;
                const Extent v = j * p.stride_w + s * p.dilation_w - p.pad_left;
                if (h < 0 || h >= p.H || v < 0 || v >= p.W) continue;
                const Extent channel = n * p.C + k / p.K_per_group() * Cg + c;
                sum += (x[std::size_t((channel * p.H + h) * p.W + v)] - input_zero) *
                       (w[std::size_t(((k * Cg + c) * p.R + r) * p.S + s)] - zeros[std::size_t(k)]);
              }
          expected[at++] = sum;
        }
  IntegerConvolution convolution{
      p, std::is_signed_v<X>, std::is_signed_v<W>, input_zero, zeros.data(), bias.data(), nullptr};
  const IntegerPlan sums(convolution, w.data());
  const Requantization requantization{scale.data(), 100, false};
  convolution.requantization = &requantization;
  const IntegerPlan scaled(convolution, w.data());
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    CHECK(sums.run(x.data(), y.data()));
    CHECK(y == expected);
    CHECK(scaled.run(x.data(), bytes.data()));
    bool same = true;
    for (std::size_t i = 0; i < size; ++i) {
      const double value = double(expected[i]) * double(scale[i / std::size_t(P * Q) % scale.size()]);
      same = same && bytes[i] == std::fmin(std::fmax(std::nearbyint(value) + 100, 0), 255);
    }
    CHECK(same);
  }
}

void refusals() {
  ConvProblem p;
  const std::int32_t zero = 300;
  const signed char weight = 1;
  bool thrown = false;
  try {
    IntegerPlan({p, false, true, 0, &zero, nullptr, nullptr}, &weight);
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  CHECK(thrown);
}

}  // namespace

int main() {
  for (const char* isa : available_isas()) {
    CHECK(set_isa(isa).empty());
    for (const ConvProblem& p : layers()) {
      compare<std::uint8_t, std::int8_t>(p, 255);
      compare<std::int8_t, std::uint8_t>(p, -128);
    }
  }
  refusals();
  return failures != 0;
}
