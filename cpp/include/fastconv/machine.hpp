// What the machine at hand can do, measured with the library's own kernels: the yardstick for every share of peak
// quoted.
#pragma once

#include <cstddef>

#include "fastconv/dtype.hpp"

namespace fastconv {

// GFLOP/s of independent FMAs in registers with the active ISA and the present number of threads: the best of the
// intervals of about 2 ms that fit into `seconds`.
double fma_peak(DType dtype, double seconds);

// GB/s over `bytes` per thread, best interval likewise. A copy counts the bytes read and the bytes written.
enum class Traffic { read, write, copy };
double bandwidth(Traffic traffic, std::size_t bytes, double seconds);

// C[M][N] = A[M][K] * B[K][N], row-major, by the library's own GEMM with both operands packed in the call.
// False if interrupted.
bool matrix_product(DType dtype, long long M, long long N, long long K, const void* a, const void* b, void* c);

}  // namespace fastconv
