// Products of packed weights with pixels, for all filters of a block of output pixels: the loops around the register
// tiles.
//
//   out[k * out_ld + row * out_row + column] = epilogue(sum over i of weight[k][i] * streamed[offset[i] + row *
//   row_step + column])
//
// The pixels are rows x columns of one image, read in place, from a padded strip, or from a packed im2col block: that
// is the offsets' business. Loop order: weights outside, pixels inside. The pixel block then lives in L2 and a panel of
// weights in L1; the other order loses 9-20 points where channel planes are powers of two (64x64, 128x128).
#pragma once

#include <limits>

#include "base/aligned_buffer.hpp"
#include "fastconv/problem.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

// What one block may take of L2: half of the 1 MiB that current cores have.
constexpr std::size_t l2_share = 512 * 1024;

inline Extent ceil_div(Extent a, Extent b) { return (a + b - 1) / b; }

inline std::size_t offsets_bytes(Extent steps) { return bytes_of<std::ptrdiff_t>(steps); }

template <class T>
Epilogue<T> no_epilogue() {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  return {nullptr, -infinity, infinity, ActivationKind::clip, T(0)};
}

template <class T>
struct Product {
  const KernelSet<T>& set;
  const T* packed;  // of these filters: pack_pixel_lanes
  Extent filters, steps;
  const T* streamed;
  const std::ptrdiff_t* offset;  // `steps` of them
  Extent rows, row_step, columns;
  T* out;
  Extent out_ld, out_row;  // from one filter's, and one row's, output to the next's
  Epilogue<T> epilogue;  // bias of the first filter, or null
  // Columns packed in strips of this width, `strip_step` from one to the next; 0 if they lie side by side.
  Extent strip = 0, strip_step = 0;
  // Pixel lanes can take the reduction in parts: steps [first_step, last_step) now, the rest in other calls.
  Extent first_step = 0, last_step = -1;
  Extent part = 0;  // steps of one part; 0 for part_of(steps)
  // The next block of pixels, to be brought into L2 meanwhile: as many columns, `ahead_step` from one reduction step to
  // the next. Null if there is none, or if it has no such order.
  const T* ahead = nullptr;
  Extent ahead_step = 0, ahead_columns = 0;
};

// Length of a part of the reduction: a weight panel of it stays in L1 (14 rows x 512 floats: 28 KB). Parts are even,
// and the same whatever the threads and blocks are, so that sums are too.
template <class T>
Extent part_of(Extent steps) {
  const Extent most = sizeof(T) == 4 ? 512 : 256;
  const Extent parts = (steps + most - 1) / most;
  return parts ? (steps + parts - 1) / parts : 1;
}

// Filters in panels of at most `most` rows, split evenly: 64 = 13+13+13+13+12 and 24 = 12+12 cost nothing.
struct Split {
  Extent total, parts;
  Split(Extent total_, Extent most) : Split{total_, (total_ + most - 1) / most, nullptr} {}
  static Split into(Extent parts, Extent total) { return {total, parts, nullptr}; }
  Extent begin(Extent part) const { return total / parts * part + (part < total % parts ? part : total % parts); }
  Extent size(Extent part) const { return total / parts + (part < total % parts); }

 private:
  Split(Extent total_, Extent parts_, std::nullptr_t) : total(total_), parts(parts_) {}
};

// --- pixels as lanes ---
template <class T>
void pack_pixel_lanes(const KernelSet<T>& set, const T* weight, Extent filters, Extent steps, T* packed);
template <class T>
bool has_thin_tiles(const KernelSet<T>& set) {
  return set.pixel_rows < 8;
}
template <class T>
Extent panel_rows(const KernelSet<T>& set, Extent steps);  // most filters of a panel
template <class T>
Extent strip_width(const KernelSet<T>& set, Extent filters, Extent steps);  // of the register tiles' rows, in pixels
template <class T>
void multiply_pixel_lanes(const Product<T>& product);

// --- output channels as lanes ---
// Pixels of the longest register tile with this many vectors of channels.
template <class T>
Extent longest_run(const KernelSet<T>& set, Extent vectors) {
  Extent most = 1;
  while (most < max_channel_pixels && set.channel_tile[most + 1][vectors]) ++most;
  return most;
}
template <class T>
Extent channel_panel(const KernelSet<T>& set) {
  return Extent{set.channel_vectors} * set.lanes;
}
template <class T>
Extent padded_filters(const KernelSet<T>& set, Extent filters) {  // whole vectors
  return (filters + set.lanes - 1) / set.lanes * set.lanes;
}
}  // namespace fastconv
