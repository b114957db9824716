// How the rest of the library reaches the kernels: the set of the active ISA, by element type.
#pragma once

#include "kernels/dot_set.hpp"
#include "kernels/kernel_set.hpp"

namespace fastconv {

const Kernels& active_kernels();
const DotKernels& active_dot_kernels();  // the best that go with the active ISA

template <class T>
const KernelSet<T>& kernel_set(const Kernels& kernels) {
  if constexpr (sizeof(T) == sizeof(float))
    return kernels.f32;
  else
    return kernels.f64;
}

}  // namespace fastconv
