#include "gemm/gemm.hpp"

#include <algorithm>
#include <limits>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "gemm/im2col_block.hpp"

namespace fastconv {

namespace {

// Columns of B per task: its packed block (part x columns) takes at most half of a 1 MiB L2.
template <class T>
Extent block_columns(Extent N) {
  const Extent most = 256;
  return (Split(N, most).size(0) + 63) / 64 * 64;
}

}  // namespace

template <class T>
std::size_t gemm_workspace(Extent M, Extent N, Extent K, const Resources& resources) {
  const std::size_t a = round_up(std::size_t(M * K) * sizeof(T), cache_line);
  const std::size_t offsets = round_up(std::size_t(K) * sizeof(std::ptrdiff_t), cache_line);
  const std::size_t block = round_up(std::size_t(part_of<T>(K) * block_columns<T>(N)) * sizeof(T), cache_line);
  return a + offsets + block * std::size_t(resources.threads);
}

template <class T>
bool gemm(Extent M, Extent N, Extent K, const T* a, const T* b, T* c, const Resources& resources, std::byte* workspace) {
  const KernelSet<T>& set = kernel_set<T>(*resources.kernels);
  const Extent part = part_of<T>(K), block_width = block_columns<T>(N), strip = strip_width(set, M);
  T* packed = reinterpret_cast<T*>(workspace);
  workspace += round_up(std::size_t(M * K) * sizeof(T), cache_line);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(workspace);
  workspace += round_up(std::size_t(K) * sizeof(std::ptrdiff_t), cache_line);
  const std::size_t block_bytes = round_up(std::size_t(part * block_width) * sizeof(T), cache_line);
  for (Extent i = 0; i < K; ++i) offset[i] = i % part * strip;

  const Split row_panels(M, set.pixel_rows);
  const bool packed_all = parallel_for(row_panels.parts, resources.threads, [&](Extent panel, int) {
    const Extent first = row_panels.begin(panel);
    pack_pixel_lanes(set, a + first * K, row_panels.size(panel), K, packed + first * K);
  });
  if (!packed_all) return false;

  return parallel_for((N + block_width - 1) / block_width, resources.threads, [&](Extent task, int thread) {
    T* block = reinterpret_cast<T*>(workspace + block_bytes * std::size_t(thread));
    const Extent first_column = task * block_width, width = std::min(block_width, N - first_column);
    for (Extent first = 0; first < K; first += part) {
      const Extent last = std::min(K, first + part);
      for (Extent i = first; i < last; ++i)
        for (Extent j = 0; j < width; j += strip)
          std::copy_n(b + i * N + first_column + j, std::min(strip, width - j), block + j * part + (i - first) * strip);
      Product<T> product{set, packed, M, K, block, offset, 1, 0, width, c + first_column, N, N,
                         {nullptr, -std::numeric_limits<T>::infinity(), std::numeric_limits<T>::infinity(), {}, 0}};
      product.strip_step = part * strip;
      product.first_step = first;
      product.last_step = last;
      multiply_pixel_lanes(product);
    }
  });
}

template std::size_t gemm_workspace<float>(Extent, Extent, Extent, const Resources&);
template std::size_t gemm_workspace<double>(Extent, Extent, Extent, const Resources&);
template bool gemm(Extent, Extent, Extent, const float*, const float*, float*, const Resources&, std::byte*);
template bool gemm(Extent, Extent, Extent, const double*, const double*, double*, const Resources&, std::byte*);

}  // namespace fastconv
