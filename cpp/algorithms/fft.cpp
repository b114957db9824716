// Products of spectra, tile by tile: for large kernels. A tile of 64 x 64 pixels takes the same time for a kernel of
// 31 x 31 as for one of 7 x 7, only the outputs it yields get fewer. (Vasilache et al., arXiv:1412.7580; tiles as in
// overlap-save.) Tiles go in pairs, see kernels/fft-inl.hpp; a dilated kernel is a larger one with zeros.
#include <cstdio>

#include "algorithms/fft_tiles.hpp"
#include "gemm/filter_scale.hpp"
#include "gemm/im2col_block.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {
namespace {

using namespace spectra;

constexpr double most_weight_bytes = 256 * 1024 * 1024;  // from memory, once a block of tiles: not worth it

std::string rejects(const ConvProblem& p) {
  constexpr Extent largest = Extent{1} << 29;  // what kernel_set.hpp promises the kernels
  if (!p.has_unit_stride())
    return "needs stride 1, got " + std::to_string(p.stride_h) + "x" + std::to_string(p.stride_w);
  if (std::max(reach_h(p), reach_w(p)) > largest_reach)
    return "needs a kernel that reaches over at most " + std::to_string(largest_reach) + " pixels, got " +
           std::to_string(reach_h(p)) + "x" + std::to_string(reach_w(p));
  if (std::max({p.W, p.pad_left, p.pad_right}) > largest) return "needs a width below 2^29";
  if (expected_error(p) > p.error_limit) {
    char text[96];
    std::snprintf(text, sizeof text, "needs an error limit of %.1f epsilon, got %.1f", expected_error(p),
                  p.error_limit);
    return text;
  }
  const double bytes = tiles_of(p).weight_bytes(p);
  if (bytes > most_weight_bytes)
    return "needs at most 268435456 bytes for the spectra of its weights, got " + std::to_string(Extent(bytes));
  return {};
}

std::string variant(const ConvProblem& p, const Kernels&) {
  const Tiles t = tiles_of(p);
  return "tiles of " + std::to_string(t.rows) + "x" + std::to_string(t.columns);
}

double cost(const ConvProblem& p, const Kernels& kernels) {
  return with_type(
      p, [&](auto t) { return 1.0 + microseconds(tiles_of(p), p, kernel_set<decltype(t)>(kernels).nominal_gflops); });
}

// A kernel is transformed alone, not two at once.
double pack_cost(const ConvProblem& p, const Kernels&) {
  const Tiles t = tiles_of(p);
  return double(p.K * p.C_per_group() * t.values()) * (p.dtype == DType::float32 ? 0.25e-3 : 0.5e-3) +
         t.weight_bytes(p) * 1e-3 / 4;
}

Extent multiply_adds(const ConvProblem& p) { return Extent(tiles_of(p).multiply_adds(p)); }

// Values of all spectra; behind them lies what each filter was divided by.
Extent packed_values(const ConvProblem& p, const Tiles& t) { return t.values() * p.K * p.C_per_group(); }

std::size_t packed_bytes(const ConvProblem& p, const Kernels&) {
  return std::size_t(packed_values(p, tiles_of(p)) + p.K) * size_of(p.dtype);
}

// Blocks of filters whose spectra stay in L2 on their way to the outputs; packed weights are in this order.
template <class T>
Extent filter_block(const ConvProblem& p, const Tiles& t) {
  const Extent fitting = Extent(l2_share / 2 / sizeof(T)) / (t.values() * fft_tiles);
  return std::clamp<Extent>(fitting / 2 * 2, 2, std::max<Extent>(2, p.K_per_group()));
}

// Every kernel is laid out in a plane as large as it reaches, and transformed like a tile of an image.
template <class T>
void pack_spectra(const ConvProblem& p, const Kernels& kernels, const T* weight, const T* scales, T* to) {
  const KernelSet<T>& set = kernel_set<T>(kernels);
  const Tiles tiles = tiles_of(p);
  const Extent Cg = p.C_per_group(), Kg = p.K_per_group(), vector = 2 * set.lanes, block = filter_block<T>(p, tiles);
  const Extent H = reach_h(p), W = reach_w(p), pitch = 2 * tiles.columns + set.lanes;
  const AlignedBuffer plane(std::size_t(H * W) * sizeof(T)), buffer(std::size_t(tiles.rows * pitch) * sizeof(T));
  T* const spread = reinterpret_cast<T*>(plane.data());
  std::fill_n(spread, H * W, T(0));
  const T ways = T(1) / T(tiles.rows * tiles.columns);  // exact; for both ways through the transforms
  FftTiles<T> t{};
  t.rows = tiles.rows;
  t.columns = tiles.columns;
  t.image[0] = spread;
  t.H = H;
  t.W = W;
  t.buffer = reinterpret_cast<T*>(buffer.data());
  t.pitch = pitch;
  for (Extent g = 0; g < p.groups; ++g)
    for (Extent k0 = 0; k0 < Kg; k0 += block) {
      const Extent filters = std::min(block, Kg - k0);
      t.step = filters * Cg * vector;
      for (Extent k = 0; k < filters; ++k) {
        const T scale = ways / scales[g * Kg + k0 + k];
        for (Extent c = 0; c < Cg; ++c) {
          const T* from = weight + ((g * Kg + k0 + k) * Cg + c) * p.R * p.S;
          for (Extent r = 0; r < p.R; ++r)
            for (Extent s = 0; s < p.S; ++s)
              spread[r * p.dilation_h * W + s * p.dilation_w] = scale * from[r * p.S + s];
          const Extent first = k / set.fft_filters * set.fft_filters,
                       together = std::min<Extent>(set.fft_filters, filters - first);
          t.spectrum = to + (first * Cg + c * together + k - first) * vector;
          set.fft[tiles.size_h].in_columns(t);
          set.fft[tiles.size_w].in_rows(t);
        }
      }
      to += filters * Cg * tiles.values();
    }
}

template <class T>
void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
  T* const spectra = reinterpret_cast<T*>(packed);
  T* const scales = spectra + packed_values(p, tiles_of(p));
  pack_in_range(p, weight, scales, [&] { pack_spectra(p, kernels, weight, scales, spectra); });
}

// How a call is cut: tasks of some pairs of tiles of one image and group, with all their channels and filters.
template <class T>
struct Blocking {
  Tiles tiles;
  Extent together, blocks;  // pairs of a block, at most; blocks of an image's group
  Extent filters, vector, pitch;
  Extent z_step, y_step;
  std::size_t z_bytes, y_bytes, buffer_bytes;

  Blocking(const ConvProblem& p, const Resources& r) : tiles(tiles_of(p)) {
    const KernelSet<T>& set = kernel_set<T>(*r.kernels);
    const Extent pairs = tiles.pairs(), tasks = p.N * p.groups;
    // Weights are read once for a block. A layer with one filter per channel has nothing to gain from long ones.
    const Extent most = is_single(p) ? 1 : fft_tiles;
    blocks = even_parts(ceil_div(pairs, most), pairs, tasks, r.threads);
    together = ceil_div(pairs, std::max<Extent>(1, blocks));
    filters = std::min(filter_block<T>(p, tiles), p.K_per_group());
    vector = 2 * set.lanes;
    pitch = 2 * tiles.columns + set.lanes;
    // Odd numbers of vectors: transforms write one after the other, and powers of two would share sets.
    z_step = (p.C_per_group() * together | 1) * vector;
    y_step = (filters * together | 1) * vector;
    const Extent points = is_single(p) ? 0 : tiles.values() / vector;
    z_bytes = bytes_of<T>(points * z_step);
    y_bytes = bytes_of<T>(points * y_step);
    buffer_bytes = bytes_of<T>(tiles.rows * pitch);
  }
  std::size_t slice() const { return z_bytes + y_bytes + buffer_bytes; }
};

std::size_t workspace(const ConvProblem& p, const Resources& r) {
  return with_type(p, [&](auto t) { return Blocking<decltype(t)>(p, r).slice() * std::size_t(r.threads); });
}

// The pair's tiles' places: the first tile is 2 * pair, the second, if there is one, the next.
template <class T>
void place(const ConvProblem& p, const Tiles& tiles, Extent pair, FftTiles<T>& t) {
  for (int i = 0; i < 2; ++i) {
    const Extent tile = 2 * pair + i, down = tile / tiles.across, across = tile % tiles.across;
    const bool exists = down < tiles.down;
    t.row[i] = down * tiles.out_rows - p.pad_top;
    t.column[i] = across * tiles.out_columns - p.pad_left;
    t.out_rows[i] = exists ? std::min(tiles.out_rows, p.P() - down * tiles.out_rows) : 0;
    t.out_columns[i] = exists ? std::min(tiles.out_columns, p.Q() - across * tiles.out_columns) : 0;
  }
}

// What all tiles of an image's group have in common.
template <class T>
FftTiles<T> tiles_for(const ConvProblem& p, const Blocking<T>& b, std::byte* buffer) {
  FftTiles<T> t{};
  t.rows = b.tiles.rows;
  t.columns = b.tiles.columns;
  t.H = p.H;
  t.W = p.W;
  t.buffer = reinterpret_cast<T*>(buffer);
  t.pitch = b.pitch;
  t.out_ld = p.Q();
  return t;
}

template <class T>
void set_image(FftTiles<T>& t, const T* image) {
  t.image[0] = image;
  t.image[1] = t.out_rows[1] ? image : nullptr;
}
template <class T>
void set_output(const ConvProblem& p, FftTiles<T>& t, T* plane) {
  for (int i = 0; i < 2; ++i) t.out[i] = plane + (t.row[i] + p.pad_top) * p.Q() + t.column[i] + p.pad_left;
}

// The outputs of a filter's pair of tiles; t.epilogue is used here alone.
template <class T>
void finish_tiles(const KernelSet<T>& set, const FftPasses<T>& down, FftTiles<T>& t, T scale,
                  const Epilogue<T>& epilogue) {
  const Epilogue<T> none = no_epilogue<T>();
  t.epilogue = scale == 1 ? &epilogue : &none;
  down.out_columns(t);
  if (scale == 1) return;
  const T bias = epilogue.bias ? *epilogue.bias : T(0);
  for (int i = 0; i < 2; ++i)
    for (Extent y = 0; y < t.out_rows[i]; ++y) {
      T* const row = t.out[i] + y * t.out_ld;
      for (Extent x = 0; x < t.out_columns[i]; ++x) row[x] = rescaled(row[x], scale, bias, epilogue);
      if (epilogue.second_pass) set.activate(row, t.out_columns[i], epilogue);
    }
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Blocking<T> b(p, e.resources);
  const Tiles& tiles = b.tiles;
  const Extent Cg = p.C_per_group(), Kg = p.K_per_group(), in_plane = p.H * p.W, out_plane = p.P() * p.Q();
  const FftPasses<T>&down = set.fft[tiles.size_h], &across = set.fft[tiles.size_w];
  const Split shares = Split::into(b.blocks, tiles.pairs());
  const T* const scales = reinterpret_cast<const T*>(e.packed) + packed_values(p, tiles);
  return parallel_for(p.N * p.groups * b.blocks, e.resources.threads, [&](Extent task, int thread) {
    const Extent block = task % b.blocks, g = task / b.blocks % p.groups, n = task / b.blocks / p.groups;
    const Extent first = shares.begin(block), count = shares.size(block);
    std::byte* const slice = e.workspace + b.slice() * std::size_t(thread);
    T* const z = reinterpret_cast<T*>(slice);
    T* const y = reinterpret_cast<T*>(slice + b.z_bytes);
    FftTiles<T> t = tiles_for(p, b, slice + b.z_bytes + b.y_bytes);
    const T* const image = e.input + (n * p.C + g * Cg) * in_plane;
    T* const output = e.output + (n * p.K + g * Kg) * out_plane;
    const T* const weights = reinterpret_cast<const T*>(e.packed) + g * Kg * Cg * tiles.values();
    if (is_single(p)) {
      t.spectrum = const_cast<T*>(weights);  // is read
      t.step = b.vector;
      place(p, tiles, first, t);
      set_image(t, image);
      set_output(p, t, output);
      down.in_columns(t);
      across.through_rows(t);
      return finish_tiles(set, down, t, scales[g], from_filter(e.epilogue, g));
    }
    t.step = b.z_step;
    for (Extent i = 0; i < count; ++i) {
      place(p, tiles, first + i, t);
      for (Extent c = 0; c < Cg; ++c) {
        set_image(t, image + c * in_plane);
        t.spectrum = z + (c * count + i) * b.vector;
        down.in_columns(t);
        across.in_rows(t);
      }
    }
    t.step = b.y_step;
    for (Extent k0 = 0; k0 < Kg; k0 += b.filters) {
      const Extent filters = std::min(b.filters, Kg - k0), points = tiles.values() / b.vector;
      set.fft_product({z, b.z_step, weights + k0 * Cg * tiles.values(), y, b.y_step, points, Cg, filters, count});
      for (Extent k = k0; k < k0 + filters; ++k) {
        for (Extent i = 0; i < count; ++i) {
          place(p, tiles, first + i, t);
          set_output(p, t, output + k * out_plane);
          t.spectrum = y + ((k - k0) * count + i) * b.vector;
          across.out_rows(t);
          finish_tiles(set, down, t, scales[g * Kg + k], from_filter(e.epilogue, g * Kg + k));
        }
      }
    }
  });
}

}  // namespace

extern const Algorithm fft;
const Algorithm fft = {
    .name = "fft",
    .summary = "products of the spectra of tiles, two tiles as one complex one",
    .rejects = rejects,
    .variant = variant,
    .expected_error = expected_error,
    .multiply_adds = multiply_adds,
    .cost = cost,
    .pack_cost = pack_cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .takes_nhwc = never,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
