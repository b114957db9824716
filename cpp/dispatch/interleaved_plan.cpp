#include "fastconv/interleaved_plan.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "dispatch/finish.hpp"
#include "dispatch/workspace.hpp"
#include "fastconv/threads.hpp"

namespace fastconv {

namespace {

// Some columns of some rows of the output, and where they come from: a plan's output, or blank values.
struct Source {
  const ConvProblem* problem;  // null: blank
  std::size_t at;  // bytes into workspace
  Extent filter;  // which multiple of K / groups, within a group, its filters begin at
  Extent skipped_rows;
  PhaseAxis columns;
};

// Rows of the output and all that they are made of: whole rows are written at a time.
struct Rows {
  PhaseAxis rows;  // `skip` belongs to the sources
  std::vector<Source> sources;
};

bool fits(const PhaseAxis& a, Extent from, Extent to) {
  return a.first >= 0 && a.step >= 1 && a.count >= 0 && a.skip >= 0 && a.count <= to && a.skip <= from &&
         a.skip + a.count <= from && (a.count == 0 || (a.first < to && a.count - 1 <= (to - 1 - a.first) / a.step));
}

// to[i * step] = from[i], a value being `width` of them: channels of NHWC.
template <class T>
void scatter(const T* __restrict from, T* __restrict to, Extent count, Extent step, Extent width, Extent from_ld,
             Extent to_ld) {
  if (width == 1 && from_ld == 1) {
    for (Extent i = 0; i < count; ++i) to[i * step * to_ld] = from[i];
    return;
  }
  for (Extent i = 0; i < count; ++i) std::copy_n(from + i * from_ld, width, to + i * step * to_ld);
}

template <class T>
void fill(const T* values, T* to, Extent count, Extent step, Extent width, Extent to_ld) {
  for (Extent i = 0; i < count; ++i) std::copy_n(values, width, to + i * step * to_ld);
}

// Two phases by a stride of two, which a compiler turns into shuffles.
template <class T>
void zip(const T* __restrict even, const T* __restrict odd, T* __restrict to, Extent pairs) {
  for (Extent i = 0; i < pairs; ++i) {
    to[2 * i] = even[i];
    to[2 * i + 1] = odd[i];
  }
}

constexpr Extent l1_values = 4096;

bool is_pair(const std::vector<Source>& sources) {
  const auto is_at = [&](std::size_t i, Extent first) {
    const Source& s = sources[i];
    return s.problem && s.columns.first == first && s.columns.step == 2;
  };
  return sources.size() == 2 && is_at(0, 0) && is_at(1, 1) && sources[1].columns.count <= sources[0].columns.count;
}

// Rows begin to end of those that `row` says, for `width` filters from k on. A source's rows follow one another, so
// that what is the same for all of them is found once. (Rows of 16 values took 30 ns each otherwise.)
template <class T>
void interleave_rows(const InterleavedShape& shape, Extent groups, const Rows& row, Extent begin, Extent end,
                     Extent image, Extent k, Extent width, const std::byte* workspace, const T* blank, T* output) {
  const bool nhwc = shape.layout == Layout::nhwc;
  const Extent Kg = shape.K / groups, to_ld = nhwc ? shape.K : 1, to_step = row.rows.step * shape.Q * to_ld;
  const Extent y = row.rows.first + begin * row.rows.step;
  T* const first =
      output + (nhwc ? (image * shape.P + y) * shape.Q * shape.K + k : ((image * shape.K + k) * shape.P + y) * shape.Q);
  const auto values = [&](const Source& source, const TensorSteps& steps) {
    const Extent filter = k / Kg * source.problem->K_per_group() + source.filter * Kg + k % Kg;
    return reinterpret_cast<const T*>(workspace + source.at) + image * steps.image + filter * steps.channel +
           (source.skipped_rows + begin) * steps.row + source.columns.skip * steps.pixel;
  };
  Extent done = 0;  // of each source
  if (!nhwc && is_pair(row.sources)) {
    const Source &even = row.sources[0], &odd = row.sources[1];
    const TensorSteps steps[] = {even.problem->output_steps(), odd.problem->output_steps()};
    const T *a = values(even, steps[0]), *b = values(odd, steps[1]);
    done = odd.columns.count;
    T* to = first;
    for (Extent i = begin; i < end; ++i, a += steps[0].row, b += steps[1].row, to += to_step) zip(a, b, to, done);
  }
  for (const Source& source : row.sources) {
    const PhaseAxis& columns = source.columns;
    if (columns.count == done) continue;
    T* to = first + (columns.first + done * columns.step) * to_ld;
    if (!source.problem) {
      for (Extent i = begin; i < end; ++i, to += to_step)
        fill(blank + k, to, columns.count, columns.step, width, to_ld);
      continue;
    }
    const TensorSteps steps = source.problem->output_steps();
    const T* from = values(source, steps) + done * steps.pixel;
    for (Extent i = begin; i < end; ++i, from += steps.row, to += to_step)
      scatter(from, to, columns.count - done, columns.step, width, steps.pixel, to_ld);
  }
}

}  // namespace

struct InterleavedPlan::State {
  InterleavedShape shape;
  std::vector<PhasedPlan> plans;
  BlankValues blank;
  Finish finish{};  // without arrays
  std::vector<Rows> rows;
  std::map<std::array<Extent, 3>, std::size_t> row_of;  // by first, step and count
  std::vector<std::size_t> at;  // of each plan's output in workspace
  std::size_t bytes = 0;
  Extent images = 1, groups = 1;  // of each plan
  bool direct = false, brief = false;

  void add(const Phase& phase, Source source) {
    if (phase.rows.count == 0 || phase.columns.count == 0) return;
    const PhaseAxis& r = phase.rows;
    const auto [known, is_new] = row_of.try_emplace({r.first, r.step, r.count}, rows.size());
    if (is_new) rows.push_back(Rows{r, {}});
    source.skipped_rows = r.skip;
    source.columns = phase.columns;
    rows[known->second].sources.push_back(source);
  }

  // In NCHW a task is a plane of the output; in NHWC an image, and a group's filters follow one another. With a
  // residual the plans have left the activation out: rows are given both when they are whole.
  template <class T>
  bool interleave(const std::byte* workspace, T* output, const void* residual, bool activated) const {
    const int threads = brief ? 1 : num_threads();
    const T* const values = blank.values<T>(activated && !residual);
    const Finish end{finish.kernels, activated ? finish.activation : Activation{}, output, residual};
    // Several sources write to the same lines of memory: as many rows at a time as L1 holds.
    const bool nchw = shape.layout == Layout::nchw;
    const Extent Kg = shape.K / groups, filters = nchw ? 1 : Kg, width = nchw ? shape.Q : shape.Q * shape.K;
    const Extent most = std::max<Extent>(1, l1_values / width);
    return parallel_for(nchw ? images * shape.K : images, threads, [&](Extent task, int) {
      const Extent image = nchw ? task / shape.K : task, first = nchw ? task % shape.K : 0;
      T* const whole = output + task * shape.P * width;
      for (const Rows& row : rows)
        for (Extent i = 0; i < row.rows.count; i += most) {
          const Extent last = std::min(row.rows.count, i + most);
          for (Extent k = first; k < (nchw ? first + 1 : shape.K); k += filters)
            interleave_rows(shape, groups, row, i, last, image, k, filters, workspace, values, output);
          if (residual)
            for (Extent r = i; r < last; ++r) end(whole + (row.rows.first + r * row.rows.step) * width, width);
        }
    });
  }
};

InterleavedPlan::InterleavedPlan(const InterleavedShape& shape, std::vector<PhasedPlan> plans, std::vector<Phase> blank,
                                 const void* bias, const Activation& activation)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.shape = shape;
  s.plans = std::move(plans);
  s.images = shape.N;
  s.brief = true;
  for (std::size_t i = 0; i < s.plans.size(); ++i) {
    const ConvProblem& p = s.plans[i].plan->problem();
    const Extent phases = Extent(s.plans[i].phases.size());
    if (i == 0) s.images = p.N, s.groups = p.groups;
    if (p.dtype != shape.dtype || p.layout != shape.layout || p.groups != s.groups || p.N != s.images ||
        p.K != shape.K * phases)
      throw std::invalid_argument("plans: expected the output's dtype, layout, images and filters in each of them");
    s.brief = s.brief && s.plans[i].plan->is_brief();
    s.at.push_back(s.bytes);
    s.bytes += round_up(std::size_t(p.output_size()) * size_of(p.dtype), cache_line);
    Extent filter = 0;
    for (const Phase& phase : s.plans[i].phases) {
      if (!fits(phase.rows, p.P(), shape.P) || !fits(phase.columns, p.Q(), shape.Q))
        throw std::invalid_argument("phases: expected outputs of the plan and of the whole");
      s.add(phase, Source{&p, s.at[i], filter++, 0, {}});
    }
  }
  if (shape.N && (s.images < 1 || shape.N % s.images))
    throw std::invalid_argument("plans: expected a divisor of the images");
  for (const Phase& phase : blank) {
    if (!fits(phase.rows, shape.P, shape.P) || !fits(phase.columns, shape.Q, shape.Q))
      throw std::invalid_argument("blank: expected outputs of the whole");
    s.add(phase, Source{nullptr, 0, 0, 0, {}});
  }
  s.finish = {&active_kernels(), activation, nullptr, nullptr};
  if (!blank.empty()) s.blank = BlankValues(shape.dtype, shape.K, bias, s.finish);
  const PhaseAxis all_rows{0, 1, shape.P, 0}, all_columns{0, 1, shape.Q, 0};
  if (s.plans.size() == 1 && s.plans[0].phases.size() == 1) {
    const Phase& only = s.plans[0].phases[0];
    const ConvProblem& p = s.plans[0].plan->problem();
    s.direct = only.rows == all_rows && only.columns == all_columns && p.P() == shape.P && p.Q() == shape.Q;
  }
  if (s.direct) s.bytes = 0;
}
InterleavedPlan::InterleavedPlan(InterleavedPlan&&) noexcept = default;
InterleavedPlan::~InterleavedPlan() = default;

bool InterleavedPlan::run(const void* input, void* output, const Ending& ending) const {
  const State& s = *state_;
  if (s.shape.N == 0) return true;
  const std::size_t item = size_of(s.shape.dtype);
  const Extent outputs = s.images * s.shape.K * s.shape.P * s.shape.Q;
  const std::size_t output_bytes = std::size_t(outputs) * item;  // of one run
  const Workspace workspace(s.bytes + (s.direct ? 0 : residual_copy_bytes(ending, output, output_bytes)));
  const Extent inputs = s.plans.empty() ? 0 : s.plans[0].plan->problem().input_size();
  for (Extent run = 0; run < s.shape.N / s.images; ++run) {
    const auto* from = static_cast<const std::byte*>(input) + std::size_t(run * inputs) * item;
    auto* to = static_cast<std::byte*>(output) + std::size_t(run * outputs) * item;
    const void* residual =
        ending.residual ? static_cast<const std::byte*>(ending.residual) + std::size_t(run) * output_bytes : nullptr;
    if (s.direct) {
      if (!s.plans[0].plan->run(from, to, {residual, ending.activated})) return false;
      continue;
    }
    for (std::size_t i = 0; i < s.plans.size(); ++i)
      if (!s.plans[i].plan->run(from, workspace.data() + s.at[i], {nullptr, ending.activated && !residual}))
        return false;
    const bool finished = with_type(s.shape.dtype, [&](auto t) {
      return keep_residual(residual, to, output_bytes, s.brief ? 1 : num_threads(), workspace.data() + s.bytes) &&
             s.interleave(workspace.data(), reinterpret_cast<decltype(t)*>(to), residual, ending.activated);
    });
    if (!finished) return false;
  }
  return true;
}

bool InterleavedPlan::is_brief() const { return state_->brief; }
DType InterleavedPlan::dtype() const { return state_->shape.dtype; }
std::size_t InterleavedPlan::packed_bytes() const {
  std::size_t bytes = 0;
  for (const PhasedPlan& phased : state_->plans) bytes += phased.plan->packed_bytes();
  return bytes;
}
Extent InterleavedPlan::input_values() const {
  const State& s = *state_;
  return s.plans.empty() || s.shape.N == 0 ? 0 : s.shape.N / s.images * s.plans[0].plan->input_values();
}
Extent InterleavedPlan::output_values() const {
  const InterleavedShape& s = state_->shape;
  return s.N * s.K * s.P * s.Q;
}
const InterleavedShape& InterleavedPlan::shape() const { return state_->shape; }
const std::vector<PhasedPlan>& InterleavedPlan::plans() const { return state_->plans; }
std::size_t InterleavedPlan::workspace_bytes() const { return state_->bytes; }

}  // namespace fastconv
