#include "integer/filters.hpp"

#include <algorithm>

namespace fastconv {
namespace {

// Bytes in a signed byte's range: an unsigned one is shifted, and its zero point with it.
constexpr int shift_of_weights(bool is_signed) { return is_signed ? 0 : 128; }
constexpr int shift_of_pixels(bool is_signed) { return is_signed ? 128 : 0; }

std::int32_t word_of(const int* value, Extent values) {
  const std::uint32_t bits = 32 / std::uint32_t(values), mask = (1u << bits) - 1u;
  std::uint32_t word = 0;
  for (Extent i = 0; i < values; ++i) word |= (std::uint32_t(value[i]) & mask) << (bits * std::uint32_t(i));
  return std::int32_t(word);
}

// Calls f(step, word) for each word of a filter from a plane on; words are of number(channel, r, s), 0 where there is
// no such.
template <class Number, class F>
void each_word(const ConvProblem& p, const WordGrid& g, Extent first_plane, Number&& number, F&& f) {
  Extent step = first_plane * p.R * g.tap_words;
  int value[most_dot_values];
  for (Extent plane = first_plane; plane < g.planes; ++plane)
    for (Extent r = 0; r < p.R; ++r)
      for (Extent s = 0; s < g.tap_words; ++s) {
        for (Extent i = 0; i < g.values; ++i) {
          const auto [channel, tap] = g.value(plane, s, i);
          value[i] = channel < p.C_per_group() && tap < p.S ? number(channel, r, tap) : 0;
        }
        f(step++, word_of(value, g.values));
      }
}

// Planes whose words are all of existing channels: most of the work, so without questions. Their number.
template <Extent Values, class Byte>
Extent pack_whole_planes(const ConvProblem& p, const WordGrid& g, const Byte* filter, int less, Extent rows,
                         std::int32_t* to) {
  if (g.along_taps) return 0;
  constexpr std::uint32_t bits = 32 / Values, mask = (1u << bits) - 1u;
  const Extent taps = p.R * p.S, planes = p.C_per_group() / Values;
  for (Extent plane = 0; plane < planes; ++plane, filter += Values * taps)
    for (Extent tap = 0; tap < taps; ++tap, to += rows) {
      std::uint32_t word = 0;
      for (Extent i = 0; i < Values; ++i)
        word |= (std::uint32_t(int(filter[i * taps + tap]) - less) & mask) << (bits * std::uint32_t(i));
      *to = std::int32_t(word);
    }
  return planes;
}

template <class Byte>
void pack_typed(const IntegerConvolution& c, const WordGrid& g, const DotKernels& kernels, const PackedFilters& packed,
                const Byte* weight, std::int32_t* words, std::int32_t* initial, std::int32_t* zeros) {
  const ConvProblem& p = c.problem;
  const Extent taps = p.R * p.S;
  for (Extent k = 0; k < p.K; ++k) {
    const Byte* const filter = weight + k * p.taps();
    const int zero = c.weight_zero[k];
    const int less = kernels.keeps_zeros ? shift_of_weights(c.weight_signed) : zero;
    std::uint32_t sum = 0;
    for (Extent i = 0; i < p.taps(); ++i) sum += std::uint32_t(int(filter[i]) - less);

    const Extent group = k / p.K_per_group(), row = k % p.K_per_group(),
                 most = ceil_div(packed.panels.total, packed.panels.parts);
    Extent panel = row / most;  // the panel that has it is this one, or further on: the last ones may be smaller
    while (row >= packed.panels.begin(panel) + packed.panels.size(panel)) ++panel;
    const Extent first = packed.panels.begin(panel), rows = packed.panels.size(panel);
    std::int32_t* const to = words + group * packed.group_words() + first * packed.steps + (row - first);
    const Extent done = g.values == 4 ? pack_whole_planes<4>(p, g, filter, less, rows, to)
                                      : pack_whole_planes<2>(p, g, filter, less, rows, to);
    each_word(
        p, g, done, [&](Extent ch, Extent r, Extent s) { return int(filter[ch * taps + r * p.S + s]) - less; },
        [&](Extent step, std::int32_t word) { to[step * rows] = word; });

    initial[k] = c.bias ? c.bias[k] : 0;
    zeros[k] = 0;
    if (!kernels.keeps_zeros) continue;
    // sum (x - X)(w - W) = sum xw - W sum x - X sum w + taps X W, also for shifted x, X, w, W.
    const std::uint32_t X = std::uint32_t(c.input_zero + shift_of_pixels(c.input_signed));
    const std::uint32_t W = std::uint32_t(zero - less);
    zeros[k] = std::int32_t(W);
    initial[k] = std::int32_t(std::uint32_t(initial[k]) - X * sum + std::uint32_t(p.taps()) * X * W);
  }
}

}  // namespace

bool needs_windows(const IntegerConvolution& c, const DotKernels& kernels) {
  const int vanishing = shift_of_weights(c.weight_signed);
  return kernels.keeps_zeros &&
         std::any_of(c.weight_zero, c.weight_zero + c.problem.K, [&](std::int32_t zero) { return zero != vanishing; });
}

void pack_filters(const IntegerConvolution& c, const WordGrid& grid, const DotKernels& kernels,
                  const PackedFilters& packed, const void* weight, std::int32_t* words, std::int32_t* initial,
                  std::int32_t* zeros) {
  if (c.weight_signed)
    pack_typed(c, grid, kernels, packed, static_cast<const std::int8_t*>(weight), words, initial, zeros);
  else
    pack_typed(c, grid, kernels, packed, static_cast<const std::uint8_t*>(weight), words, initial, zeros);
}

void pack_ones(const ConvProblem& p, const WordGrid& grid, std::int32_t* words) {
  each_word(
      p, grid, 0, [](Extent, Extent, Extent) { return 1; },
      [&](Extent step, std::int32_t word) { words[step] = word; });
}

}  // namespace fastconv
