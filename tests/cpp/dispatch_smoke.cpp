// What is made of plans or beside them, against sums one by one: gradients by the weights, transposed convolutions as
// phases and as one product, volumes. On every ISA, in both types and layouts, for one thread and two; also built with
// the address and undefined-behaviour sanitizers.
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "fastconv/interleaved_plan.hpp"
#include "fastconv/isa.hpp"
#include "fastconv/memory.hpp"
#include "fastconv/spread_product.hpp"
#include "fastconv/stacked_plan.hpp"
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

// (C, K / groups, ...) filters on inputs, three axes.
template <class T>
std::vector<double> spread_truth(const SpreadShape& s, const std::vector<T>& x, const std::vector<T>& w,
                                 const std::vector<T>& bias) {
  const auto volume = [](const SpreadShape::Numbers& n) { return n[0] * n[1] * n[2]; };
  const Extent inputs = volume(s.extents), outputs = volume(s.outputs), Cg = s.C / s.groups, Kg = s.K / s.groups;
  const bool nhwc = s.layout == Layout::nhwc;
  const auto at = [&](Extent n, Extent c, Extent i, Extent channels, Extent pixels) {
    return std::size_t(nhwc ? (n * pixels + i) * channels + c : (n * channels + c) * pixels + i);
  };
  std::vector<double> y(std::size_t(s.N * s.K * outputs));
  for (Extent n = 0; n < s.N; ++n) {
    for (Extent k = 0; k < s.K; ++k)
      for (Extent o = 0; o < outputs; ++o) y[at(n, k, o, s.K, outputs)] = double(bias[std::size_t(k)]);
    for (Extent c = 0; c < s.C; ++c)
      for (Extent i = 0; i < inputs; ++i)
        for (Extent k = 0; k < Kg; ++k)
          for (Extent tap = 0; tap < volume(s.kernel); ++tap) {
            Extent out = 0, rest_i = i, rest_t = tap, unit = 1;
            bool inside = true;
            for (std::size_t axis = 3; axis-- > 0;) {
              const Extent o =
                  rest_i % s.extents[axis] * s.stride[axis] + rest_t % s.kernel[axis] * s.dilation[axis] - s.pads[axis];
              inside = inside && o >= 0 && o < s.outputs[axis];
              out += o * unit, unit *= s.outputs[axis];
              rest_i /= s.extents[axis], rest_t /= s.kernel[axis];
            }
            if (inside)
              y[at(n, c / Cg * Kg + k, out, s.K, outputs)] +=
                  double(x[at(n, c, i, s.C, inputs)]) * double(w[std::size_t((c * Kg + k) * volume(s.kernel) + tap)]);
          }
  }
  return y;
}

template <class T>
void product(Layout layout) {
  const auto with = [&](Extent N, Extent C, Extent K, Extent groups, auto... axes) {
    const SpreadShape s{dtype_of<T>, layout, N, C, K, groups, axes...};
    const auto volume = [](const SpreadShape::Numbers& n) { return n[0] * n[1] * n[2]; };
    const std::vector<T> x = filled<T>(N * C * volume(s.extents)), bias = filled<T>(K);
    const std::vector<T> w = filled<T>(C * (K / groups) * volume(s.kernel));
    compare<T>(spread_truth(s, x, w, bias),
               [&](T* y) { return spread_product(s, {}, x.data(), w.data(), bias.data(), y); });
  };
  using A = SpreadShape::Numbers;
  with(1, 40, 33, 1, A{1, 1, 1}, A{1, 4, 4}, A{1, 4, 4}, A{1, 1, 1}, A{1, 1, 1}, A{});
  with(2, 12, 10, 2, A{1, 5, 6}, A{1, 4, 4}, A{1, 10, 12}, A{1, 2, 2}, A{1, 1, 1}, A{0, 1, 1});
  with(1, 700, 3, 1, A{1, 1, 600}, A{1, 1, 16}, A{1, 1, 4800}, A{1, 1, 8}, A{1, 1, 1}, A{0, 0, 4});
  with(1, 8, 2, 1, A{1, 1, 9}, A{1, 1, 1000}, A{1, 1, 1100}, A{1, 1, 256}, A{1, 1, 1}, A{0, 0, 400});
  with(3, 6, 4, 1, A{2, 3, 4}, A{3, 2, 3}, A{7, 7, 13}, A{2, 3, 2}, A{2, 1, 3}, A{1, 0, 0});
  with(0, 6, 4, 1, A{1, 1, 1}, A{1, 1, 1}, A{1, 1, 1}, A{1, 1, 1}, A{1, 1, 1}, A{});
}

// 4 taps by stride 2 along rows, 3 along columns: phases with equal and with different numbers of taps.
template <class T>
void phases(Layout layout) {
  const Extent N = 2, C = 5, K = 6, H = 4, W = 5;
  const SpreadShape s{dtype_of<T>, layout,    N,          C,         K,         1,
                      {1, H, W},   {1, 4, 3}, {1, 8, 10}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1}};
  const std::vector<T> x = filled<T>(N * C * H * W), w = filled<T>(C * K * 12), bias = filled<T>(K);
  // Output y takes tap r of input i with y + 1 = 2 i + r.
  struct Part {
    std::vector<std::vector<Extent>> taps;
    PhaseAxis phase;
    Extent before, after;
  };
  const Part rows[] = {{{{3, 1}}, {0, 2, 4, 0}, 1, 0}, {{{2, 0}}, {1, 2, 4, 0}, 0, 1}};
  const Part columns[] = {{{{1}}, {0, 2, 5, 0}, 0, 0}, {{{2, 0}}, {1, 2, 5, 0}, 0, 1}};
  std::vector<PhasedPlan> plans;
  for (const Part& row : rows)
    for (const Part& column : columns) {
      ConvProblem p;
      p.dtype = dtype_of<T>, p.layout = layout;
      p.N = N, p.C = C, p.H = H, p.W = W, p.K = K, p.R = 2, p.S = Extent(column.taps[0].size());
      p.pad_top = row.before, p.pad_bottom = row.after, p.pad_left = column.before, p.pad_right = column.after;
      std::vector<T> filters(std::size_t(p.weight_size()));
      CHECK(phase_filters(p.dtype, w.data(), 1, C, K, 4, 3, row.taps, column.taps, filters.data()));
      auto plan = std::make_shared<Plan>(p, *find_algorithm("direct"), filters.data(), bias.data(), Activation{});
      plans.push_back({std::move(plan), {{row.phase, column.phase}}});
    }
  const InterleavedPlan plan({dtype_of<T>, layout, N, K, 8, 10}, plans, {}, nullptr, {});
  compare<T>(spread_truth(s, x, w, bias), [&](T* y) { return plan.run(x.data(), y); });
  bool thrown = false;
  try {
    InterleavedPlan({dtype_of<T>, layout, N, K, 7, 10}, plans, {}, nullptr, {});
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  CHECK(thrown);
}

// By stride 1 there is one phase: filters brought into order in the call, by algorithms that take them as they lie and
// by others.
template <class T>
void one_phase(Layout layout, Extent C, Extent K) {
  const SpreadShape s{dtype_of<T>, layout,    2,         C,         K,         1,
                      {1, 9, 8},   {1, 3, 2}, {1, 9, 7}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}};
  ConvProblem p;
  p.dtype = dtype_of<T>, p.layout = layout;
  p.N = 2, p.C = C, p.H = 9, p.W = 8, p.K = K, p.R = 3, p.S = 2, p.pad_top = p.pad_bottom = 1;
  const std::vector<T> x = filled<T>(p.input_size()), w = filled<T>(p.weight_size()), bias = filled<T>(K);
  const std::vector<double> expected = spread_truth(s, x, w, bias);
  for (const char* name : {"direct", "im2col"})
    compare<T>(expected, [&](T* y) {
      return run_phase_once(p, *find_algorithm(name), {}, x.data(), w.data(), 3, 2, {2, 1, 0}, {1, 0}, bias.data(), y);
    });
}

// Kernels of 3 planes and one pixel, padded by a plane of zeros on either side.
template <class T>
void stacks(Layout layout) {
  const Extent N = 2, C = 6, K = 4, D = 5, groups = 2, taps = 3, pixels = 7, Cg = C / groups;
  ConvProblem p;
  p.dtype = dtype_of<T>, p.layout = layout;
  p.N = 1, p.C = C * taps, p.W = pixels, p.K = K, p.groups = groups;
  const std::vector<T> x = filled<T>(N * C * D * pixels), w = filled<T>(p.weight_size()), bias(std::size_t(K), T(0));
  const auto at = [&](Extent n, Extent c, Extent d, Extent i, Extent channels) {
    return std::size_t(layout == Layout::nhwc ? ((n * D + d) * pixels + i) * channels + c
                                              : ((n * channels + c) * D + d) * pixels + i);
  };
  std::vector<double> y(std::size_t(N * K * D * pixels));
  for (Extent n = 0; n < N; ++n)
    for (Extent k = 0; k < K; ++k)
      for (Extent d = 0; d < D; ++d)
        for (Extent i = 0; i < pixels; ++i)
          for (Extent c = 0; c < Cg; ++c)
            for (Extent m = 0; m < taps; ++m) {
              const Extent channel = layout == Layout::nhwc ? m * Cg + c : c * taps + m;
              if (d + m - 1 >= 0 && d + m - 1 < D)
                y[at(n, k, d, i, K)] += double(x[at(n, k / (K / groups) * Cg + c, d + m - 1, i, C)]) *
                                        double(w[std::size_t(k * Cg * taps + channel)]);
            }
  auto plan = std::make_shared<Plan>(p, *find_algorithm("direct"), w.data(), bias.data(), Activation{});
  const StackShape shape{dtype_of<T>, layout, N, C, D, pixels, K, D, pixels, groups};
  const StackedPlan stacked(shape, {{plan, 0, 1, D, 1, taps, -1, 1, 1}}, nullptr, {});
  compare<T>(y, [&](T* to) { return stacked.run(x.data(), to); });
}

template <class T>
void all(Layout layout) {
  gradients<T>(layout);
  product<T>(layout);
  phases<T>(layout);
  one_phase<T>(layout, 3, 5);
  one_phase<T>(layout, 90, 70);
  stacks<T>(layout);
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
