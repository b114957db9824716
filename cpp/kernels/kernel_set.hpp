// All kernels of an ISA, for each element type: pointers that its units export, a table for each family of kernels
// (cmake/isa.cmake). Plain data only: the headers of these tables are read by units compiled for different instruction
// sets, so they must not define an inline function.
#pragma once

#include "kernels/depthwise_set.hpp"
#include "kernels/fft_set.hpp"
#include "kernels/memory_set.hpp"
#include "kernels/tile_set.hpp"
#include "kernels/winograd_set.hpp"

namespace fastconv {

// X(family, its table): FAMILY-inl.hpp in this folder makes the table.
#define FASTCONV_FAMILIES(X)      \
  X(tile, TileKernels)            \
  X(depthwise, DepthwiseKernels)  \
  X(depthwise_long, LongKernels)  \
  X(grouped, GroupedKernels)      \
  X(depthwise_lanes, LaneKernels) \
  X(tap_sums, TapKernels)         \
  X(winograd, WinogradKernels)    \
  X(fft, FftKernels)              \
  X(memory, MemoryKernels)

template <class T>
struct KernelSet : TileKernels<T>,
                   DepthwiseKernels<T>,
                   LongKernels<T>,
                   GroupedKernels<T>,
                   LaneKernels<T>,
                   TapKernels<T>,
                   WinogradKernels<T>,
                   FftKernels<T>,
                   MemoryKernels<T> {};

struct Kernels {
  const char* isa;
  KernelSet<float> f32;
  KernelSet<double> f64;
};

}  // namespace fastconv
