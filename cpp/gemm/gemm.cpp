#include "gemm/gemm.hpp"

#include <algorithm>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"

namespace fastconv {

namespace {

template <class T>
struct Blocking {
  Extent part, strip, width, strip_step;
  std::size_t packed_bytes, offsets_bytes, block_bytes;

  Blocking(Extent M, Extent N, Extent K, const KernelSet<T>& set) {
    constexpr Extent line = Extent(cache_line / sizeof(T));
    // Long parts and wide blocks: C passes by once at K <= 1024, and A half as often, for panels that then stream from
    // L2. At 1024 x 1024 x 1024, 1024 steps by 512 columns give 88-90 % of peak, 512 by 512 86 %, 512 by 256 82-86 %.
    part = Split(K, Extent(4096 / sizeof(T))).size(0);
    strip = strip_width(set, M);
    const Extent strips = Split((N + strip - 1) / strip, std::max<Extent>(1, 512 / strip)).size(0);
    width = strips * strip;
    // One line more than full: strips a power of two apart would be written to the same sets of L1.
    strip_step = part * strip + line;
    packed_bytes = round_up(std::size_t(M * K) * sizeof(T), cache_line);
    offsets_bytes = round_up(std::size_t(K) * sizeof(std::ptrdiff_t), cache_line);
    block_bytes = round_up(std::size_t(strips * strip_step) * sizeof(T), cache_line);
  }
};

}  // namespace

template <class T>
std::size_t gemm_workspace(Extent M, Extent N, Extent K, const Resources& resources) {
  const Blocking<T> b(M, N, K, kernel_set<T>(*resources.kernels));
  return b.packed_bytes + b.offsets_bytes + b.block_bytes * std::size_t(resources.threads);
}

template <class T>
bool gemm(Extent M, Extent N, Extent K, const T* a, const T* b, T* c, const Resources& resources,
          std::byte* workspace) {
  const KernelSet<T>& set = kernel_set<T>(*resources.kernels);
  const Blocking<T> by(M, N, K, set);
  T* packed = reinterpret_cast<T*>(workspace);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(workspace + by.packed_bytes);
  std::byte* blocks = workspace + by.packed_bytes + by.offsets_bytes;
  for (Extent i = 0; i < K; ++i) offset[i] = i % by.part * by.strip;

  const Split row_panels(M, set.pixel_rows);
  const bool packed_all = parallel_for(row_panels.parts, resources.threads, [&](Extent panel, int) {
    const Extent first = row_panels.begin(panel);
    pack_pixel_lanes(set, a + first * K, row_panels.size(panel), K, packed + first * K);
  });
  if (!packed_all) return false;

  return parallel_for((N + by.width - 1) / by.width, resources.threads, [&](Extent task, int thread) {
    T* block = reinterpret_cast<T*>(blocks + by.block_bytes * std::size_t(thread));
    const Extent first_column = task * by.width, columns = std::min(by.width, N - first_column);
    Product<T> product{set, packed, M, K, block, offset, 1, 0, columns, c + first_column, N, N, no_epilogue<T>()};
    product.strip_step = by.strip_step;
    product.part = by.part;
    for (Extent first = 0; first < K; first += by.part) {
      product.first_step = first;
      product.last_step = std::min(K, first + by.part);
      set.strip_pack(
          {b + first * N + first_column, N, product.last_step - first, columns, block, by.strip, by.strip_step});
      multiply_pixel_lanes(product);
    }
  });
}

template std::size_t gemm_workspace<float>(Extent, Extent, Extent, const Resources&);
template std::size_t gemm_workspace<double>(Extent, Extent, Extent, const Resources&);
template bool gemm(Extent, Extent, Extent, const float*, const float*, float*, const Resources&, std::byte*);
template bool gemm(Extent, Extent, Extent, const double*, const double*, double*, const Resources&, std::byte*);

}  // namespace fastconv
