// Layers of every kind against sums one by one: gradients by the weights, drawn forward and transposed layers of up to
// three axes as programs, as plans, and as one product. On every ISA, in both types and layouts, for one thread and
// two; also built with the address and undefined-behaviour sanitizers.
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "definition.hpp"
#include "fastconv/isa.hpp"
#include "fastconv/memory.hpp"
#include "fastconv/plan.hpp"
#include "fastconv/spread_product.hpp"
#include "fastconv/threads.hpp"
#include "fastconv/weight_gradient.hpp"

using namespace fastconv;

namespace {

template <class T>
std::vector<T> filled(Extent size) {
  static std::mt19937 generator(1);
  std::normal_distribution<double> normal;
  std::vector<T> values(static_cast<std::size_t>(size));
  for (T& value : values) value = T(normal(generator));
  return values;
}

// Calls f into an array of `size` values, with one thread and with two: the same bits, near to `expected`.
template <class T, class F>
void compare(const std::vector<double>& expected, F&& f) {
  std::vector<T> one(expected.size(), T(7)), two(expected.size(), T(9));
  set_num_threads(1);
  CHECK(f(one.data()));
  set_num_threads(2);
  CHECK(f(two.data()));
  CHECK(one.empty() || std::memcmp(one.data(), two.data(), one.size() * sizeof(T)) == 0);
  double worst = 0, rms = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    worst = std::max(worst, std::abs(double(one[i]) - expected[i]));
    rms += expected[i] * expected[i] / double(one.size());
  }
  CHECK(worst <= (sizeof(T) == 4 ? 1e-4 : 1e-12) * std::sqrt(rms + 1));
}

// Each product of a convolution: f(image, filter, group's channel, output, tap, input), outputs and inputs in pixels.
template <class F>
void each_product(const ConvProblem& p, F&& f) {
  const Extent Cg = p.C_per_group(), Kg = p.K_per_group();
  for (Extent n = 0; n < p.N; ++n)
    for (Extent k = 0; k < p.K; ++k)
      for (Extent c = 0; c < Cg; ++c)
        for (Extent y = 0; y < p.P(); ++y)
          for (Extent x = 0; x < p.Q(); ++x)
            for (Extent r = 0; r < p.R; ++r)
              for (Extent s = 0; s < p.S; ++s) {
                const Extent h = y * p.stride_h + r * p.dilation_h - p.pad_top;
                const Extent w = x * p.stride_w + s * p.dilation_w - p.pad_left;
                if (h < 0 || h >= p.H || w < 0 || w >= p.W) continue;
                const TensorSteps in = p.input_steps(), out = p.output_steps();
                f(n * in.image + (k / Kg * Cg + c) * in.channel + h * in.row + w * in.pixel,
                  ((k * Cg + c) * p.R + r) * p.S + s, n * out.image + k * out.channel + y * out.row + x * out.pixel);
              }
}

template <class T>
void gradient(const ConvProblem& p) {
  const std::vector<T> x = filled<T>(p.input_size()), dy = filled<T>(p.output_size());
  std::vector<double> dw(std::size_t(p.weight_size()));
  each_product(p, [&](Extent in, Extent w, Extent out) {
    dw[std::size_t(w)] += double(x[std::size_t(in)]) * double(dy[std::size_t(out)]);
  });
  compare<T>(dw, [&](T* to) { return weight_gradient(p, x.data(), dy.data(), to); });
}

template <class T>
void gradients(Layout layout) {
  const auto with = [&](auto&& change) {
    ConvProblem p;
    p.dtype = dtype_of<T>;
    p.layout = layout;
    p.N = 2, p.C = 6, p.H = 13, p.W = 21, p.K = 8, p.R = p.S = 3, p.pad_top = p.pad_left = p.pad_right = 1;
    change(p);
    gradient<T>(p);
  };
  with([](ConvProblem&) {});
  with([](ConvProblem& p) { p.C = 2, p.R = 5, p.S = 4, p.stride_h = 2, p.stride_w = 3; });
  with([](ConvProblem& p) { p.R = p.S = 1, p.pad_top = p.pad_left = p.pad_right = 0, p.C = 37, p.K = 70; });
  with([](ConvProblem& p) { p.groups = 2, p.dilation_h = 2, p.dilation_w = 3; });
  with([](ConvProblem& p) { p.groups = p.K = p.C = 19; });
  with([](ConvProblem& p) { p.groups = p.K = p.C = 5, p.stride_w = 2, p.dilation_w = 3, p.pad_left = 9; });
  with([](ConvProblem& p) { p.groups = 6, p.K = 12, p.stride_h = 3, p.stride_w = 4; });
  with([](ConvProblem& p) { p.groups = p.K = p.C, p.H = 1, p.R = 1, p.W = 4700, p.S = 11, p.pad_top = 0; });
  with([](ConvProblem& p) { p.groups = p.K = p.C, p.H = 70, p.W = 90; });
  with([](ConvProblem& p) { p.N = 0; });
}

template <class T>
std::vector<T> rounded(const definition::Values& values) {
  return {values.begin(), values.end()};
}

// A layer by everything that computes layers: programs, plans, and transposed ones as one product.
template <class T>
void layer(const Layer& l, definition::Draw& draw) {
  const definition::Values x = draw.values(l.input_size()), w = draw.values(l.weight_size()), b = draw.values(l.K);
  const definition::Values r = draw.values(l.output_size());
  const std::vector<T> from = rounded<T>(x), weight = rounded<T>(w), bias = rounded<T>(b), residual = rounded<T>(r);
  const std::vector<double> plain = definition::by_definition(l, x, w, b);
  std::vector<double> finished = plain;
  const Activation relu{ActivationKind::clip, 0, __builtin_huge_val()};
  for (std::size_t i = 0; i < finished.size(); ++i) finished[i] = std::max(0.0, plain[i] + r[i]);
  if (l.kind == Kind::transposed)
    compare<T>(plain, [&](T* y) { return spread_product(l, {}, from.data(), weight.data(), bias.data(), y); });
  for (const bool splits : {false, true})
    for (const char* name : {"direct", "im2col"}) {
      const Lowering lowering = lower(l, {splits});
      const std::vector<Choice> choices(lowering.part_count(), Choice{find_algorithm(name)});
      const auto program = std::make_shared<const Program>(lowering, choices, relu);
      const Plan plan(program, weight.data(), bias.data());
      compare<T>(finished, [&](T* y) {
        return program->run_once(from.data(), weight.data(), bias.data(), y, {residual.data()});
      });
      compare<T>(finished, [&](T* y) {
        std::copy(residual.begin(), residual.end(), y);
        return program->run_once(from.data(), weight.data(), bias.data(), y, {y});
      });
      compare<T>(finished, [&](T* y) {
        std::copy(residual.begin(), residual.end(), y);
        return plan.run(from.data(), y, {y});
      });
      const Program linear(lowering, choices, {});
      compare<T>(plain, [&](T* y) { return linear.run_once(from.data(), weight.data(), bias.data(), y, {}); });
      compare<T>(plain, [&](T* y) {
        return Plan(std::make_shared<const Program>(lowering, choices, Activation{}), weight.data(), bias.data())
            .run(from.data(), y);
      });
    }
}

template <class T>
void layers(Layout layout) {
  definition::Draw draw(7);
  for (int drawn = 0; drawn < 40;) {
    Layer l;
    if (!draw.layer(l)) continue;
    ++drawn;
    l.dtype = dtype_of<T>, l.layout = layout;
    layer<T>(l, draw);
  }
  Layer l{Kind::transposed, dtype_of<T>, layout, 1, 90, 70, 1, {}};  // by stride 1, weights packed as they lie
  l.axes[1] = {9, 3, 9, 1, 1, 1, 1};
  layer<T>(l, draw);
  l.axes[2] = {8, 4, 16, 2, 1, 1, 1};  // two phases, zipped
  layer<T>(l, draw);
  l = {Kind::transposed, dtype_of<T>, layout, 1, 8, 2, 1, {}};  // a filter longer than a block, and chunks of a line
  l.axes[2] = {9, 1000, 1100, 256, 1, 400, 0};
  layer<T>(l, draw);
  l.N = 0;
  layer<T>(l, draw);
}

template <class T>
void all(Layout layout) {
  gradients<T>(layout);
  layers<T>(layout);
}

}  // namespace

int main() {
  for (const char* isa : available_isas()) {
    CHECK(set_isa(isa).empty());
    for (const Layout layout : {Layout::nchw, Layout::nhwc}) all<float>(layout), all<double>(layout);
  }
  const std::size_t kept = idle_bytes();
  CHECK(kept > 0 && kept <= most_idle_bytes());
  CHECK(release_memory() == kept);
  CHECK(idle_bytes() == 0 && release_memory() == 0);
  return failures != 0;
}
