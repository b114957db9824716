#include <algorithm>
#include <array>
#include <map>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "dispatch/passes.hpp"

namespace fastconv {

namespace {

// Several phases write to the same lines of memory: as many rows at a time as L1 holds.
constexpr Extent l1_values = 4096;

// to[i * step] = from[i], a value being `width` of them: channels of NHWC.
template <class T>
void spread(const T* __restrict from, T* __restrict to, Extent count, Extent step, Extent width, Extent from_ld,
            Extent to_ld) {
  if (width == 1 && from_ld == 1) {
    for (Extent i = 0; i < count; ++i) to[i * step * to_ld] = from[i];
    return;
  }
  for (Extent i = 0; i < count; ++i) std::copy_n(from + i * from_ld, width, to + i * step * to_ld);
}

// Two phases by a stride of two, which a compiler turns into shuffles.
template <class T>
void zip(const T* __restrict even, const T* __restrict odd, T* __restrict to, Extent pairs) {
  for (Extent i = 0; i < pairs; ++i) {
    to[2 * i] = even[i];
    to[2 * i + 1] = odd[i];
  }
}

// Which of a run's places lie in [begin, end).
struct Places {
  Extent first, last;
  Places(const Run& run, Extent begin, Extent end)
      : first(std::clamp<Extent>(ceil_div(begin - run.first, run.step), 0, run.count)),
        last(std::clamp<Extent>(ceil_div(end - run.first, run.step), first, run.count)) {}
  static Extent ceil_div(Extent a, Extent b) { return a <= 0 ? 0 : (a + b - 1) / b; }
};

}  // namespace

Scatter::Scatter(const Stage& stage) {
  std::map<std::array<Extent, 3>, std::size_t> row_of;  // by first, step and count
  for (std::size_t i = 0; i < stage.parts.size(); ++i)
    for (std::size_t f = 0; f < stage.parts[i].targets.size(); ++f) {
      const auto& [rows, columns] = stage.parts[i].targets[f];
      const auto [known, is_new] = row_of.try_emplace({rows.first, rows.step, rows.count}, rows_.size());
      if (is_new) rows_.push_back({rows, {}});
      rows_[known->second].phases.push_back({i, Extent(f), rows.skip, columns});
    }
}

bool Scatter::is_pair(const Rows& rows) {
  const auto is_at = [&](std::size_t i, Extent first) {
    return rows.phases[i].columns.first == first && rows.phases[i].columns.step == 2;
  };
  return rows.phases.size() == 2 && is_at(0, 0) && is_at(1, 1) &&
         rows.phases[1].columns.count <= rows.phases[0].columns.count;
}

// Writes to one plane of the output: all columns of some rows, of `width` filters from `k` on.
template <class T>
struct Scatter::Write {
  const Layer& layer;
  const Stage& stage;
  std::span<const T* const> values;
  Extent image, k, width, to_ld;
  T* plane;  // its first row, at filter k

  const T* values_of(const Phase& phase, const TensorSteps& steps, Extent row) const {
    const ConvProblem& p = stage.parts[phase.part].problem;
    const Extent Kg = layer.K / layer.groups, filter = k / Kg * p.K_per_group() + phase.filter * Kg + k % Kg;
    return values[phase.part] + image * steps.image + filter * steps.channel + (phase.skipped_rows + row) * steps.row +
           phase.columns.skip * steps.pixel;
  }

  // Rows from the begin-th to before the end-th. A phase's rows follow one another, so that what is the same for all of
  // them is found once. (Rows of 16 values took 30 ns each otherwise.)
  void write(const Rows& rows, Extent begin, Extent end) const {
    const Extent Q = layer.axes[2].outputs, to_step = rows.rows.step * Q * to_ld;
    T* const first = plane + (rows.rows.first + begin * rows.rows.step) * Q * to_ld;
    Extent done = 0;  // of each phase
    if (layer.layout == Layout::nchw && is_pair(rows)) {
      const Phase &even = rows.phases[0], &odd = rows.phases[1];
      const TensorSteps steps[] = {stage.parts[even.part].problem.output_steps(),
                                   stage.parts[odd.part].problem.output_steps()};
      const T *a = values_of(even, steps[0], begin), *b = values_of(odd, steps[1], begin);
      done = odd.columns.count;
      T* to = first;
      for (Extent i = begin; i < end; ++i, a += steps[0].row, b += steps[1].row, to += to_step) zip(a, b, to, done);
    }
    for (const Phase& phase : rows.phases) {
      const Run& columns = phase.columns;
      if (columns.count == done) continue;
      const TensorSteps steps = stage.parts[phase.part].problem.output_steps();
      const T* from = values_of(phase, steps, begin) + done * steps.pixel;
      T* to = first + (columns.first + done * columns.step) * to_ld;
      for (Extent i = begin; i < end; ++i, from += steps.row, to += to_step)
        spread(from, to, columns.count - done, columns.step, width, steps.pixel, to_ld);
    }
  }
};

// With channels first a task is a plane of one filter; with channels last some rows of a plane, and a group's filters
// follow one another.
template <class T>
bool Scatter::run(const Layer& layer, const Stage& stage, Extent j, int threads, std::span<const T* const> values,
                  const T* background, T* output, const Finish* end) const {
  const bool nchw = layer.layout == Layout::nchw;
  const Extent O = layer.axes[0].outputs, P = layer.axes[1].outputs, Q = layer.axes[2].outputs, K = layer.K;
  const Extent Kg = K / layer.groups, width = nchw ? Q : Q * K, filters = nchw ? 1 : Kg;
  const Extent rows = std::max<Extent>(1, l1_values / width), blocks = (P + rows - 1) / rows;
  const auto write_block = [&](Extent image, Extent k, Extent block) {
    const Extent n = image / stage.planes_at_a_time;
    const Extent plane = stage.planes.first + (j + image % stage.planes_at_a_time) * stage.planes.step;
    const Extent begin = block * rows, last = std::min(P, begin + rows);
    T* const whole = output + (nchw ? ((n * K + k) * O + plane) * P * Q : (n * O + plane) * P * Q * K);
    if (stage.background) {
      T* const from = whole + begin * width;
      if (nchw)
        std::fill_n(from, (last - begin) * width, background[k]);
      else
        for (Extent i = 0; i < (last - begin) * Q; ++i) std::copy_n(background, K, from + i * K);
    }
    for (const Rows& own : rows_) {
      const Places places(own.rows, begin, last);
      if (places.first == places.last) continue;
      for (Extent first = k; first < (nchw ? k + 1 : K); first += filters)
        Write<T>{layer, stage, values, image, first, filters, nchw ? 1 : K, whole + (nchw ? 0 : first)}.write(
            own, places.first, places.last);
    }
    if (end) (*end)(whole + begin * width, (last - begin) * width);
  };
  const Extent images = stage.images * stage.planes_at_a_time;
  if (nchw)
    return parallel_for(images * K, threads, [&](Extent task, int) {
      for (Extent block = 0; block < blocks; ++block) write_block(task / K, task % K, block);
    });
  return parallel_for(images * blocks, threads,
                      [&](Extent task, int) { write_block(task / blocks, 0, task % blocks); });
}

template bool Scatter::run(const Layer&, const Stage&, Extent, int, std::span<const float* const>, const float*, float*,
                           const Finish*) const;
template bool Scatter::run(const Layer&, const Stage&, Extent, int, std::span<const double* const>, const double*,
                           double*, const Finish*) const;

}  // namespace fastconv
