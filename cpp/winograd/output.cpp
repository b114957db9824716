#include <algorithm>

#include "gemm/filter_scale.hpp"
#include "winograd/tile_rows.hpp"
#include "winograd/transforms.hpp"

namespace fastconv::filtering {
namespace {

// The way back: sums of a layer's tile columns [first, first + whole) of a tile row, and of the tails.
template <class T>
void untransform_chunk(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const TileRow& row,
                       Extent filter, const Epilogue<T>& epilogue, Extent layer, Extent first, Extent whole,
                       Extent tails, Extent row_pixels, const Slice<T>& slice) {
  const Tiling &down = b.tilings.rows, &across = b.tilings.columns;
  const Extent L = b.lanes, m = row.outputs;
  for (const bool tail : {false, true}) {
    const Extent count = tail ? tails : whole, n = across.points_of(tail), outputs = across.outputs_of(tail);
    if (count == 0) continue;
    const Extent tile = block.tile(row.tail, row.number, tail, layer) + (tail ? 0 : first);
    const Extent column = (tail ? block.whole : first) * across.outputs;
    WinogradLines<T> columns;
    columns.count = count;
    columns.from_group = b.m_plane;
    columns.from_step = b.filters;
    columns.to_group = L;
    columns.to_step = m * n * L;
    for (Extent j = 0; j < n; j += columns.groups) {
      columns.groups = j + 1 < n || n == 1 ? std::max<Extent>(1, n - tail) : 1;
      for (Extent i = 0; i < down.points_of(row.tail); ++i)
        columns.from[i] = slice.sums + tile * b.filters + filter +
                          (down.point(row.tail, i) * across.points + across.point(tail, j)) * b.m_plane;
      for (Extent i = 0; i < m; ++i) columns.to[i] = slice.scratch + (i * n + j) * L;
      set.winograd[int(down.axis)][row.tail].output[0](columns);
    }
    WinogradLines<T> rows;
    rows.groups = m;
    rows.count = count;
    rows.from_group = n * L;
    rows.from_step = m * n * L;
    rows.to_group = row_pixels * L;
    rows.to_step = outputs * across.dilation * L;
    rows.epilogue = &epilogue;
    for (Extent j = 0; j < n; ++j) rows.from[j] = slice.scratch + j * L;
    for (Extent j = 0; j < outputs; ++j) rows.to[j] = slice.out + ((column + j) * across.dilation + layer) * L;
    set.winograd[int(across.axis)][tail].output[1](rows);
  }
}

// Images and outputs that together leave little of a shared cache: outputs written past it displace nothing, and are
// not read before they are written (64 -> 64 at 224x224: 238 to 245 % of the FMA peak).
constexpr Extent large_layer = Extent{16} * 1024 * 1024;

// `count` pixels of one vector of filters to where they belong.
template <class T>
void store(const KernelSet<T>& set, const ConvProblem& p, const T* from, Extent count, Extent filters,
           const Epilogue<T>& epilogue, T* to) {
  const TensorSteps out = p.output_steps();
  if (p.layout == Layout::nchw) {
    const bool is_large = (p.input_size() + p.output_size()) * Extent(sizeof(T)) > large_layer;
    const bool is_done = !epilogue.second_pass;
    set.transpose_store(
        {from, set.lanes, count, filters, to, out.channel, is_done ? nullptr : &epilogue, is_large && is_done});
    return;
  }
  for (Extent i = 0; i < count; ++i, from += set.lanes, to += out.pixel) {
    std::copy_n(from, filters, to);
    if (epilogue.second_pass) set.activate(to, filters, epilogue);
  }
}

// What lines that were given no bias and no bounds have left, of filters divided by scales[lane].
template <class T>
void rescale(T* values, Extent pixels, Extent lanes, Extent live, const T* scales, const T* bias,
             const Epilogue<T>& epilogue) {
  for (Extent i = 0; i < pixels; ++i, values += lanes)
    for (Extent l = 0; l < live; ++l) values[l] = rescaled(values[l], scales[l], bias[l], epilogue);
}

}  // namespace

template <class T>
void transform_output(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const ConvProblem& p,
                      Extent filters, Extent filter, const Epilogue<T>& epilogue, const T* scales, T* output,
                      const Slice<T>& slice) {
  const Tiling &down = b.tilings.rows, &across = b.tilings.columns;
  const TensorSteps out = p.output_steps();
  const Extent P = p.P(), Q = p.Q(), L = b.lanes;
  const Extent column = across.begin(block.column) * across.dilation;
  const Extent of_a_layer = block.whole * across.outputs + block.tails * across.tail_outputs;
  const Extent pixels = std::min(of_a_layer * across.dilation, Q - column);
  // Narrow maps: a tile row's results lie side by side here as they do in the output. What a row's last tile has too
  // much, the next row overwrites, but not where it comes before its tail.
  const bool is_even = across.begin(across.tiles()) == Q, in_order = block.tails == 0 && block.whole <= b.chunk;
  const bool is_run = pixels == Q && down.dilation * across.dilation == 1 && (is_even || in_order);
  const Extent row_pixels = is_run ? Q : b.out_pixels;
  alignas(64) T bias[widest_lanes], no_bias[widest_lanes] = {};
  Epilogue<T> linear = epilogue, nonlinear = epilogue;  // what lines are given, and what outputs are
  linear.bias = bias;
  nonlinear.bias = nullptr;
  nonlinear.low = no_epilogue<T>().low;
  nonlinear.high = no_epilogue<T>().high;
  Epilogue<T> sums_alone = nonlinear;
  sums_alone.bias = no_bias;
  for (Extent k = 0; k < filters; k += L) {
    const Extent live = std::min(L, filters - k);
    const bool is_scaled = std::any_of(scales + k, scales + k + live, [](T scale) { return scale != 1; });
    std::fill_n(bias, L, T(0));
    if (epilogue.bias) std::copy_n(epilogue.bias + k, live, bias);
    for_each_row(down, block, [&](const TileRow& row, Extent) {
      for (Extent layer = 0; layer < across.dilation; ++layer)
        for_each_chunk(block, b.chunk, [&](Extent first, Extent whole, Extent tails) {
          untransform_chunk(b, block, set, row, k, is_scaled ? sums_alone : linear, layer, first, whole, tails,
                            row_pixels, slice);
        });
      const Extent first = row.begin * down.dilation + row.layer;
      const Extent rows = std::min(row.outputs, ceil_div(std::max<Extent>(P - first, 0), down.dilation));
      for (Extent i = 0; is_scaled && i < rows; ++i)
        rescale(slice.out + i * row_pixels * L, pixels, L, live, scales + k, bias, linear);
      T* const to = output + row.image * out.image + (filter + k) * out.channel + first * out.row + column * out.pixel;
      if (is_run)
        store(set, p, slice.out, rows * Q, live, nonlinear, to);
      else
        for (Extent i = 0; i < rows; ++i)
          store(set, p, slice.out + i * row_pixels * L, pixels, live, nonlinear, to + i * down.dilation * out.row);
    });
  }
}

template void transform_output(const Blocking<float>&, const Block&, const KernelSet<float>&, const ConvProblem&,
                               Extent, Extent, const Epilogue<float>&, const float*, float*, const Slice<float>&);
template void transform_output(const Blocking<double>&, const Block&, const KernelSet<double>&, const ConvProblem&,
                               Extent, Extent, const Epilogue<double>&, const double*, double*, const Slice<double>&);

}  // namespace fastconv::filtering
