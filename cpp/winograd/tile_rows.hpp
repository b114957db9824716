// The order in which the transforms go through a block: tile row by tile row, a few tile columns at a time.
#pragma once

#include <algorithm>

#include "winograd/blocking.hpp"

namespace fastconv::filtering {

struct TileRow {
  Extent image, layer, tile;  // of the batch; interleaved layer; number in that layer
  Extent begin, outputs;  // first output of that layer, how many
  bool tail;
  Extent number;  // among the block's whole, or tail, rows
};

// f(tile row, its number in the list)
template <class F>
void for_each_row(const Tiling& down, const Block& block, F&& f) {
  Extent count[2] = {0, 0};
  for (Extent r = block.first_row; r < block.first_row + block.rows; ++r) {
    const Extent tile = r % down.tiles(), layer = r / down.tiles() % down.dilation;
    const bool tail = down.is_tail(tile);
    f(TileRow{r / down.tiles() / down.dilation, layer, tile, down.begin(tile), down.outputs_of(tail), tail,
              count[tail]++},
      r);
  }
}

// Tile columns a chunk at a time, the tails with the last whole ones: f(first whole, whole, tails).
template <class F>
void for_each_chunk(const Block& block, Extent chunk, F&& f) {
  Extent first = 0;
  do {
    const Extent whole = std::min(chunk, block.whole - first), next = first + whole;
    f(first, whole, next == block.whole ? block.tails : 0);
    first = next;
  } while (first < block.whole);
}

}  // namespace fastconv::filtering
