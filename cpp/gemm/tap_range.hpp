// Which taps of a window, or which outputs of a tap, lie inside the image.
#pragma once

#include <algorithm>

#include "gemm/product.hpp"

namespace fastconv {

// The i in [0, count) with 0 <= start + i * step < size.
struct TapRange {
  Extent begin, end;
  TapRange(Extent start, Extent step, Extent count, Extent size)
      : begin(start < 0 ? std::min(count, ceil_div(-start, step)) : 0),
        end(start < size ? std::clamp<Extent>((size - 1 - start) / step + 1, begin, count) : begin) {}
  Extent size() const { return end - begin; }
};

}  // namespace fastconv
