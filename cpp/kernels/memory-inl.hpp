// Passes over memory, one file each, and their table.
#pragma once

#include "kernels/epilogue-inl.hpp"
#include "kernels/measure-inl.hpp"
#include "kernels/pack-inl.hpp"
#include "kernels/transpose_store-inl.hpp"
#include "kernels/window_rows-inl.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

template <class T>
constexpr MemoryKernels<T> memory_table() {
  return {transpose_store<T>, transpose_pack<T>, strip_pack<T>, window_rows<T>, activate<T>,
          fma_rounds<T>,      read<T>,           write<T>,      copy<T>};
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
