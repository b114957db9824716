// What the machine can do: independent FMAs in registers, and plain reading, filling and copying of memory.
#pragma once

#include "kernels/vec.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// 12 sums hide an FMA latency of 4-6 cycles on two pipes, and leave room in 16 registers. The empty asm keeps each sum
// alive in a register without costing an instruction.
template <class T>
double fma_rounds(ptrdiff_t rounds) {
  using V = Vec<T>;
  constexpr int sums = vector_registers == 32 ? 24 : 12;
  V sum[sums];
#pragma GCC unroll 32
  for (int i = 0; i < sums; ++i) sum[i] = V::broadcast(T(i));
  const V a = V::broadcast(T(0.999)), b = V::broadcast(T(0.001));
  for (ptrdiff_t r = 0; r < rounds; ++r)
#pragma GCC unroll 32
    for (int i = 0; i < sums; ++i) sum[i] = fma(sum[i], a, b);
  V total = sum[0];
#pragma GCC unroll 32
  for (int i = 1; i < sums; ++i) total = add(total, sum[i]);
  T lane[V::lanes];
  total.store(lane);
  volatile T sink = lane[0];
  (void)sink;
  return 2.0 * double(rounds) * sums * V::lanes;
}

template <class T>
T read(const T* from, ptrdiff_t n) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  V sum[8];
  for (int i = 0; i < 8; ++i) sum[i] = V::zero();
  for (ptrdiff_t i = 0; i + 8 * L <= n; i += 8 * L)
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) sum[j] = add(sum[j], V::load(from + i + j * L));
  V total = sum[0];
  for (int i = 1; i < 8; ++i) total = add(total, sum[i]);
  T lane[L], result = 0;
  total.store(lane);
  for (int i = 0; i < L; ++i) result += lane[i];
  return result;
}

template <class T>
void write(T* to, ptrdiff_t n) {
  using V = Vec<T>;
  const V one = V::broadcast(T(1));
  for (ptrdiff_t i = 0; i + 4 * V::lanes <= n; i += 4 * V::lanes)
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) one.store(to + i + j * V::lanes);
}

template <class T>
void copy(T* to, const T* from, ptrdiff_t n) {
  using V = Vec<T>;
  for (ptrdiff_t i = 0; i + 4 * V::lanes <= n; i += 4 * V::lanes)
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) V::load(from + i + j * V::lanes).store(to + i + j * V::lanes);
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
