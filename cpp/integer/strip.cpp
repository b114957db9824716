#include "integer/strip.hpp"

#include <algorithm>

#include "base/aligned_buffer.hpp"

namespace fastconv {
namespace {

// Words of one plane of the strip.
class PlaneFiller {
 public:
  PlaneFiller(const StripSource& source, Extent plane, std::uint8_t* scratch)
      : s_(source),
        plane_(plane),
        bytes_(scratch),
        words_(reinterpret_cast<std::int32_t*>(scratch + bytes_of<std::uint8_t>(row_bytes(source.grid)))),
        zero_(std::uint8_t(source.zero)) {
    pack({&zero_, &zero_, &zero_, &zero_}, 1, &blank_);
  }

  static Extent row_bytes(const WordGrid& g) { return g.along_taps ? std::max(g.row_words, g.pitch) + g.tap_reach : 0; }

  void blank(Extent words, std::int32_t* to) const { std::fill_n(to, words, blank_); }

  // A row of the image, of the group's first channel, to a row of each set of columns.
  void fill(const std::uint8_t* row, std::int32_t* to, Extent set_step) const {
    const WordGrid& g = s_.grid;
    if (g.row_words == 0) {
      fill_words(row, to, g.pitch);
      return;
    }
    fill_words(row, words_, g.row_words);
    for (const Extent column : g.columns) {
      const std::int32_t* const from = words_ + column;
      if (g.stride == 1) {
        std::copy_n(from, g.pitch, to);
      } else if (g.stride == 2) {  // a constant, to be made vectors of
        for (Extent j = 0; j < g.pitch; ++j) to[j] = from[2 * j];
      } else {
        for (Extent j = 0; j < g.pitch; ++j) to[j] = from[j * g.stride];
      }
      to += set_step;
    }
  }

  void pack_channels(const std::uint8_t* row, Extent columns, std::int32_t* to) const {
    const ConvProblem& p = s_.problem;
    const std::uint8_t* from[most_dot_values];
    for (Extent t = 0; t < most_dot_values; ++t) {  // beyond the last channel, whose weights are 0, any other
      const Extent channel = std::min(plane_ * s_.grid.values + t, p.C_per_group() - 1);
      from[t] = row + channel * p.H * p.W;
    }
    pack({from[0], from[1], from[2], from[3]}, columns, to);
  }

 private:
  // Words of a padded row, one per column.
  void fill_words(const std::uint8_t* row, std::int32_t* to, Extent count) const {
    const ConvProblem& p = s_.problem;
    const WordGrid& g = s_.grid;
    if (g.along_taps) {
      const Extent bytes = count + g.tap_reach, left = std::min(p.pad_left, bytes), live = std::min(p.W, bytes - left);
      std::fill_n(bytes_, left, zero_);
      std::copy_n(row + plane_ * p.H * p.W, live, bytes_ + left);
      std::fill(bytes_ + left + live, bytes_ + bytes, zero_);
      const std::uint8_t* from[most_dot_values];
      for (Extent t = 0; t < most_dot_values; ++t) from[t] = bytes_ + (t < g.values ? t * p.dilation_w : 0);
      pack({from[0], from[1], from[2], from[3]}, count, to);
      return;
    }
    const Extent left = std::min(p.pad_left, count), live = std::min(p.W, count - left);
    blank(left, to);
    pack_channels(row, live, to + left);
    blank(count - left - live, to + left + live);
  }

  void pack(std::initializer_list<const std::uint8_t*> from, Extent columns, std::int32_t* to) const {
    DotPack made{{}, columns, to, s_.is_signed, s_.zero};
    std::copy(from.begin(), from.end(), made.from);
    s_.kernels.pack(made);
  }

  const StripSource& s_;
  Extent plane_;
  std::uint8_t* bytes_;
  std::int32_t* words_;
  std::uint8_t zero_;
  std::int32_t blank_;
};

}  // namespace

std::size_t strip_scratch_bytes(const WordGrid& grid) {
  return bytes_of<std::uint8_t>(PlaneFiller::row_bytes(grid)) + bytes_of<std::int32_t>(grid.row_words);
}

void fill_strip(const StripSource& source, const std::uint8_t* image, Extent first, Extent rows, std::uint8_t* scratch,
                std::int32_t* strip) {
  const ConvProblem& p = source.problem;
  const WordGrid& g = source.grid;
  const Extent strip_rows = g.strip_rows - g.block_rows + rows, sets = Extent(g.columns.size());
  // Its rows are as long as those of the image, and follow one another in both.
  const bool whole = !g.along_taps && g.row_words == 0 && p.stride_h == 1 && !p.has_padding();
  for (Extent plane = 0; plane < g.planes; ++plane) {
    const PlaneFiller filler(source, plane, scratch);
    for (const Extent row_phase : g.row_phases) {
      const Extent top = first * p.stride_h + row_phase - p.pad_top;
      if (whole) {
        filler.pack_channels(image + top * p.W, strip_rows * p.W, strip);
        strip += g.plane_words();
        continue;
      }
      std::int32_t* to = strip;
      for (Extent i = 0; i < strip_rows; ++i, to += g.pitch) {
        const Extent h = top + i * p.stride_h;
        if (h >= 0 && h < p.H) {
          filler.fill(image + h * p.W, to, g.plane_words());
        } else {
          for (Extent set = 0; set < sets; ++set) filler.blank(g.pitch, to + set * g.plane_words());
        }
      }
      for (Extent set = 0; set < sets; ++set) {
        filler.blank(g.shared, strip + set * g.plane_words() + strip_rows * g.pitch);
      }
      strip += sets * g.plane_words();
    }
  }
}

}  // namespace fastconv
