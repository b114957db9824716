// How many tiles a block has: what bounds the workspace, and says how often the weights are read.
#pragma once

#include <algorithm>

#include "gemm/im2col_block.hpp"
#include "winograd/domain.hpp"

namespace fastconv::filtering {

// Of V and M together, so that a thread's slice of the workspace stays below 5 MiB. Variants whose least block, a tile
// of each of the interleaved layers, takes more are passed over.
constexpr Extent block_bytes = Extent{9} * 512 * 1024;
constexpr Extent filters_at_a_time = 64;  // between two output transforms

// Values of a tile of V, for one point.
template <class T>
Extent pitch_of(const Domain& domain) {
  return odd_lines<T>(domain.phases * domain.channels);
}
inline Extent tile_bytes(const Domain& domain, std::size_t element) {
  const Extent pitch = element == 4 ? pitch_of<float>(domain) : pitch_of<double>(domain);
  return domain.planes * (pitch + filters_at_a_time) * Extent(element);
}
inline bool has_small_blocks(const Tilings& t, const Domain& domain, std::size_t element) {
  return t.columns.dilation * tile_bytes(domain, element) <= block_bytes;
}

// Tile rows of all images and interleaved layers make one list, which is cut into runs, and tile columns into others.
struct Cut {
  Extent list, rows, row_blocks;
  Extent columns, column_blocks;  // of each of the layers beside each other

  Cut(const Tilings& t, const Domain& domain, Extent N, std::size_t element) {
    const Extent tile_columns = t.columns.tiles(), layers = t.columns.dilation;
    list = N * t.rows.dilation * t.rows.tiles();
    // About 56 tiles: fewer read U too often, more push V out of L2 (64 to 512 channels: best of 14 to 196).
    const Extent most = std::clamp<Extent>(block_bytes / tile_bytes(domain, element), 1, 56);
    column_blocks = ceil_div(tile_columns * layers, most);
    columns = ceil_div(tile_columns, column_blocks);
    column_blocks = ceil_div(tile_columns, columns);
    row_blocks = ceil_div(list, std::max<Extent>(1, most / (columns * layers)));
    rows = ceil_div(list, std::max<Extent>(1, row_blocks));
    row_blocks = rows ? ceil_div(list, rows) : 0;
  }
  Extent blocks() const { return row_blocks * column_blocks; }
};

}  // namespace fastconv::filtering
