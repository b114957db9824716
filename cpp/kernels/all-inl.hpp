// Every kernel, and the table of them that this unit exports. Included once by each isa/*.cpp, after its Vec.
#include "kernels/depthwise-inl.hpp"
#include "kernels/depthwise_lanes-inl.hpp"
#include "kernels/depthwise_long-inl.hpp"
#include "kernels/depthwise_pixel-inl.hpp"
#include "kernels/fft-inl.hpp"
#include "kernels/grouped-inl.hpp"
#include "kernels/measure-inl.hpp"
#include "kernels/pack-inl.hpp"
#include "kernels/tap_sums-inl.hpp"
#include "kernels/tile-inl.hpp"
#include "kernels/transpose_store-inl.hpp"
#include "kernels/window_rows-inl.hpp"
#include "kernels/winograd-inl.hpp"
#include "kernels/winograd_weights-inl.hpp"

#define FASTCONV_STRING_OF(x) #x
#define FASTCONV_STRING(x) FASTCONV_STRING_OF(x)

namespace fastconv::FASTCONV_ISA {
namespace {

template <class T>
constexpr KernelSet<T> kernel_set() {
  KernelSet<T> set{};
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
  set.transpose_store = transpose_store<T>;
  set.transpose_pack = transpose_pack<T>;
  set.strip_pack = strip_pack<T>;
  set.window_rows = window_rows<T>;
  set.activate = activate<T>;
  put_winograd(set);
  put_fft(set);
  set.winograd_weights = winograd_weights<T>;
  set.depthwise_rows = depthwise_rows<T>;
  set.depthwise_long = depthwise_long<T>;
  set.grouped_filters[0] = most_tile_filters<1>;
  set.grouped_filters[1] = most_tile_filters<2>;
  set.grouped_rows = grouped_rows<T>;
  set.depthwise_strip = depthwise_strip<T>;
  set.depthwise_pixel = depthwise_pixel<T>;
  set.depthwise_lane_rows = vector_registers >= 32 ? 2 : 1;
  set.depthwise_lanes = depthwise_lanes<T>;
  set.tap_sums = tap_sums<T>;
  set.tap_grid = tap_grid<T>;
  set.fma_rounds = fma_rounds<T>;
  set.read = read<T>;
  set.write = write<T>;
  set.copy = copy<T>;
  return set;
}

}  // namespace

extern const Kernels kernels;
constexpr Kernels kernels = {FASTCONV_STRING(FASTCONV_ISA), kernel_set<float>(), kernel_set<double>()};

}  // namespace fastconv::FASTCONV_ISA
