#include "gemm/gemm.hpp"

#include <algorithm>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"

namespace fastconv {

namespace {

template <class T>
struct Blocking {
  Extent part, strip, width, strip_step, group;
  std::size_t packed_bytes, offset_bytes, block_bytes;

  Blocking(Extent M, Extent N, Extent K, const KernelSet<T>& set) {
    constexpr Extent line = Extent(cache_line / sizeof(T));
    // Long parts and wide blocks: C passes by once at K <= 1024. (At 1024 x 1024 x 1024: 86 % of peak with parts of
    // 512, 88-92 % with 1024.) A block lies in L3; a task works on a group of its strips that fits L2 well, for many
    // panels of A, so that only the first of them waits for L3. (A quarter of L2 is 1-6 points better than half of it.)
    part = Split(K, Extent(4096 / sizeof(T))).size(0);
    strip = strip_width(set, M, K);
    const Extent strips = Split((N + strip - 1) / strip, std::max<Extent>(1, 1024 / strip)).size(0);
    width = strips * strip;
    // One line more than full: strips a power of two apart would be written to the same sets of L1.
    strip_step = part * strip + line;
    group = std::max<Extent>(1, Extent(l2_share / 2 / sizeof(T)) / strip_step);  // strips
    packed_bytes = bytes_of<T>(M * K);
    offset_bytes = offsets_bytes(K);
    block_bytes = bytes_of<T>(strips * strip_step);
  }
};

}  // namespace

template <class T>
std::size_t gemm_workspace(Extent M, Extent N, Extent K, const Resources& resources) {
  const Blocking<T> by(M, N, K, kernel_set<T>(*resources.kernels));
  return by.packed_bytes + by.offset_bytes + by.block_bytes;
}

template <class T>
bool gemm(Extent M, Extent N, Extent K, const T* a, const T* b, T* c, const Resources& resources,
          std::byte* workspace) {
  const KernelSet<T>& set = kernel_set<T>(*resources.kernels);
  const Blocking<T> by(M, N, K, set);
  T* packed = reinterpret_cast<T*>(workspace);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(workspace + by.packed_bytes);
  T* block = reinterpret_cast<T*>(workspace + by.packed_bytes + by.offset_bytes);
  for (Extent i = 0; i < K; ++i) offset[i] = i % by.part * by.strip;

  const int threads = resources.threads;
  const Split panels(M, panel_rows(set, K));
  // In these pieces A is packed and used: mostly by the same thread, if threads keep pace.
  const Split pieces = Split::into(threads == 1 ? 1 : std::min<Extent>(panels.parts, 4 * threads), panels.parts);
  if (!parallel_for(pieces.parts, threads, [&](Extent piece, int) {
        for (Extent i = 0; i < pieces.size(piece); ++i) {
          const Extent panel = pieces.begin(piece) + i, first = panels.begin(panel);
          pack_pixel_lanes(set, a + first * K, panels.size(panel), K, packed + first * K);
        }
      }))
    return false;

  // All threads pack a block of B, then share out its groups times pieces of A.
  const Extent group_width = by.group * by.strip;
  for (Extent column = 0; column < N; column += by.width) {
    const Extent columns = std::min(by.width, N - column);
    for (Extent first = 0; first < K; first += by.part) {
      const Split rows(std::min(by.part, K - first), 64);
      const bool finished =
          parallel_for(rows.parts, threads,
                       [&](Extent task, int) {
                         const Extent row = rows.begin(task);
                         set.strip_pack({b + (first + row) * N + column, N, rows.size(task), columns,
                                         block + row * by.strip, by.strip, by.strip_step});
                       }) &&
          parallel_for((columns + group_width - 1) / group_width * pieces.parts, threads, [&](Extent task, int) {
            const Extent group = task / pieces.parts, piece = task % pieces.parts, left = group * group_width;
            const Extent begin = panels.begin(pieces.begin(piece));
            const Extent end = panels.begin(pieces.begin(piece) + pieces.size(piece));
            const T* strips = block + group * by.group * by.strip_step;
            T* out = c + begin * N + column + left;
            Product<T> product{set,
                               packed + begin * K,
                               end - begin,
                               K,
                               strips,
                               offset,
                               1,
                               0,
                               std::min(group_width, columns - left),
                               out,
                               N,
                               N,
                               no_epilogue<T>()};
            product.strip = by.strip;
            product.strip_step = by.strip_step;
            product.first_step = first;
            product.last_step = first + rows.total;
            product.part = by.part;
            multiply_pixel_lanes(product);
          });
      if (!finished) return false;
    }
  }
  return true;
}

template std::size_t gemm_workspace<float>(Extent, Extent, Extent, const Resources&);
template std::size_t gemm_workspace<double>(Extent, Extent, Extent, const Resources&);
template bool gemm(Extent, Extent, Extent, const float*, const float*, float*, const Resources&, std::byte*);
template bool gemm(Extent, Extent, Extent, const double*, const double*, double*, const Resources&, std::byte*);

}  // namespace fastconv
