// How a transposed convolution as one product is cut into pieces that fit the caches.
#pragma once

#include <algorithm>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "fastconv/spread_product.hpp"
#include "gemm/im2col_block.hpp"
#include "gemm/product.hpp"

namespace fastconv {

// A transposed layer, its numbers by axis.
struct SpreadShape : Layer {
  using Numbers = std::array<Extent, 3>;
  Numbers extents, kernel, outputs, stride, dilation, pads;  // pads: outputs cut off in front

  explicit SpreadShape(const Layer& layer)
      : Layer(layer),
        extents(over_axes(&Axis::extent)),
        kernel(over_axes(&Axis::taps)),
        outputs(over_axes(&Axis::outputs)),
        stride(over_axes(&Axis::stride)),
        dilation(over_axes(&Axis::dilation)),
        pads(over_axes(&Axis::before)) {}

 private:
  Numbers over_axes(Extent Axis::* member) const { return {axes[0].*member, axes[1].*member, axes[2].*member}; }
};

inline Extent volume(const SpreadShape::Numbers& n) { return n[0] * n[1] * n[2]; }

// Inputs of some images: planes and rows of them as lines, and pixels of a line.
struct Chunk {
  Extent image, images, line, lines, pixel, pixels;
  Extent first;  // row of the product, in the order of the chunks
  Extent rows() const { return images * lines * pixels; }
};

// The product: rows are inputs, columns are a group's (filter, tap). A task makes all rows of a few filters, a chunk at
// a time, and adds each chunk up. Which filters are one task depends on the number of threads; the sums in a column,
// and what is added to an output in which order, do not.
template <class T>
struct Blocking {
  Extent taps, part, strip, strip_step, width, filters, ld;
  std::vector<Chunk> chunks;

  Blocking(const SpreadShape& s, const KernelSet<T>& set, int threads) : taps(volume(s.kernel)) {
    const Extent Cg = s.C / s.groups, Kg = s.K / s.groups, pixels = s.extents[2];
    const Extent lines = s.extents[0] * s.extents[1], rows = s.N * lines * pixels;
    constexpr Extent fit = Extent(l2_share / sizeof(T));
    part = part_of<T>(Cg);
    strip = strip_width(set, std::min<Extent>(rows, most_rows), Cg);
    // A line more than full: strips a power of two apart would be written to the same sets of L1.
    strip_step = Cg * strip + Extent(cache_line / sizeof(T));
    width = std::max<Extent>(1, fit / strip_step) * strip;
    // Filters do not depend on threads where that would change the chunks.
    filters = std::clamp<Extent>(width / taps, 1, Kg);
    width = std::min(width, ceil_div(filters * taps, strip) * strip);
    const Extent most = std::clamp<Extent>(fit / 2 / (filters * taps), 1, most_rows);
    filters = std::min(filters, std::max<Extent>(1, s.K / (2 * threads)));
    ld = odd_lines<T>(filters * taps);

    const Split pixel_parts(pixels, most), line_parts(lines, std::max<Extent>(1, most / pixels));
    const bool whole = pixel_parts.parts == 1 && line_parts.parts == 1;
    const Split image_parts(s.N, whole ? std::max<Extent>(1, most / (lines * pixels)) : 1);
    Extent first = 0;
    for (Extent n = 0; n < image_parts.parts; ++n)
      for (Extent i = 0; i < line_parts.parts; ++i)
        for (Extent j = 0; j < pixel_parts.parts; ++j) {
          chunks.push_back({image_parts.begin(n), image_parts.size(n), line_parts.begin(i), line_parts.size(i),
                            pixel_parts.begin(j), pixel_parts.size(j), first});
          first += chunks.back().rows();
        }
  }
  static constexpr Extent most_rows = 512;
  std::size_t strips_bytes() const { return bytes_of<T>(width / strip * strip_step); }
  std::size_t task_bytes() const { return strips_bytes() + bytes_of<T>(chunks[0].rows() * ld); }
};

}  // namespace fastconv
