// The image as the input's transform reads it.
#pragma once

#include <algorithm>

#include "winograd/blocking.hpp"

namespace fastconv::filtering {

// Rows of the image: [row][pixel][lane], the last few that were asked for. Row u of an
// interleaved layer is the image's row `first + u * step`. Lanes without a channel hold anything: no product reads
// them.
template <class T>
class Strip {
 public:
  Strip(const Blocking<T>& b, const KernelSet<T>& set, const ConvProblem& p, Extent column, T* rows)
      : b_(b),
        set_(set),
        p_(p),
        rows_(rows),
        begin_(std::clamp<Extent>(column, 0, p.W)),
        pixels_(std::clamp<Extent>(column + b.reach, begin_, p.W) - begin_) {}

  // Other channels, or another layer: nothing is here yet, [u, last) may be asked for.
  void start(const T* image, Extent channel, Extent channels, Extent first, Extent step, Extent u, Extent last) {
    image_ = image;
    channel_ = channel;
    channels_ = channels;
    first_ = first;
    step_ = step;
    loaded_ = u;
    last_ = last;
  }

  // Rows [u, end) are to be here, with as many more as fit.
  void need(Extent u, Extent end) {
    if (loaded_ >= end) return;
    const Extent until = std::min(last_, u + b_.ring);
    while (loaded_ < until) {
      const Extent at = loaded_ % b_.ring, run = std::min(until - loaded_, b_.ring - at);
      load(loaded_, run, rows_ + at * b_.strip_pixels * b_.lanes);
      loaded_ += run;
    }
  }

  // Column w of row u; null if the row lies outside the image.
  const T* at(Extent u, Extent w) const {
    const Extent h = first_ + u * step_;
    if (h < 0 || h >= p_.H) return nullptr;
    return rows_ + (u % b_.ring * b_.strip_pixels + w - begin_) * b_.lanes;
  }

 private:
  void load(Extent u, Extent count, T* to) {
    const Extent h = first_ + u * step_, row = b_.strip_pixels * b_.lanes;
    if (step_ == 1 && pixels_ == p_.W) {  // rows lie side by side, here and in the image
      const Extent low = std::clamp<Extent>(-h, 0, count), high = std::clamp<Extent>(p_.H - h, low, count);
      if (low < high) copy((h + low) * p_.W, (high - low) * p_.W, to + low * row);
      return;
    }
    for (Extent i = 0; i < count; ++i, to += row)
      if (h + i * step_ >= 0 && h + i * step_ < p_.H) copy((h + i * step_) * p_.W + begin_, pixels_, to);
  }
  void copy(Extent pixel, Extent count, T* to) const {
    if (count == 0) return;
    const Extent pixels = p_.H * p_.W;
    if (p_.layout == Layout::nchw)
      set_.transpose_pack(
          {image_ + channel_ * pixels + pixel, pixels, channels_, count, to, b_.lanes, b_.lanes, nullptr});
    else
      set_.window_rows({image_, pixels, p_.C, pixel, 1, channel_, 1, count, b_.lanes, to, b_.lanes});
  }

  const Blocking<T>& b_;
  const KernelSet<T>& set_;
  const ConvProblem& p_;
  T* const rows_;
  const Extent begin_, pixels_;
  const T* image_ = nullptr;
  Extent channel_ = 0, channels_ = 0, first_ = 0, step_ = 1, loaded_ = 0, last_ = 0;
};

}  // namespace fastconv::filtering
