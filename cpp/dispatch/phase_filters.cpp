#include <algorithm>
#include <stdexcept>

#include "base/parallel_for.hpp"
#include "fastconv/interleaved_plan.hpp"
#include "fastconv/threads.hpp"

namespace fastconv {

namespace {

// Channels come outside in the one order and inside in the other: blocks of both share L1. (With 16 of 512 channels,
// whose kernels lie 18 KiB apart in both orders, its sets overflow.)
constexpr Extent block = 8;

// Where in an R x S kernel the taps of each phase lie.
std::vector<Extent> taps_of(const std::vector<std::vector<Extent>>& rows,
                            const std::vector<std::vector<Extent>>& columns, Extent R, Extent S) {
  std::vector<Extent> taps;
  for (const auto& r_list : rows)
    for (const auto& s_list : columns)
      for (Extent r : r_list)
        for (Extent s : s_list) {
          if (r < 0 || r >= R || s < 0 || s >= S) throw std::invalid_argument("taps: expected taps of the kernel");
          taps.push_back(r * S + s);
        }
  const auto even = [](const auto& lists) {
    return !lists.empty() &&
           std::all_of(lists.begin(), lists.end(), [&](const auto& list) { return list.size() == lists[0].size(); });
  };
  if (!even(rows) || !even(columns)) throw std::invalid_argument("taps: expected as many for each phase");
  return taps;
}

// `count` kernels' taps, one kernel `step` behind the other. A loop over few taps, whose length the compiler does not
// know, took three times as long.
template <Extent Length, class T>
void pick(const T* kernel, Extent step, Extent count, const Extent* at, Extent length, T* out) {
  if constexpr (Length > 0) {
    Extent own[Length];
    std::copy_n(at, Length, own);
    for (Extent c = 0; c < count; ++c, kernel += step, out += Length)
      for (Extent i = 0; i < Length; ++i) out[i] = kernel[own[i]];
  } else {
    for (Extent c = 0; c < count; ++c, kernel += step)
      for (Extent i = 0; i < length; ++i) *out++ = kernel[at[i]];
  }
}

template <class T>
auto picker(Extent length) {
  switch (length) {
    case 1:
      return pick<1, T>;
    case 2:
      return pick<2, T>;
    case 3:
      return pick<3, T>;
    case 4:
      return pick<4, T>;
    case 6:
      return pick<6, T>;
    case 9:
      return pick<9, T>;
    default:
      return pick<0, T>;
  }
}

}  // namespace

bool phase_filters(DType dtype, const void* weight, Extent groups, Extent C, Extent filters_per_group, Extent R,
                   Extent S, const std::vector<std::vector<Extent>>& rows,
                   const std::vector<std::vector<Extent>>& columns, void* to) {
  const std::vector<Extent> taps = taps_of(rows, columns, R, S);
  const Extent phases = Extent(rows.size() * columns.size()), length = Extent(taps.size()) / phases;
  const Extent Kg = filters_per_group, Cg = C / groups, blocks = (Kg + block - 1) / block;
  const int threads = C * Kg * R * S < 64 * 1024 ? 1 : num_threads();
  return with_type(dtype, [&](auto t) {
    using T = decltype(t);
    const auto own_pick = picker<T>(length);
    return parallel_for(groups * blocks, threads, [&](Extent task, int) {
      const Extent g = task / blocks, first = task % blocks * block, last = std::min(Kg, first + block);
      for (Extent c0 = 0; c0 < Cg; c0 += block)
        for (Extent k = first; k < last; ++k)
          for (Extent f = 0; f < phases; ++f) {
            const Extent* const at = taps.data() + f * length;
            T* const out = static_cast<T*>(to) + (((g * phases + f) * Kg + k) * Cg + c0) * length;
            const T* const kernel = static_cast<const T*>(weight) + ((g * Cg + c0) * Kg + k) * R * S;
            own_pick(kernel, Kg * R * S, std::min(Cg - c0, block), at, length, out);
          }
    });
  });
}

}  // namespace fastconv
