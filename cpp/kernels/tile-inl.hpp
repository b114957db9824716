// The two microkernels behind every dense algorithm: one register tile of a matrix product, reduction rows by offset
// list.
//
// pixel_tile    pixels are lanes, weights are broadcast.  out[m][pixel], so NCHW images go in and out as they are.
// channel_tile  output channels are lanes, pixels are broadcast.  out[pixel][channel]: small maps waste no lanes.
//
// Both are written so that GCC keeps every sum in a register (a test reads the disassembly): arrays of constant size,
// loops of constant length, one base pointer each for weights, image and output.
#pragma once

#include "kernels/epilogue-inl.hpp"
#include "kernels/tile_set.hpp"

namespace fastconv::FASTCONV_ISA {
namespace {

// The four ways out of pixel_tile, each free of branches.
template <bool Accumulate, bool Finish, bool Tail, class T, int M, int NV>
[[gnu::always_inline]] inline void store_sums(const Tile<T>& tile, Vec<T> (&sum)[M][NV], typename Vec<T>::Mask live) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  const Epilogue<T>* epilogue = tile.epilogue;
  const V low = Finish ? V::broadcast(epilogue->low) : V::zero();
  const V high = Finish ? V::broadcast(epilogue->high) : V::zero();
  T* out = tile.out;
#pragma GCC unroll 32
  for (int m = 0; m < M; ++m, out += tile.ld) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) {
      T* to = out + j * L;
      const bool masked = Tail && j == NV - 1;
      V v = sum[m][j];
      if (Accumulate) v = add(v, masked ? V::load(to, live) : V::load(to));
      if (Finish) v = clip(v, low, high);
      if (masked)
        v.store(to, live);
      else
        v.store(to);
    }
  }
}

template <class T, int M, int NV, bool Tail>
void pixel_tile(const Tile<T>& tile) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  const auto live = V::first(Tail ? tile.tail : L);
  V sum[M][NV];
#pragma GCC unroll 32
  for (int m = 0; m < M; ++m) {
    const V start = tile.initial ? V::broadcast(tile.initial[m]) : V::zero();
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) sum[m][j] = start;
  }

  // The outputs have left L1 and perhaps L2 since they were last touched: they come in during the sum. (With the
  // weights brought in ahead, below: AVX2 1024 x 1024 x 1024 from 77-81 % of peak to 87-88.)
  if (tile.accumulate || tile.steps >= 128)
    for (int m = 0; m < M; ++m)
      for (int j = 0; j < NV * L * int(sizeof(T)); j += 64)
        __builtin_prefetch(reinterpret_cast<const char*>(tile.out + m * tile.ld) + j, 1);
  // So does what is added to them, of which a tile sees a line or two in each of many planes.
  if (tile.epilogue && tile.epilogue->residual) {
    const T* const residual = tile.epilogue->residual + (tile.out - tile.epilogue->output);
    for (int m = 0; m < M; ++m)
      for (int j = 0; j < NV * L * int(sizeof(T)); j += 64)
        __builtin_prefetch(reinterpret_cast<const char*>(residual + m * tile.ld) + j);
  }

  const T* weight = tile.packed;
  const T* ahead = tile.ahead ? tile.ahead : weight;  // as in channel_tile
  const ptrdiff_t* offset = tile.offset;
#pragma GCC unroll tile_unroll
  for (const ptrdiff_t* end = offset + tile.steps; offset != end; ++offset, weight += M) {
    const T* pixel = tile.streamed + *offset;
    __builtin_prefetch(ahead, 0, 2);
    ahead += tile.ahead_step;
    V p[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) p[j] = Tail && j == NV - 1 ? V::load(pixel + j * L, live) : V::load(pixel + j * L);
#pragma GCC unroll 32
    for (int m = 0; m < M; ++m) {
      const V w = V::broadcast(weight[m]);
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[m][j] = fma(w, p[j], sum[m][j]);
    }
  }

  const Epilogue<T>* epilogue = tile.epilogue;
  if (epilogue && clips(*epilogue))
    tile.accumulate ? store_sums<true, true, Tail>(tile, sum, live) : store_sums<false, true, Tail>(tile, sum, live);
  else
    tile.accumulate ? store_sums<true, false, Tail>(tile, sum, live) : store_sums<false, false, Tail>(tile, sum, live);
  if (epilogue && epilogue->second_pass)
    for (int m = 0; m < M; ++m) activate(tile.out + m * tile.ld, (NV - 1) * L + (Tail ? tile.tail : L), *epilogue);
}

// The p-th of the pixels that lie `step` bytes apart. A multiple of the step is one addressing mode, so seven pixels
// share a base. Steps hidden from the optimiser, or it keeps every multiple in a register of its own and spills them.
struct PixelSteps {
  ptrdiff_t one, three, five, seven;
};

[[gnu::always_inline]] inline ptrdiff_t pixel_offset(const PixelSteps& step, int p) {
  switch (p % 7) {
    case 1:
      return step.one;
    case 2:
      return 2 * step.one;
    case 3:
      return step.three;
    case 4:
      return 4 * step.one;
    case 5:
      return step.five;
    case 6:
      return 2 * step.three;
    default:
      return 0;
  }
}

template <class T, int PX, int NV>
void channel_tile(const Tile<T>& tile) {
  using V = Vec<T>;
  constexpr int L = V::lanes;
  V sum[PX][NV];
#pragma GCC unroll 8
  for (int j = 0; j < NV; ++j) {
    const V start = tile.initial ? V::load(tile.initial + j * L) : V::zero();
#pragma GCC unroll 32
    for (int p = 0; p < PX; ++p) sum[p][j] = start;
  }

  const T* weight = tile.packed;
  // Nothing to bring in: a line that is in L1 anyway, which costs nothing measurable, and no second copy of the loop.
  const T* ahead = tile.ahead ? tile.ahead : weight;
  const ptrdiff_t* offset = tile.offset;
  const ptrdiff_t step = tile.pixel_step * ptrdiff_t(sizeof(T));
  PixelSteps steps{step, 3 * step, 5 * step, 7 * step};
#pragma GCC unroll tile_unroll
  for (const ptrdiff_t* end = offset + tile.steps; offset != end; ++offset, weight += NV * L) {
    const char* pixel = reinterpret_cast<const char*>(tile.streamed + *offset);
    asm("" : "+r"(steps.one), "+r"(steps.three), "+r"(steps.five));
    __builtin_prefetch(ahead, 0, 2);
    __builtin_prefetch(ahead + tile.ahead_step / 2, 0, 2);
    ahead += tile.ahead_step;
    V w[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) w[j] = V::load(weight + j * L);
#pragma GCC unroll 32
    for (int p = 0; p < PX; ++p) {
      if (p && p % 7 == 0) pixel += steps.seven;
      const V x = V::broadcast(*reinterpret_cast<const T*>(pixel + pixel_offset(steps, p)));
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[p][j] = fma(x, w[j], sum[p][j]);
    }
  }

  // Parts are summed apart and then added: a sum of thousands of terms in one chain loses ten times the digits on a
  // photograph (11x11 on 64 channels: 2e-5 against 2e-6 of the rms).
  if (tile.accumulate) {
#pragma GCC unroll 32
    for (int p = 0; p < PX; ++p)
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[p][j] = add(sum[p][j], V::load(tile.out + p * tile.ld + j * L));
  }
  if (tile.epilogue && clips(*tile.epilogue)) {
    const V low = V::broadcast(tile.epilogue->low), high = V::broadcast(tile.epilogue->high);
#pragma GCC unroll 32
    for (int p = 0; p < PX; ++p)
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[p][j] = clip(sum[p][j], low, high);
  }
#pragma GCC unroll 32
  for (int p = 0; p < PX; ++p)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) sum[p][j].store(tile.out + p * tile.ld + j * L);
}

// Tiles that the registers hold: sums, the vectors of one operand, one broadcast; for masked tails on AVX2 the mask
// too.
constexpr bool fits(int rows, int vectors, int masks) {
  return rows * vectors + vectors + 1 + masks <= vector_registers;
}

template <class T, int M, int NV>
constexpr void put_pixel_tiles(TileKernels<T>& set) {
  if constexpr (fits(M, NV, mask_registers) && (NV <= tile_pixel_vectors || M <= 4 || M <= tile_short_rows)) {
    set.pixel_tile[0][M][NV] = pixel_tile<T, M, NV, false>;
    set.pixel_tile[1][M][NV] = pixel_tile<T, M, NV, true>;
  }
  if constexpr (NV < max_pixel_vectors)
    put_pixel_tiles<T, M, NV + 1>(set);
  else if constexpr (M < tile_pixel_rows)
    put_pixel_tiles<T, M + 1, 1>(set);
}

template <class T, int PX, int NV>
constexpr void put_channel_tiles(TileKernels<T>& set) {
  if constexpr (fits(PX, NV, 0)) set.channel_tile[PX][NV] = channel_tile<T, PX, NV>;
  if constexpr (NV < max_channel_vectors)
    put_channel_tiles<T, PX, NV + 1>(set);
  else if constexpr (PX < max_channel_pixels)
    put_channel_tiles<T, PX + 1, 1>(set);
}

template <class T>
constexpr TileKernels<T> tile_table() {
  TileKernels<T> set{};
  set.lanes = Vec<T>::lanes;
  set.nominal_gflops = nominal_gflops * 4 / sizeof(T);
  set.pixel_rows = tile_pixel_rows;
  set.pixel_vectors = tile_pixel_vectors;
  set.short_rows = tile_short_rows;
  put_pixel_tiles<T, 1, 1>(set);
  set.channel_pixels = tile_channel_pixels;
  set.channel_vectors = tile_channel_vectors;
  set.run_vectors = run_vectors;
  set.run_part = run_part;
  put_channel_tiles<T, 1, 1>(set);
  return set;
}

}  // namespace
}  // namespace fastconv::FASTCONV_ISA
