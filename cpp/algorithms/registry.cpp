// The list. To add an algorithm, add its file and a line here; tests, benchmarks and documents read this list.
#include "fastconv/algorithm.hpp"

// In this order they are listed: special shapes first, general ones after, the slow ones last.
#define FASTCONV_ALGORITHMS(X) \
  X(pointwise)                 \
  X(matvec)                    \
  X(depthwise)                 \
  X(grouped)                   \
  X(winograd)                  \
  X(fft)                       \
  X(direct)                    \
  X(im2col)                    \
  X(dense)                     \
  X(reference)

namespace fastconv {

#define FASTCONV_DECLARE(name) extern const Algorithm name;
FASTCONV_ALGORITHMS(FASTCONV_DECLARE)

#define FASTCONV_ADDRESS(name) &name,
std::span<const Algorithm* const> algorithms() {
  static const Algorithm* const list[] = {FASTCONV_ALGORITHMS(FASTCONV_ADDRESS)};
  return list;
}

const Algorithm* find_algorithm(const std::string& name) {
  for (const Algorithm* algorithm : algorithms())
    if (name == algorithm->name) return algorithm;
  return nullptr;
}

}  // namespace fastconv
