// How a layer is cut into tasks, and what a task keeps in its slice of the workspace.
//
// Tile rows of all images and interleaved layers make one list. A block is a run of that list by a run of tile columns:
// its tiles are transformed for all channels (V), multiplied with the transformed weights (U) for some filters at a
// time, and their sums (M) transformed back while they are in cache.
#pragma once

#include <algorithm>

#include "base/aligned_buffer.hpp"
#include "gemm/product.hpp"
#include "winograd/cut.hpp"

namespace fastconv::filtering {

// A run of the list of tile rows by a run of tile columns. Tiles are numbered so that those of every point lie side by
// side although tails lack some: whole rows' tail columns, whole rows' whole columns, tail rows' whole, and tail
// columns.
struct Block {
  Extent first_row, rows, tail_rows;  // of the list
  Extent column, whole, tails;  // tile columns, of each of the interleaved layers
  Extent layers;  // of them beside each other

  Extent whole_rows() const { return rows - tail_rows; }
  Extent tiles() const { return rows * (whole + tails) * layers; }
  // First tile of the n-th among whole, or tail, rows; its whole, or tail, columns; of an interleaved layer.
  Extent tile(bool tail_row, Extent n, bool tail_column, Extent layer) const {
    const Extent columns = tail_column ? tails : whole;
    const Extent group = !tail_row ? (tail_column ? 0 : whole_rows() * tails)
                                   : whole_rows() * (tails + whole) + (tail_column ? tail_rows * whole : 0);
    return group * layers + (n * layers + layer) * columns;
  }
  // The tiles that have a point, by whether tail rows and columns have it.
  Extent begin(bool in_tail_columns) const { return in_tail_columns ? 0 : whole_rows() * tails * layers; }
  Extent end(bool in_tail_rows, bool in_tail_columns) const {
    if (!in_tail_rows) return whole_rows() * (tails + whole) * layers;
    return tiles() - (in_tail_columns ? 0 : tail_rows * tails * layers);
  }
};

template <class T>
struct Blocking {
  Tilings tilings;
  Domain domain;
  Cut cut;
  Extent lanes;
  Extent panel, filters, parts_of_filters;  // filters of a panel; of the panels between two output transforms
  Extent pitch, v_plane, m_plane;
  Extent chunk;  // tile columns transformed at a time, so that what lies between the two axes stays in L1
  Extent reach;  // pixels of a row that a block looks at, borders included
  Extent ring, strip_pixels;  // image rows kept, and pixels of each
  Extent out_pixels;  // of a row of a block's results
  std::size_t offsets_bytes, v_bytes, m_bytes, scratch_bytes, strip_bytes, out_bytes;

  Blocking(const Variant& variant, const ConvProblem& p, const KernelSet<T>& set, int threads)
      : tilings(variant, p),
        domain(tilings, p.C_per_group(), set.lanes),
        cut(tilings, domain, p.N, sizeof(T)),
        lanes(set.lanes) {
    const Tiling &down = tilings.rows, &across = tilings.columns;
    const Extent layers = across.dilation, rows = cut.blocks() ? cut.rows.size(0) : 0, columns = cut.columns.size(0);
    pitch = pitch_of<T>(domain);

    panel = channel_panel(set);
    parts_of_filters = even_parts_of_filters(p, threads);
    filters = std::min(padded_filters(set, p.K_per_group()), std::max<Extent>(1, filters_at_a_time / panel) * panel);

    const Extent tiles = rows * columns * layers;
    v_plane = odd_lines<T>(tiles * pitch);
    m_plane = odd_lines<T>(tiles * filters);
    const Extent l1_share = Extent{16} * 1024 / (Extent(sizeof(T)) * lanes);  // vectors
    chunk = std::clamp<Extent>(l1_share / (down.points * across.outputs), 1, columns);
    const Extent lines = chunk * across.outputs + across.tails * across.tail_outputs + across.taps - 1;
    reach = (columns * across.outputs - 1) * across.dilation * across.stride + (across.kernel - 1) * layers + layers;
    strip_pixels = std::min(p.W, reach);
    const Extent least = (down.outputs - 1) * down.stride + down.kernel;
    ring = std::max(least, std::min(l1_share / strip_pixels, (rows * down.outputs - 1) * down.stride + down.kernel));
    out_pixels = columns * across.outputs * layers;
    offsets_bytes = fastconv::offsets_bytes(4 * domain.phases * domain.C);
    v_bytes = bytes_of<T>(domain.planes * v_plane);
    m_bytes = bytes_of<T>(domain.planes * m_plane);
    scratch_bytes = bytes_of<T>(
        lanes * std::max(down.points * lines, std::max(chunk, across.tails) * down.outputs * across.points));
    strip_bytes = bytes_of<T>(ring * strip_pixels * lanes);
    out_bytes = bytes_of<T>((down.outputs * out_pixels + lanes) * lanes);
  }

  std::size_t slice() const { return v_bytes + m_bytes + scratch_bytes + strip_bytes + out_bytes; }

  Block block(Extent row_block, Extent column_block) const {
    Block b{};
    b.first_row = cut.rows.begin(row_block);
    b.rows = cut.rows.size(row_block);
    for (Extent r = b.first_row; r < b.first_row + b.rows; ++r)
      b.tail_rows += tilings.rows.is_tail(r % tilings.rows.tiles());
    b.column = cut.columns.begin(column_block);
    const Extent end = b.column + cut.columns.size(column_block);
    b.whole = std::min(end, tilings.columns.whole) - b.column;
    if (b.whole < 0) b.whole = 0;
    b.tails = end - b.column - b.whole;
    b.layers = tilings.columns.dilation;
    return b;
  }

 private:
  // In how many parts blocks share out most evenly. Each repeats the input's transform, 8 / K of the time (64 filters:
  // 11 %, 256: 3 %).
  Extent even_parts_of_filters(const ConvProblem& p, int threads) const {
    const Extent tasks = p.groups * cut.blocks(), most = std::min<Extent>(threads, p.K_per_group() / panel);
    if (tasks >= 4 * threads) return 1;
    const double input = std::min(0.5, 8.0 / double(p.K_per_group()));
    Extent best = 1;
    double least = 0;
    for (Extent parts = 1; parts <= most; ++parts) {
      double tiles = 0;  // of the first thread, which has the most
      for (Extent task = 0; task < tasks * parts; task += threads)
        tiles += double(cut.size(task / parts % cut.blocks())) * (input + (1 - input) / double(parts));
      if (parts > 1 && tiles >= 0.99 * least) continue;
      best = parts;
      least = tiles;
    }
    return best;
  }
};

// A thread's slice of the workspace.
template <class T>
struct Slice {
  T *v, *sums, *scratch, *strip, *out;
  Slice(const Blocking<T>& b, std::byte* from)
      : v(reinterpret_cast<T*>(from)),
        sums(reinterpret_cast<T*>(from + b.v_bytes)),
        scratch(reinterpret_cast<T*>(from + b.v_bytes + b.m_bytes)),
        strip(reinterpret_cast<T*>(from + b.v_bytes + b.m_bytes + b.scratch_bytes)),
        out(reinterpret_cast<T*>(from + b.v_bytes + b.m_bytes + b.scratch_bytes + b.strip_bytes)) {}
};

}  // namespace fastconv::filtering
