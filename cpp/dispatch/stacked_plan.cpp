#include "fastconv/stacked_plan.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "dispatch/finish.hpp"
#include "dispatch/workspace.hpp"
#include "fastconv/threads.hpp"

namespace fastconv {

namespace {

bool is_within(const StackPhase& p, Extent planes) {
  return p.first >= 0 && p.step >= 1 && p.count >= 0 && p.portion >= 1 && p.count % p.portion == 0 && p.taps >= 0 &&
         (p.count == 0 || (p.first < planes && p.count - 1 <= (planes - 1 - p.first) / p.step));
}

// The images of a portion of planes, from output plane j on.
template <class T>
bool stack(const StackShape& s, const StackPhase& phase, Extent j, int threads, const T* volume, T* images) {
  const Extent Cg = s.C / s.groups, channels = phase.taps * s.C;
  const auto input_plane = [&](Extent i, Extent m) {
    return phase.start + (j + i) * phase.plane_step + m * phase.tap_step;
  };
  if (s.layout == Layout::nhwc)
    return parallel_for(phase.portion * phase.taps, threads, [&](Extent task, int) {
      const Extent i = task / phase.taps, m = task % phase.taps, d = input_plane(i, m);
      const bool inside = d >= 0 && d < s.D;
      const T* from = volume + (inside ? d : 0) * s.pixels * s.C;
      for (Extent pixel = 0; pixel < s.pixels; ++pixel, from += s.C) {
        T* to = images + (i * s.pixels + pixel) * channels + m * Cg;
        for (Extent g = 0; g < s.groups; ++g, to += phase.taps * Cg)
          inside ? std::copy_n(from + g * Cg, Cg, to) : std::fill_n(to, Cg, T(0));
      }
    });
  return parallel_for(phase.portion * s.groups * phase.taps, threads, [&](Extent task, int) {
    const Extent m = task % phase.taps, g = task / phase.taps % s.groups, i = task / phase.taps / s.groups;
    const Extent d = input_plane(i, m);
    T* const to = images + (i * channels + g * Cg * phase.taps + m) * s.pixels;
    const bool inside = d >= 0 && d < s.D;
    for (Extent c = 0; c < Cg; ++c) {
      T* const plane = to + c * phase.taps * s.pixels;
      inside ? std::copy_n(volume + ((g * Cg + c) * s.D + d) * s.pixels, s.pixels, plane)
             : std::fill_n(plane, s.pixels, T(0));
    }
  });
}

// Planes from j on into the volume, from outputs as an operation makes them; `end` goes over them, if not null.
template <class T>
bool unstack(const StackShape& s, const StackPhase& phase, Extent j, int threads, const T* outputs, T* volume,
             const Finish* end) {
  if (s.layout == Layout::nhwc)
    return parallel_for(phase.portion, threads, [&](Extent i, int) {
      const Extent size = s.out_pixels * s.K;
      T* const to = volume + (phase.first + (j + i) * phase.step) * size;
      std::copy_n(outputs + i * size, size, to);
      if (end) (*end)(to, size);
    });
  return parallel_for(phase.portion * s.K, threads, [&](Extent task, int) {
    const Extent i = task / s.K, k = task % s.K, plane = phase.first + (j + i) * phase.step;
    T* const to = volume + (k * s.planes + plane) * s.out_pixels;
    std::copy_n(outputs + task * s.out_pixels, s.out_pixels, to);
    if (end) (*end)(to, s.out_pixels);
  });
}

template <class T>
void blank_plane(const StackShape& s, Extent plane, const T* values, T* volume, const Finish* end) {
  const bool nhwc = s.layout == Layout::nhwc;
  for (Extent i = 0; i < (nhwc ? s.out_pixels : s.K); ++i) {
    T* const to = volume + (nhwc ? (plane * s.out_pixels + i) * s.K : (i * s.planes + plane) * s.out_pixels);
    nhwc ? std::copy_n(values, s.K, to) : std::fill_n(to, s.out_pixels, values[i]);
    if (end) (*end)(to, nhwc ? s.K : s.out_pixels);
  }
}

}  // namespace

struct StackedPlan::State {
  StackShape shape;
  std::vector<StackPhase> phases;
  BlankValues blank;
  Finish finish{};  // without arrays
  std::size_t images_bytes = 0, outputs_bytes = 0;
  bool brief = true;

  // Planes of NHWC follow one another as the operation writes them.
  bool is_direct(const StackPhase& phase) const { return shape.layout == Layout::nhwc && phase.step == 1; }

  template <class T>
  bool run(const T* input, T* output, const Ending& ending) const {
    const std::size_t all_bytes = std::size_t(shape.N * shape.K * shape.planes * shape.out_pixels) * sizeof(T);
    const Workspace workspace(images_bytes + outputs_bytes + residual_copy_bytes(ending, output, all_bytes));
    T* const images = reinterpret_cast<T*>(workspace.data());
    T* const outputs = reinterpret_cast<T*>(workspace.data() + images_bytes);
    const int threads = brief ? 1 : num_threads();
    const void* residual = ending.residual;
    if (!keep_residual(residual, output, all_bytes, threads, workspace.data() + images_bytes + outputs_bytes))
      return false;
    const Finish all{finish.kernels, ending.activated ? finish.activation : Activation{}, output, residual};
    const Finish* const end = residual ? &all : nullptr;
    const bool activated = ending.activated && !residual;
    for (Extent n = 0; n < shape.N; ++n) {
      const T* const from = input + n * shape.C * shape.D * shape.pixels;
      T* const to = output + n * shape.K * shape.planes * shape.out_pixels;
      for (const StackPhase& phase : phases) {
        if (!phase.operation) {
          for (Extent j = 0; j < phase.count; ++j)
            blank_plane(shape, phase.first + j * phase.step, blank.values<T>(activated), to, end);
          continue;
        }
        for (Extent j = 0; j < phase.count; j += phase.portion) {
          const bool direct = is_direct(phase);
          T* const made = direct ? to + (phase.first + j) * shape.out_pixels * shape.K : outputs;
          const void* const added = residual && direct ? static_cast<const T*>(residual) + (made - output) : nullptr;
          const Ending own{added, direct ? ending.activated : activated};
          if (!stack(shape, phase, j, threads, from, images) || !phase.operation->run(images, made, own) ||
              (!direct && !unstack(shape, phase, j, threads, outputs, to, end)))
            return false;
        }
      }
    }
    return true;
  }
};

StackedPlan::StackedPlan(const StackShape& shape, std::vector<StackPhase> phases, const void* bias,
                         const Activation& activation)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.shape = shape;
  s.phases = std::move(phases);
  const std::size_t item = size_of(shape.dtype);
  if (shape.groups < 1 || shape.C % shape.groups) throw std::invalid_argument("groups: expected a divisor of C");
  for (const StackPhase& phase : s.phases) {
    if (!is_within(phase, shape.planes)) throw std::invalid_argument("phases: expected planes of the output");
    if (!phase.operation) continue;
    if (phase.operation->dtype() != shape.dtype) throw std::invalid_argument("phases: expected one dtype");
    s.brief = s.brief && phase.operation->is_brief() && s.phases.size() * std::size_t(phase.count * shape.N) == 1;
    const auto bytes = [&](Extent values) { return round_up(std::size_t(phase.portion * values) * item, cache_line); };
    s.images_bytes = std::max(s.images_bytes, bytes(phase.taps * shape.C * shape.pixels));
    if (!s.is_direct(phase)) s.outputs_bytes = std::max(s.outputs_bytes, bytes(shape.K * shape.out_pixels));
  }
  s.finish = {&active_kernels(), activation, nullptr, nullptr};
  const auto is_blank = [](const StackPhase& phase) { return phase.operation == nullptr; };
  if (std::any_of(s.phases.begin(), s.phases.end(), is_blank))
    s.blank = BlankValues(shape.dtype, shape.K, bias, s.finish);
}
StackedPlan::StackedPlan(StackedPlan&&) noexcept = default;
StackedPlan::~StackedPlan() = default;

bool StackedPlan::run(const void* input, void* output, const Ending& ending) const {
  return with_type(state_->shape.dtype, [&](auto t) {
    using T = decltype(t);
    return state_->run(static_cast<const T*>(input), static_cast<T*>(output), ending);
  });
}

bool StackedPlan::is_brief() const { return state_->brief; }
DType StackedPlan::dtype() const { return state_->shape.dtype; }
std::size_t StackedPlan::packed_bytes() const {
  std::size_t bytes = 0;
  for (const StackPhase& phase : state_->phases) bytes += phase.operation ? phase.operation->packed_bytes() : 0;
  return bytes;
}
Extent StackedPlan::input_values() const {
  const StackShape& s = state_->shape;
  return s.N * s.C * s.D * s.pixels;
}
Extent StackedPlan::output_values() const {
  const StackShape& s = state_->shape;
  return s.N * s.K * s.planes * s.out_pixels;
}
const StackShape& StackedPlan::shape() const { return state_->shape; }
std::size_t StackedPlan::workspace_bytes() const { return state_->images_bytes + state_->outputs_bytes; }

}  // namespace fastconv
