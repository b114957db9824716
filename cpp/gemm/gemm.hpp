// Plain matrix product, five loops with both operands packed: the measure of the microkernel.
// Goto & van de Geijn, ACM TOMS 34(3), 2008.
#pragma once

#include "fastconv/algorithm.hpp"
#include "gemm/product.hpp"

namespace fastconv {

// C[M][N] = A[M][K] * B[K][N], all row-major and contiguous, in parallel. Letters here are the GEMM's own.
template <class T>
std::size_t gemm_workspace(Extent M, Extent N, Extent K, const Resources& resources);
template <class T>
bool gemm(Extent M, Extent N, Extent K, const T* a, const T* b, T* c, const Resources& resources, std::byte* workspace);

}  // namespace fastconv
