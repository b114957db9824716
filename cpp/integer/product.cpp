#include "integer/product.hpp"

#include <algorithm>

#include "base/aligned_buffer.hpp"

namespace fastconv {
namespace {

constexpr Extent chunk_vectors = 16;  // of sums on their way to the output: 14 rows of them are 14 KB

Extent chunk_of(const DotKernels& kernels) { return chunk_vectors * kernels.lanes; }

Extent most_vectors(const DotKernels& kernels, Extent rows) {
  Extent most = 1;
  while (most < max_dot_vectors && kernels.tile[rows][most + 1]) ++most;
  return most;
}

// Sums of `rows` filters at `count` places of the strip from `at` on.
void tiles(const IntegerProduct& x, const std::int32_t* weights, const std::int32_t* initial, Extent rows, Extent at,
           Extent count, std::int32_t* out, Extent ld) {
  const Extent L = x.kernels.lanes, most = most_vectors(x.kernels, rows);
  DotTile tile{};
  tile.steps = x.filters.steps;
  tile.weights = weights;
  tile.offset = x.offset;
  tile.initial = initial;
  tile.ld = ld;
  tile.rows = int(rows);
  // A few pixels that would take a vector of their own for each filter: one vector of filters for each of them.
  const Extent rest = count % L, few = rest <= max_dot_few && rest + 1 < rows ? rest : 0;
  for (Extent done = 0; done < count - few; done += most * L) {
    const Extent left = count - few - done, vectors = std::min(most, ceil_div(left, L));
    tile.pixels = x.strip + at + done;
    tile.out = out + done;
    tile.tail = int(std::min(L, left - (vectors - 1) * L));
    x.kernels.tile[rows][vectors](tile);
  }
  if (few <= 0) return;
  tile.pixels = x.strip + at + count - few;
  tile.out = out + count - few;
  x.kernels.few[few](tile);
}

// Where a run's sums go: rows of the output, which follow one another at every pitch.
class Run {
 public:
  Run(const IntegerProduct& x, Extent row) : x_(x), row_(x.grid.flat ? 0 : row) {
    const Extent Q = x.problem.Q();
    size_ = x.grid.flat ? (x.rows - 1) * x.grid.pitch + Q : Q;
  }
  static Extent count(const IntegerProduct& x) { return x.grid.flat ? 1 : x.rows; }
  Extent size() const { return size_; }
  Extent begin() const { return row_ * x_.grid.pitch; }  // in the strip

  // Sums of places [at, at + count) of the run that follow one another in the output: calls f(first of them, how many,
  // their place in the plane).
  template <class F>
  void each_row(Extent at, Extent count, F&& f) const {
    const Extent pitch = x_.grid.pitch, Q = x_.problem.Q();
    if (pitch == Q) {
      f(0, count, (x_.first_row + row_) * Q + at);
      return;
    }
    for (Extent row = at / pitch; row * pitch < at + count; ++row) {
      const Extent first = std::max(at, row * pitch), last = std::min(at + count, row * pitch + Q);
      if (first < last) f(first - at, last - first, (x_.first_row + row_ + row) * Q + first - row * pitch);
    }
  }

 private:
  const IntegerProduct& x_;
  Extent row_, size_;
};

struct Panel {
  Extent first, rows;  // of the group's filters
  const std::int32_t* words;
};

void finish(const IntegerProduct& x, const Run& run, const Panel& panel, Extent at, Extent count,
            const std::int32_t* sums, const std::int32_t* window, void* output) {
  const Extent ld = chunk_of(x.kernels), plane = x.problem.P() * x.problem.Q();
  const Requantization* const q = x.requantization;
  DotScale scale{};
  for (Extent m = 0; m < panel.rows; ++m) {
    const Extent k = panel.first + m;
    if (q) scale = scale_of(*q, x.first_filter + k);
    run.each_row(at, count, [&](Extent first, Extent live, Extent place) {
      const Extent to = x.first_output + k * plane + place;
      x.kernels.finish({sums + m * ld + first, window ? window + run.begin() + at + first : nullptr, x.zeros[k], live,
                        q ? static_cast<void*>(static_cast<std::uint8_t*>(output) + to)
                          : static_cast<void*>(static_cast<std::int32_t*>(output) + to),
                        q ? &scale : nullptr});
    });
  }
}

}  // namespace

DotScale scale_of(const Requantization& q, Extent filter) {
  return {q.scale[filter], q.zero, q.is_signed ? -128 : 0, q.is_signed ? 127 : 255};
}

std::size_t product_scratch_bytes(const WordGrid& grid, const DotKernels& kernels, bool windows) {
  const Extent sums = kernels.rows * chunk_of(kernels);
  return bytes_of<std::int32_t>(sums) + (windows ? bytes_of<std::int32_t>(grid.block_rows * grid.pitch) : 0);
}

void multiply(const IntegerProduct& x, void* output) {
  const ConvProblem& p = x.problem;
  const Extent Q = p.Q(), plane = p.P() * Q, chunk = chunk_of(x.kernels), runs = Run::count(x);
  const bool direct = !x.requantization && !x.ones && (!x.grid.flat || x.grid.pitch == Q || x.rows == 1);
  std::int32_t* const window =
      x.ones ? x.scratch + bytes_of<std::int32_t>(x.kernels.rows * chunk) / sizeof(std::int32_t) : nullptr;
  if (x.ones)
    for (Extent i = 0; i < runs; ++i) {
      const Run run(x, i);
      constexpr std::int32_t zero = 0;
      tiles(x, x.ones, &zero, 1, run.begin(), run.size(), window + run.begin(), 0);
    }
  for (Extent i = x.first_panel; i < x.first_panel + x.panels; ++i) {
    const Extent first = x.filters.panels.begin(i);
    const Panel panel{first, x.filters.panels.size(i), x.words + first * x.filters.steps};
    for (Extent j = 0; j < runs; ++j) {
      const Run run(x, j);
      if (direct) {
        const Extent place = x.first_output + first * plane + x.first_row * Q + j * Q;
        tiles(x, panel.words, x.initial + first, panel.rows, run.begin(), run.size(),
              static_cast<std::int32_t*>(output) + place, plane);
        continue;
      }
      for (Extent at = 0; at < run.size(); at += chunk) {
        const Extent count = std::min(chunk, run.size() - at);
        tiles(x, panel.words, x.initial + first, panel.rows, run.begin() + at, count, x.scratch, chunk);
        finish(x, run, panel, at, count, x.scratch, window, output);
      }
    }
  }
}

}  // namespace fastconv
