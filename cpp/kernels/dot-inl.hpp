// The kernels for words of whole numbers, over the ISA's `Words`: included once by each isa/dot_*.cpp, after it.
#pragma once

#include "kernels/dot_scale-inl.hpp"

#define FASTCONV_STRING_OF(x) #x
#define FASTCONV_STRING(x) FASTCONV_STRING_OF(x)

namespace fastconv::FASTCONV_ISA {
namespace {

// As pixel_tile in tile-inl.hpp: arrays and loops of constant length, so that every sum stays in a register.
template <int M, int NV>
void dot_tile(const DotTile& tile) {
  constexpr int L = Words::lanes;
  Words sum[M][NV];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
    const Words start = Words::broadcast(tile.initial[m]);
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) sum[m][j] = start;
  }
  const int32_t* weight = tile.weights;
  const ptrdiff_t* offset = tile.offset;
#pragma GCC unroll 1
  for (const ptrdiff_t* end = offset + tile.steps; offset != end; ++offset, weight += M) {
    const int32_t* pixel = tile.pixels + *offset;
    Words p[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) p[j] = Words::load(pixel + j * L);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const Words w = Words::broadcast(weight[m]);
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) sum[m][j] = dot(p[j], w, sum[m][j]);
    }
  }
  int32_t* out = tile.out;
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m, out += tile.ld) {
#pragma GCC unroll 4
    for (int j = 0; j < NV - 1; ++j) sum[m][j].store(out + j * L);
    if (tile.tail == L)
      sum[m][NV - 1].store(out + (NV - 1) * L);
    else
      sum[m][NV - 1].store(out + (NV - 1) * L, tile.tail);
  }
}

// Lanes are filters. The sums of one to three pixels are made in four parts, as they would wait for one another.
template <int Pixels>
void dot_few(const DotTile& tile) {
  constexpr int parts = Pixels < 4 ? 4 : 1;
  const ptrdiff_t rows = tile.rows;
  Words sum[parts][Pixels];
#pragma GCC unroll 8
  for (int j = 0; j < Pixels; ++j) {
    sum[0][j] = Words::load(tile.initial, int(rows));
#pragma GCC unroll 4
    for (int i = 1; i < parts; ++i) sum[i][j] = Words::broadcast(0);
  }
  const int32_t* weight = tile.weights;
  ptrdiff_t step = 0;
#pragma GCC unroll 1
  for (; step + parts <= tile.steps; step += parts) {
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i, weight += rows) {
      const Words w = Words::load(weight, int(rows));
      const int32_t* const pixel = tile.pixels + tile.offset[step + i];
#pragma GCC unroll 8
      for (int j = 0; j < Pixels; ++j) sum[i][j] = dot(Words::broadcast(pixel[j]), w, sum[i][j]);
    }
  }
  for (; step < tile.steps; ++step, weight += rows) {
    const Words w = Words::load(weight, int(rows));
    const int32_t* const pixel = tile.pixels + tile.offset[step];
#pragma GCC unroll 8
    for (int j = 0; j < Pixels; ++j) sum[0][j] = dot(Words::broadcast(pixel[j]), w, sum[0][j]);
  }
#pragma GCC unroll 8
  for (int j = 0; j < Pixels; ++j) {
    Words whole = sum[0][j];
#pragma GCC unroll 4
    for (int i = 1; i < parts; ++i) whole = plus(whole, sum[i][j]);
    int32_t value[Words::lanes];
    whole.store(value);
    for (ptrdiff_t m = 0; m < rows; ++m) tile.out[m * tile.ld + j] = value[m];
  }
}

template <bool Scaled, bool Bounded>
void finish_as(const DotFinish& f) {
  constexpr int L = Words::lanes;
  const Words zero = Words::broadcast(f.weight_zero);
  const DotScale scale = Scaled ? *f.scale : DotScale{};
  ptrdiff_t i = 0;
  if (Scaled && !Bounded && scaled_together > 1) {
    for (; i + scaled_together * L <= f.count; i += scaled_together * L) {
      Words sum[scaled_together];
#pragma GCC unroll 4
      for (int j = 0; j < scaled_together; ++j) {
        sum[j] = Words::load(f.from + i + j * L);
        if (f.window) sum[j] = less(sum[j], times(zero, Words::load(f.window + i + j * L)));
      }
      store_together(sum, scale, static_cast<uint8_t*>(f.to) + i);
    }
  }
  for (; i < f.count; i += L) {
    const int live = f.count - i < L ? int(f.count - i) : L;
    Words sum = live == L ? Words::load(f.from + i) : Words::load(f.from + i, live);
    if (f.window) sum = less(sum, times(zero, live == L ? Words::load(f.window + i) : Words::load(f.window + i, live)));
    if (Scaled) {
      store_bytes<Bounded>(scaled<Bounded>(sum, scale), scale, static_cast<uint8_t*>(f.to) + i, live);
    } else if (live == L) {
      sum.store(static_cast<int32_t*>(f.to) + i);
    } else {
      sum.store(static_cast<int32_t*>(f.to) + i, live);
    }
  }
}

void finish(const DotFinish& f) {
  if (!f.scale)
    finish_as<false, false>(f);
  else
    needs_bounds(*f.scale) ? finish_as<true, true>(f) : finish_as<true, false>(f);
}

template <int M, int NV>
constexpr void put_tiles(DotKernels& set) {
  if constexpr (NV <= max_dot_vectors && M <= max_dot_rows) {
    if constexpr (holds_tile(M, NV)) set.tile[M][NV] = dot_tile<M, NV>;
    put_tiles<M == max_dot_rows ? 1 : M + 1, M == max_dot_rows ? NV + 1 : NV>(set);
  }
}

template <int Pixels>
constexpr void put_few(DotKernels& set) {
  if constexpr (Pixels <= max_dot_few) {
    set.few[Pixels] = dot_few<Pixels>;
    put_few<Pixels + 1>(set);
  }
}

constexpr DotKernels kernel_table() {
  DotKernels set{};
  set.isa = FASTCONV_STRING(FASTCONV_ISA);
  set.lanes = Words::lanes;
  set.values = values_of_word;
  set.keeps_zeros = keeps_zeros;
  set.rows = tile_rows;
  put_tiles<1, 1>(set);
  put_few<1>(set);
  set.pack = pack;
  set.finish = finish;
  put_depthwise(set);
  return set;
}

}  // namespace

extern const DotKernels kernels;
constexpr DotKernels kernels = kernel_table();

}  // namespace fastconv::FASTCONV_ISA
