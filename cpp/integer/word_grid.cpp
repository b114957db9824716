#include "integer/word_grid.hpp"

#include <algorithm>

#include "gemm/product.hpp"

namespace fastconv {
namespace {

std::vector<Extent> phases(Extent taps, Extent step, Extent stride) {
  std::vector<Extent> found;
  for (Extent tap = 0; tap < taps && Extent(found.size()) < stride; ++tap) {
    const Extent phase = tap * step % stride;
    if (std::find(found.begin(), found.end(), phase) == found.end()) found.push_back(phase);
  }
  return found;
}

Extent place(const std::vector<Extent>& list, Extent phase) {
  return std::find(list.begin(), list.end(), phase) - list.begin();
}

// A strip stays in L2 beside a panel of weights.
constexpr Extent strip_bytes = 256 * 1024;

}  // namespace

WordGrid::WordGrid(const ConvProblem& p, const DotKernels& kernels) : values(kernels.values), rows_of_taps(p.R) {
  const Extent Cg = p.C_per_group(), P = p.P(), Q = p.Q();
  along_taps = Cg * ceil_div(p.S, values) < ceil_div(Cg, values) * p.S;
  planes = along_taps ? Cg : ceil_div(Cg, values);
  tap_words = along_taps ? ceil_div(p.S, values) : p.S;
  const Extent step = p.dilation_w * (along_taps ? values : 1);
  row_phases = phases(p.R, p.dilation_h, p.stride_h);
  column_phases = phases(tap_words, step, p.stride_w);
  const Extent shift = (tap_words - 1) * step / p.stride_w;
  shared = !along_taps && p.stride_w == 1 ? std::min({p.pad_left, p.pad_right, shift}) : 0;
  pitch = Q + shift - shared;
  stride = p.stride_w;
  row_words = pitch * stride;
  tap_reach = (values - 1) * p.dilation_w;

  const Extent more_rows = (p.R - 1) * p.dilation_h / p.stride_h;
  const Extent row_bytes = planes * Extent(row_phases.size() * column_phases.size()) * pitch * Extent{4};
  block_rows = std::clamp<Extent>(strip_bytes / row_bytes - more_rows, 1, P);
  // Rows of a few words: a block has some vectors all the same.
  block_rows = std::clamp<Extent>(std::max(block_rows, 4 * kernels.lanes / pitch), 1, P);
  block_rows = ceil_div(P, ceil_div(P, block_rows));
  strip_rows = block_rows + more_rows;
  flat = ceil_div((block_rows - 1) * pitch + Q, kernels.lanes) <= block_rows * ceil_div(Q, kernels.lanes);
  slack = max_dot_vectors * kernels.lanes + pitch;
}

Extent WordGrid::strip_words() const {
  return planes * Extent(row_phases.size() * column_phases.size()) * plane_words() + slack;
}

std::vector<std::ptrdiff_t> WordGrid::offsets(const ConvProblem& p) const {
  std::vector<std::ptrdiff_t> list;
  list.reserve(std::size_t(steps()));
  const Extent step = p.dilation_w * (along_taps ? values : 1);
  const Extent R = Extent(row_phases.size()), S = Extent(column_phases.size());
  for (Extent plane = 0; plane < planes; ++plane)
    for (Extent r = 0; r < p.R; ++r)
      for (Extent s = 0; s < tap_words; ++s) {
        const Extent row = r * p.dilation_h, column = s * step;
        const Extent phase =
            (plane * R + place(row_phases, row % p.stride_h)) * S + place(column_phases, column % p.stride_w);
        list.push_back(phase * plane_words() + row / p.stride_h * pitch + column / p.stride_w);
      }
  return list;
}

}  // namespace fastconv
