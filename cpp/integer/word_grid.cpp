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
  stride = p.stride_w;
  tap_reach = (values - 1) * p.dilation_w;
  slack = max_dot_vectors * kernels.lanes;

  const Extent shift = (tap_words - 1) * step / stride, lanes = kernels.lanes;
  columns = phases(tap_words, step, stride);
  shared = !along_taps && stride == 1 ? std::min({p.pad_left, p.pad_right, shift}) : 0;
  pitch = Q + shift - shared;
  const Extent vectors = place_blocks(p, lanes);
  if (shift > 0) {
    WordGrid other = *this;
    other.columns.clear();
    for (Extent s = 0; s < tap_words; ++s) other.columns.push_back(s * step);
    other.shared = 0;
    other.pitch = Q;
    const Extent less = vectors - other.place_blocks(p, lanes);
    // In cycles, of a block: products that are saved, copies that are made.
    const Extent saved = less * p.R * tap_words * p.K_per_group();
    const Extent copies = tap_words * Extent(row_phases.size()) * P * (4 + 3 * ceil_div(Q, lanes));
    if (saved > copies) *this = other;
  }
  const Extent last = *std::max_element(columns.begin(), columns.end());
  row_words = columns.size() == 1 && stride == 1 ? 0 : last + (pitch - 1) * stride + 1;
}

// How many rows make a block; vectors of all outputs of an image.
Extent WordGrid::place_blocks(const ConvProblem& p, Extent lanes) {
  const Extent P = p.P(), Q = p.Q(), more_rows = (p.R - 1) * p.dilation_h / p.stride_h;
  const Extent row_bytes = planes * Extent(row_phases.size() * columns.size()) * pitch * Extent{4};
  block_rows = std::clamp<Extent>(strip_bytes / row_bytes - more_rows, 1, P);
  // Rows of a few words: a block has some vectors all the same.
  block_rows = std::clamp<Extent>(std::max(block_rows, 4 * lanes / pitch), 1, P);
  block_rows = ceil_div(P, ceil_div(P, block_rows));
  strip_rows = block_rows + more_rows;
  const Extent in_one = ceil_div((block_rows - 1) * pitch + Q, lanes), by_row = block_rows * ceil_div(Q, lanes);
  flat = in_one <= by_row;
  return ceil_div(P, block_rows) * std::min(in_one, by_row);
}

Extent WordGrid::strip_words() const {
  return planes * Extent(row_phases.size() * columns.size()) * plane_words() + slack;
}

std::vector<std::ptrdiff_t> WordGrid::offsets(const ConvProblem& p) const {
  std::vector<std::ptrdiff_t> list;
  list.reserve(std::size_t(steps()));
  const Extent step = p.dilation_w * (along_taps ? values : 1);
  const Extent R = Extent(row_phases.size()), S = Extent(columns.size());
  for (Extent plane = 0; plane < planes; ++plane)
    for (Extent r = 0; r < p.R; ++r)
      for (Extent s = 0; s < tap_words; ++s) {
        const Extent row = r * p.dilation_h, column = s * step;
        const Extent own = place(columns, column), from = own < S ? column : column % stride;
        const Extent set = (plane * R + place(row_phases, row % p.stride_h)) * S + place(columns, from);
        list.push_back(set * plane_words() + row / p.stride_h * pitch + (column - from) / stride);
      }
  return list;
}

}  // namespace fastconv
