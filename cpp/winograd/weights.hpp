// Weights into the transformed domain.
#pragma once

#include "winograd/blocking.hpp"

namespace fastconv::filtering {

// Values of one group.
template <class T>
Extent packed_group(const Domain& domain, const KernelSet<T>& set, Extent filters) {
  return domain.all() * padded_filters(set, filters);
}

// U[panel][point][step][filter of the panel] = G g G^T in double, rounded once; the last panel as wide as its whole
// vectors. `weight` is K C R S; filter k is divided by scales[k].
template <class T>
void pack_weights(const Variant& variant, const Tilings& tilings, const KernelSet<T>& set, const T* weight,
                  const T* scales, Extent filters, Extent channels, T* packed);

}  // namespace fastconv::filtering
