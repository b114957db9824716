#include <algorithm>

#include "winograd/strip.hpp"
#include "winograd/tile_rows.hpp"
#include "winograd/transforms.hpp"

namespace fastconv::filtering {
namespace {

// One layer's tile columns [first, first + whole) of a tile row, and the tails: down its columns of pixels, then along.
template <class T>
void transform_chunk(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const TileRow& row,
                     const Strip<T>& strip, Extent phase, Extent layer, Extent first, Extent whole, Extent tails,
                     Extent step, const Slice<T>& slice) {
  const Tiling &down = b.tilings.rows, &across = b.tilings.columns;
  const Extent L = b.lanes, ph = phase / across.stride, pw = phase % across.stride;
  const bool finite_h = !down.has_infinity(ph), finite_w = !across.has_infinity(pw);
  const Extent n = down.points_of(row.tail) - finite_h;
  const Extent lines = whole * across.outputs + tails * across.tail_outputs + across.taps - 1 - finite_w;

  // Column x of the chunk is the image's base + x * span.
  const Extent span = across.stride * across.dilation;
  const Extent base = across.begin(block.column + first) * span + pw + layer - across.pad;
  const Extent low = std::min(lines, base < 0 ? ceil_div(-base, span) : 0);
  const Extent high = std::clamp<Extent>(base < across.image ? (across.image - 1 - base) / span + 1 : 0, low, lines);
  std::fill_n(slice.scratch, low * n * L, T(0));
  std::fill(slice.scratch + high * n * L, slice.scratch + lines * n * L, T(0));
  if (low < high) {
    WinogradLines<T> columns;
    columns.groups = 1;
    columns.count = high - low;
    columns.from_step = span * L;
    columns.to_step = n * L;
    for (Extent i = 0; i < n; ++i) {
      columns.from[i] = strip.at((row.begin + i) * down.stride + ph, base + span * low);
      columns.to[i] = slice.scratch + (low * n + i) * L;
    }
    set.winograd[int(down.axis)][row.tail].input[finite_h](columns);
  }

  for (const bool tail : {false, true}) {
    const Extent count = tail ? tails : whole, edge = across.points_of(tail) - finite_w;
    if (count == 0) continue;
    const T* const from = slice.scratch + (tail ? whole * across.outputs * n * L : 0);
    const Extent tile = block.tile(row.tail, row.number, tail, layer) + (tail ? 0 : first);
    T* const to = slice.v + tile * b.pitch + phase * b.domain.channels + step;
    WinogradLines<T> rows;
    rows.count = count;
    rows.from_group = L;
    rows.from_step = across.outputs_of(tail) * n * L;
    rows.to_group = across.points * b.v_plane;
    rows.to_step = b.pitch;
    // Point by point of the rows; a tail's last one, infinity, does not follow the others.
    for (Extent i = 0; i < n; i += rows.groups) {
      rows.groups = i + 1 < n || n == 1 ? std::max<Extent>(1, n - row.tail) : 1;
      for (Extent j = 0; j < edge; ++j) {
        rows.from[j] = from + (j * n + i) * L;
        rows.to[j] = to + (down.point(row.tail, i) * across.points + across.point(tail, j)) * b.v_plane;
      }
      set.winograd[int(across.axis)][tail].input[finite_w](rows);
    }
  }
}

}  // namespace

template <class T>
void transform_input(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const ConvProblem& p,
                     const T* images, Extent group, const Slice<T>& slice) {
  const Tiling &down = b.tilings.rows, &across = b.tilings.columns;
  const Extent C = p.C_per_group(), end = block.first_row + block.rows;
  Strip<T> strip(b, set, p, across.begin(block.column) * across.stride * across.dilation - across.pad, slice.strip);
  for (Extent c = 0; c < C; c += b.lanes) {
    const Extent channels = std::min(b.lanes, C - c);
    for_each_row(down, block, [&](const TileRow& row, Extent number) {
      const auto reach = [&](Extent begin, Extent outputs) {
        return (begin + outputs - 1) * down.stride + down.kernel;
      };
      const Extent u = row.begin * down.stride;
      if (number == block.first_row || row.tile == 0) {
        const Extent last = std::min(down.tiles(), row.tile + end - number) - 1;
        strip.start(images + row.image * p.input_steps().image, group * C + c, channels, row.layer - down.pad,
                    down.dilation, u, reach(down.begin(last), down.outputs_of(down.is_tail(last))));
      }
      strip.need(u, reach(row.begin, row.outputs));
      for (Extent phase = 0; phase < b.domain.phases; ++phase)
        for (Extent layer = 0; layer < across.dilation; ++layer)
          for_each_chunk(block, b.chunk, [&](Extent first, Extent whole, Extent tails) {
            transform_chunk(b, block, set, row, strip, phase, layer, first, whole, tails, c, slice);
          });
    });
  }
}

template void transform_input(const Blocking<float>&, const Block&, const KernelSet<float>&, const ConvProblem&,
                              const float*, Extent, const Slice<float>&);
template void transform_input(const Blocking<double>&, const Block&, const KernelSet<double>&, const ConvProblem&,
                              const double*, Extent, const Slice<double>&);

}  // namespace fastconv::filtering
