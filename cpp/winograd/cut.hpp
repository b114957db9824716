// How many tiles a block has: what bounds the workspace, and says how often the weights are read.
#pragma once

#include <algorithm>

#include "gemm/im2col_block.hpp"
#include "winograd/domain.hpp"

namespace fastconv::filtering {

// Of V and M together, so that a thread's slice of the workspace stays below 5 MiB. Variants whose least block, a tile
// of each of the interleaved layers, takes more are passed over.
constexpr Extent block_bytes = Extent{9} * 512 * 1024;
// About so many tiles: fewer read U too often, more push V out of L2 (64 to 512 channels: best of 14 to 196).
constexpr Extent tiles_of_block = 56;
constexpr Extent filters_at_a_time = 64;  // between two output transforms

// Values of a tile of V, for one point. A run of tiles of a few lines each fills L1's sets evenly as it is.
template <class T>
Extent pitch_of(const Domain& domain) {
  const Extent values = domain.phases * domain.channels;
  return values * Extent(sizeof(T)) <= 512 ? values : odd_lines<T>(values);
}
inline Extent tile_bytes(const Domain& domain, std::size_t element) {
  const Extent pitch = element == 4 ? pitch_of<float>(domain) : pitch_of<double>(domain);
  return domain.planes * (pitch + filters_at_a_time) * Extent(element);
}
inline bool has_small_blocks(const Tilings& t, const Domain& domain, std::size_t element) {
  return t.columns.dilation * tile_bytes(domain, element) <= block_bytes;
}

// Tile rows of all images and interleaved layers make one list, which is cut into even runs, and tile columns into
// others.
struct Cut {
  Split columns;  // of each of the layers beside each other
  Split rows;  // of the list

  Cut(const Tilings& t, const Domain& domain, Extent N, std::size_t element)
      : columns(t.columns.tiles(), std::max<Extent>(1, most(domain, element) / t.columns.dilation)),
        rows(N * t.rows.dilation * t.rows.tiles(),
             std::max<Extent>(1, most(domain, element) / (columns.size(0) * t.columns.dilation))) {}

  Extent blocks() const { return rows.parts * columns.parts; }
  Extent size(Extent block) const { return rows.size(block / columns.parts) * columns.size(block % columns.parts); }

 private:
  static Extent most(const Domain& domain, std::size_t element) {
    return std::clamp<Extent>(block_bytes / tile_bytes(domain, element), 1, tiles_of_block);
  }
};

}  // namespace fastconv::filtering
