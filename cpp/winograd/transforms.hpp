// The 2-D transforms of a block, nested from those along one axis, and the way from and to the image: through strips of
// pixels with one vector of channels each, so that layouts, borders, strides and dilations are a matter of addresses.
#pragma once

#include "fastconv/algorithm.hpp"
#include "winograd/blocking.hpp"

namespace fastconv::filtering {

// V[point][tile][phase, channel] of a block, for one group of channels.
template <class T>
void transform_input(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const ConvProblem& p,
                     const T* images, Extent group, const Slice<T>& slice);

// The results of `filters` filters, of which the first is number `filter` of all, from M[point][tile][filter]. The
// epilogue's bias and the scales, which their weights were divided by, are those from the first on.
template <class T>
void transform_output(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const ConvProblem& p,
                      Extent filters, Extent filter, const Epilogue<T>& epilogue, const T* scales, T* output,
                      const Slice<T>& slice);

}  // namespace fastconv::filtering
