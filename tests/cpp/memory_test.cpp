// Passes over memory against plain loops: transpositions, strips, windows, activations, and what measurements call.
#include <algorithm>

#include "kernel_test.hpp"

using namespace fastconv;

namespace {

template <class T>
void test_transpose_store(const KernelSet<T>& set, std::ptrdiff_t pixels, std::ptrdiff_t channels, bool finish,
                          bool past_caches, std::ptrdiff_t head) {
  const std::ptrdiff_t L = set.lanes, from_ld = (channels + L - 1) / L * L, to_ld = (pixels + 2 * L) / L * L;
  const std::vector<T> from = whole_numbers<T>((pixels + L) * from_ld), bias = whole_numbers<T>(channels, 2);
  std::vector<T> to(std::size_t(channels * to_ld + 64), T(99)), expected = to;
  const std::ptrdiff_t begin = head + std::ptrdiff_t(-reinterpret_cast<std::uintptr_t>(to.data()) % 64 / sizeof(T));
  Epilogue<T> e = bounds<T>(-3, 4);
  e.bias = bias.data();
  TransposeStore<T> block{from.data(), from_ld, pixels, channels, to.data() + begin, to_ld, finish ? &e : nullptr};
  block.past_caches = past_caches;
  set.transpose_store(block);
  for (std::ptrdiff_t c = 0; c < channels; ++c)
    for (std::ptrdiff_t p = 0; p < pixels; ++p) {
      const T value = from[std::size_t(p * from_ld + c)];
      expected[std::size_t(begin + c * to_ld + p)] = finish ? clipped(T(value + bias[std::size_t(c)]), e) : value;
    }
  CHECK_IN(type_name<T>() + " transpose_store of " + std::to_string(pixels) + " x " + std::to_string(channels),
           same(to, expected));
}

template <class T>
void test_transpose_pack(const KernelSet<T>& set, std::ptrdiff_t rows, std::ptrdiff_t columns, std::ptrdiff_t more,
                         bool places) {
  const std::ptrdiff_t from_ld = columns + 3,
                       stored = places ? (rows + set.lanes - 1) / set.lanes * set.lanes : rows + more;
  const std::vector<T> from = whole_numbers<T>(rows * from_ld);
  std::vector<std::ptrdiff_t> place;
  for (std::ptrdiff_t c = 0; c < columns; ++c) place.push_back(columns - 1 - c);
  std::vector<T> to(std::size_t(columns * stored), T(99)), expected = to;
  set.transpose_pack({from.data(), from_ld, rows, columns, to.data(), stored, stored, places ? place.data() : nullptr});
  for (std::ptrdiff_t c = 0; c < columns; ++c)
    for (std::ptrdiff_t r = 0; r < stored; ++r)
      expected[std::size_t((places ? columns - 1 - c : c) * stored + r)] =
          r < rows ? from[std::size_t(r * from_ld + c)] : T(0);
  CHECK_IN(type_name<T>() + " transpose_pack of " + std::to_string(rows) + " x " + std::to_string(columns),
           same(to, expected));
}

template <class T>
void test_strip_pack(const KernelSet<T>& set, std::ptrdiff_t rows, std::ptrdiff_t columns) {
  const std::ptrdiff_t width = 2 * set.lanes, strips = (columns + width - 1) / width, from_ld = columns + 5;
  const std::vector<T> from = whole_numbers<T>(rows * from_ld);
  const std::ptrdiff_t strip_step = rows * width + 8;
  std::vector<T> to(std::size_t(strips * strip_step), T(0)), expected = to;
  set.strip_pack({from.data(), from_ld, rows, columns, to.data(), width, strip_step});
  for (std::ptrdiff_t r = 0; r < rows; ++r)
    for (std::ptrdiff_t c = 0; c < columns; ++c)
      expected[std::size_t(c / width * strip_step + r * width + c % width)] = from[std::size_t(r * from_ld + c)];
  CHECK_IN(type_name<T>() + " strip_pack of " + std::to_string(rows) + " x " + std::to_string(columns),
           same(to, expected));
}

template <class T>
void test_window_rows(const KernelSet<T>& set, std::ptrdiff_t step, std::ptrdiff_t phases, std::ptrdiff_t columns) {
  const std::ptrdiff_t H = 5, W = 23, rows = 4, phase_ld = phases > 1 ? columns + set.lanes : 0;
  const std::ptrdiff_t to_ld = phases > 1 ? phases * phase_ld : columns + 2;
  const std::vector<T> image = whole_numbers<T>(H * W);
  std::vector<T> to(std::size_t(rows * to_ld + 2 * set.lanes), T(99)), expected = to;
  WindowRows<T> w{image.data(), H, W, -2, 2, -3, step, rows, columns, to.data(), to_ld};
  w.phases = phases;
  w.phase_ld = phase_ld;
  set.window_rows(w);
  for (std::ptrdiff_t i = 0; i < rows; ++i)
    for (std::ptrdiff_t f = 0; f < phases; ++f)
      for (std::ptrdiff_t j = 0; j < columns; ++j) {
        const std::ptrdiff_t y = -2 + 2 * i, x = -3 + f + j * step;
        const std::size_t at = std::size_t(i * to_ld + f * phase_ld + j);
        expected[at] = y >= 0 && y < H && x >= 0 && x < W ? image[std::size_t(y * W + x)] : T(0);
      }
  for (std::size_t at = 0; at < to.size(); ++at)  // between rows there may be anything
    if (at < std::size_t((rows - 1) * to_ld + (phases - 1) * phase_ld + columns) && expected[at] == T(99))
      to[at] = T(99);
  CHECK_IN(type_name<T>() + " window_rows by " + std::to_string(step) + ", phases " + std::to_string(phases) +
               ", columns " + std::to_string(columns),
           same(to, expected));
}

template <class T>
T activation(T x, ActivationKind kind, T slope) {
  switch (kind) {
    case ActivationKind::leaky_relu:
      return x < 0 ? slope * x : x;
    case ActivationKind::hardswish:
      return x * std::min(T(6), std::max(T(0), x + 3)) / 6;
    case ActivationKind::sigmoid:
      return 1 / (1 + std::exp(-x));
    case ActivationKind::silu:
      return x / (1 + std::exp(-x));
    case ActivationKind::tanh:
      return std::tanh(x);
    case ActivationKind::clip:
      break;
  }
  return x;
}

template <class T>
void test_activate(const KernelSet<T>& set, ActivationKind kind, bool residual, std::ptrdiff_t count) {
  std::vector<T> values = whole_numbers<T>(count + 1), added = whole_numbers<T>(count, 2), expected = values;
  Epilogue<T> e = no_bounds<T>();
  e.kind = kind;
  e.slope = T(0.25);
  e.second_pass = true;
  e.output = values.data();
  e.residual = residual ? added.data() : nullptr;
  e.last_low = T(-5);
  e.last_high = T(6);
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    T& value = expected[std::size_t(i)];
    if (residual) value += added[std::size_t(i)];
    if (residual || kind == ActivationKind::clip) value = std::min(e.last_high, std::max(e.last_low, value));
    value = activation(value, kind, e.slope);
  }
  set.activate(values.data(), count, e);
  CHECK_IN(type_name<T>() + " activation " + std::to_string(int(kind)) + " of " + std::to_string(count),
           same(values, expected, sizeof(T) == 4 ? 1e-6 : 1e-14));
}

template <class T>
void test_measurements(const KernelSet<T>& set) {
  const std::ptrdiff_t n = 16 * set.lanes;
  const std::vector<T> from = whole_numbers<T>(n);
  std::vector<T> to(std::size_t(n), T(0)), ones(std::size_t(n), T(1)), sum = { T(0) };
  for (const T value : from) sum[0] += value;
  set.copy(to.data(), from.data(), n);
  CHECK_IN(type_name<T>() + " copy", same(to, from));
  set.write(to.data(), n);
  CHECK_IN(type_name<T>() + " write", same(to, ones));
  CHECK_IN(type_name<T>() + " read", same(std::vector<T>{set.read(from.data(), n)}, sum));
  CHECK_IN(type_name<T>() + " fma_rounds", set.fma_rounds(3) == 3 * set.fma_rounds(1) && set.fma_rounds(1) > 0);
}

template <class T>
void test_memory() {
  const KernelSet<T>& set = kernel_set<T>(active_kernels());
  const std::ptrdiff_t L = set.lanes;
  for (const std::ptrdiff_t pixels : {std::ptrdiff_t{1}, L - 1, L, 2 * L, 3 * L + 1})
    for (const std::ptrdiff_t channels : {std::ptrdiff_t{1}, L, 2 * L + 1})
      for (const bool finish : {false, true})
        for (const std::ptrdiff_t head : {0, 1})
          for (const bool past_caches : {false, true})
            test_transpose_store(set, pixels, channels, finish, past_caches, head);
  for (const std::ptrdiff_t rows : {std::ptrdiff_t{1}, std::ptrdiff_t{3}, L, 2 * L + 1})
    for (const std::ptrdiff_t columns : {std::ptrdiff_t{1}, L, 2 * L, 3 * L + 2}) {
      test_strip_pack(set, rows, columns);
      for (const bool places : {false, true})
        for (const std::ptrdiff_t more : {0, 2}) test_transpose_pack(set, rows, columns, more, places);
    }
  for (const std::ptrdiff_t step : {1, 2, 3, 4})
    for (std::ptrdiff_t phases = 1; phases <= step; ++phases)
      for (const std::ptrdiff_t columns : {std::ptrdiff_t{2}, L, 2 * L + 1})
        test_window_rows(set, step, phases, columns);
  for (const ActivationKind kind : {ActivationKind::clip, ActivationKind::leaky_relu, ActivationKind::hardswish,
                                    ActivationKind::sigmoid, ActivationKind::silu, ActivationKind::tanh})
    for (const bool residual : {false, true})
      for (const std::ptrdiff_t count : {std::ptrdiff_t{1}, L, 3 * L + 2}) test_activate(set, kind, residual, count);
  test_measurements(set);
}

}  // namespace

int main() {
  return for_each_isa([] {
    test_memory<float>();
    test_memory<double>();
  });
}
