// Winograd's minimal filtering, F(2x2, 3x3) and F(4x4, 3x3): 2.25 and 4 times fewer multiplications than direct.
// (Lavin & Gray, arXiv:1509.09308.)
//
// Fused over blocks of tiles, so that the transformed image never exists as a whole: transform a block's tiles for all
// channels (V, tiles as lanes); for each few panels of filters, (m + 2)^2 products with the transformed weights (U,
// filters as lanes; V is read as scalars, so any number of tiles goes without padding); transform the sums (M) back
// while they are in cache. Every sum over the channels is made in one go: the result does not depend on blocks or
// threads.
#include <numeric>

#include "algorithms/common.hpp"
#include "gemm/im2col_block.hpp"

namespace fastconv {
namespace {

// The larger tile is the faster one unless the map leaves it half empty, or is so small that the time goes into reading
// the transformed weights, 36 values against 16 (512 channels at 7x7: 191 against 151 GFLOP/s).
int outputs_of_tile(const ConvProblem& p) {
  const auto multiplies = [&](Extent m) { return (m + 2) * (m + 2) * ceil_div(p.P(), m) * ceil_div(p.Q(), m); };
  const bool weights_dominate = p.P() <= 8 && p.Q() <= 8 && p.C_per_group() * p.K_per_group() >= 256 * 256;
  return weights_dominate || multiplies(2) <= multiplies(4) ? 2 : 4;
}

template <class T>
struct Blocking {
  Extent m, planes;  // outputs and inputs, squared, of a tile
  Extent rows, columns;  // tiles of a block
  Extent row_blocks, column_blocks;
  Extent panel, filters;  // filters of a panel, and of the panels between two output transforms
  Extent parts_of_filters;
  Extent pitch, v_plane, m_plane, scratch_ld;
  std::size_t v_bytes, m_bytes, scratch_bytes;

  Blocking(const ConvProblem& p, const Resources& r) {
    const KernelSet<T>& set = kernel_set<T>(*r.kernels);
    const Extent C = p.C_per_group();
    m = outputs_of_tile(p);
    planes = (m + 2) * (m + 2);
    const Extent tile_rows = ceil_div(p.P(), m), tile_columns = ceil_div(p.Q(), m);

    // About 56 tiles: fewer read U too often, more push V out of L2 (64 to 512 channels: best of 14 to 196). V: about 4
    // MiB at most.
    const Extent fit = Extent{4} * 1024 * 1024 / (planes * C * Extent(sizeof(T)));
    const Extent most = std::clamp<Extent>(fit, set.channel_pixels, 56);
    column_blocks = ceil_div(tile_columns, most);
    columns = ceil_div(tile_columns, column_blocks);
    column_blocks = ceil_div(tile_columns, columns);
    row_blocks = ceil_div(tile_rows, std::max<Extent>(1, most / columns));
    rows = ceil_div(tile_rows, row_blocks);
    row_blocks = ceil_div(tile_rows, rows);

    // Parts of the filters repeat the input's transform: only where there is nothing else to share out.
    panel = channel_panel(set);
    const Extent tasks = p.N * p.groups * row_blocks * column_blocks, threads = r.threads;
    const Extent wanted = tasks < 4 * threads ? threads / std::gcd(tasks, threads) : 1;
    parts_of_filters = std::max<Extent>(1, std::min(wanted, p.K_per_group() / panel));
    filters = std::min(padded_filters(set, p.K_per_group()), std::max<Extent>(1, 64 / panel) * panel);

    const Extent tiles = rows * columns;
    pitch = ceil_div(tiles, set.lanes) * set.lanes;
    v_plane = odd_lines<T>(C * pitch + set.lanes);
    m_plane = odd_lines<T>(tiles * filters);
    scratch_ld = odd_lines<T>(m * pitch + 3 * set.lanes);
    v_bytes = bytes_of<T>(planes * v_plane);
    m_bytes = bytes_of<T>(planes * m_plane);
    scratch_bytes = bytes_of<T>(2 * (m + 2) * scratch_ld);
  }
  std::size_t slice() const { return v_bytes + m_bytes + scratch_bytes; }
};

template <class T>
Extent packed_group(const ConvProblem& p, const KernelSet<T>& set) {
  const Extent edge = outputs_of_tile(p) + 2;
  return edge * edge * p.C_per_group() * padded_filters(set, p.K_per_group());
}

std::string rejects(const ConvProblem& p) {
  const auto pair = [](Extent a, Extent b) { return std::to_string(a) + "x" + std::to_string(b); };
  if (p.R != 3 || p.S != 3) return "needs a 3x3 kernel, got " + pair(p.R, p.S);
  if (!p.has_unit_stride()) return "needs stride 1, got " + pair(p.stride_h, p.stride_w);
  if (!p.has_unit_dilation()) return "needs dilation 1, got " + pair(p.dilation_h, p.dilation_w);
  return {};
}

std::string variant(const ConvProblem& p, const Kernels&) {
  return outputs_of_tile(p) == 2 ? "F(2x2,3x3)" : "F(4x4,3x3)";
}

std::size_t packed_bytes(const ConvProblem& p, const Kernels& kernels) {
  return with_type(p, [&](auto t) {
    using T = decltype(t);
    return std::size_t(p.groups * packed_group(p, kernel_set<T>(kernels))) * sizeof(T);
  });
}

double cost(const ConvProblem& p, const Kernels& kernels) {
  const Extent m = outputs_of_tile(p);
  const double tiles = double(p.N * ceil_div(p.P(), m) * ceil_div(p.Q(), m));
  const Extent lanes = p.dtype == DType::float32 ? kernels.f32.lanes : kernels.f64.lanes;
  const double filled = double(ceil_div(p.K_per_group(), lanes) * lanes);
  const double products = 2.0 * tiles * double((m + 2) * (m + 2) * p.C) * filled;
  // The transforms take the time of about this many operations per tile and channel (20 and 16 cycles of AVX-512, m =
  // 4).
  const double transforms = tiles * (double(p.C) * 640 + double(p.K) * 512) * (m == 4 ? 1.0 : 0.4);
  // Most of U's way from L3 hides behind the products.
  return estimate(products + transforms, 0.93, 0.3 * double(packed_bytes(p, kernels)), p, kernels);
}

std::size_t workspace(const ConvProblem& p, const Resources& r) {
  return with_type(p, [&](auto t) {
    return offsets_bytes(p.C_per_group()) + Blocking<decltype(t)>(p, r).slice() * std::size_t(r.threads);
  });
}

// G, whose row i is (1, p, p^2) / (product of p - q over all other finite points q); infinity: (0, 0, 1).
template <int m>
constexpr void weight_matrix(double (&g)[m + 2][3]) {
  constexpr double points[] = {0, m == 2 ? 1 : winograd_a, m == 2 ? -1 : -winograd_a, winograd_b, -winograd_b};
  for (int i = 0; i <= m; ++i) {
    double norm = 1;
    for (int j = 0; j <= m; ++j)
      if (j != i) norm *= points[i] - points[j];
    g[i][0] = 1 / norm;
    g[i][1] = points[i] / norm;
    g[i][2] = points[i] * points[i] / norm;
  }
  g[m + 1][0] = g[m + 1][1] = 0;
  g[m + 1][2] = 1;
}

// U[panel][xi][channel][filter of the panel] = G g G^T in double, the last panel as wide as its whole vectors.
template <class T, int m>
void pack_filters(const KernelSet<T>& set, const T* weight, Extent K, Extent C, T* packed) {
  constexpr int edge = m + 2, widest = 64;
  double g[edge][3];
  weight_matrix<m>(g);
  const Extent panel = channel_panel(set), padded = padded_filters(set, K);
  for (Extent k0 = 0; k0 < padded; k0 += panel) {
    const Extent lanes = std::min(panel, padded - k0), live = std::min(lanes, K - k0);
    T* const to = packed + k0 * edge * edge * C;
    for (Extent c = 0; c < C; ++c) {
      double w[9][widest] = {}, half[edge][3][widest];
      for (Extent k = 0; k < live; ++k)
        for (int i = 0; i < 9; ++i) w[i][k] = double(weight[((k0 + k) * C + c) * 9 + i]);
      for (int i = 0; i < edge; ++i)
        for (int s = 0; s < 3; ++s)
          for (Extent k = 0; k < lanes; ++k)
            half[i][s][k] = g[i][0] * w[s][k] + g[i][1] * w[3 + s][k] + g[i][2] * w[6 + s][k];
      for (int i = 0; i < edge; ++i)
        for (int j = 0; j < edge; ++j)
          for (Extent k = 0; k < lanes; ++k)
            to[((i * edge + j) * C + c) * lanes + k] =
                T(g[j][0] * half[i][0][k] + g[j][1] * half[i][1][k] + g[j][2] * half[i][2][k]);
    }
  }
}

template <class T>
void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
  const KernelSet<T>& set = kernel_set<T>(kernels);
  const auto pack_group = outputs_of_tile(p) == 2 ? pack_filters<T, 2> : pack_filters<T, 4>;
  pack_groups(p, packed_group(p, set), weight, reinterpret_cast<T*>(packed),
              [&](const T* from, T* to) { pack_group(set, from, p.K_per_group(), p.C_per_group(), to); });
}

// M[xi][tile][filter] for `filters` filters (whole vectors) from u on. Panels inside, so that a plane of V is read from
// far away once.
template <class T>
void multiply(const KernelSet<T>& set, const Blocking<T>& b, const T* u, Extent filters, const T* v,
              const std::ptrdiff_t* offset, Extent C, Extent tiles, T* sums) {
  const Split runs(tiles, set.channel_pixels);
  // A panel as large as L1 comes from L3 or memory: each run brings a share of the next one into L2 (512 channels on
  // AVX-512: 11-14 %; nothing at 256).
  const bool fetch = C * b.panel * Extent(sizeof(T)) >= 32 * 1024;
  Tile<T> tile{};
  tile.steps = C;
  tile.pixel_step = 1;
  tile.offset = offset;
  tile.ld = b.filters;
  tile.ahead_step = fetch ? ceil_div(b.panel, runs.parts) : 0;
  for (Extent xi = 0; xi < b.planes; ++xi)
    for (Extent k = 0; k < filters; k += b.panel) {
      const auto lanes_at = [&](Extent k_) { return std::min(b.panel, filters - k_); };
      const auto panel_at = [&](Extent xi_, Extent k_) { return u + (k_ * b.planes + xi_ * lanes_at(k_)) * C; };
      const Extent vectors = lanes_at(k) / set.lanes;
      const T* const next = k + b.panel < filters ? panel_at(xi, k + b.panel) : panel_at(xi + 1, 0);
      tile.packed = panel_at(xi, k);
      for (Extent run = 0; run < runs.parts; ++run) {
        const Extent first = runs.begin(run);
        tile.streamed = v + xi * b.v_plane + first;
        tile.out = sums + xi * b.m_plane + first * b.filters + k;
        if (fetch) tile.ahead = next + run * tile.ahead_step * C;
        set.channel_tile[runs.size(run)][vectors](tile);
      }
    }
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Blocking<T> b(p, e.resources);
  const WinogradKernels<T>& kernels = b.m == 2 ? set.winograd_f2 : set.winograd_f4;
  const Extent C = p.C_per_group(), Kg = p.K_per_group(), P = p.P(), Q = p.Q();
  const Extent tile_rows = ceil_div(P, b.m), tile_columns = ceil_div(Q, b.m), padded = padded_filters(set, Kg);
  const Extent group_size = packed_group(p, set);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(e.workspace);
  for (Extent c = 0; c < C; ++c) offset[c] = c * b.pitch;
  std::byte* const slices = e.workspace + offsets_bytes(C);

  const FilterParts parts(Kg, b.panel, b.parts_of_filters, false);
  const Extent blocks = b.row_blocks * b.column_blocks;
  return parallel_for(p.N * p.groups * blocks * parts.count, e.resources.threads, [&](Extent task, int thread) {
    const Extent part = task % parts.count, block = task / parts.count % blocks;
    const Extent image_group = task / parts.count / blocks, n = image_group / p.groups, g = image_group % p.groups;
    const Extent row = block / b.column_blocks * b.rows, rows = std::min(b.rows, tile_rows - row);
    const Extent column = block % b.column_blocks * b.columns, columns = std::min(b.columns, tile_columns - column);
    std::byte* const slice = slices + b.slice() * std::size_t(thread);
    T* const v = reinterpret_cast<T*>(slice);
    T* const sums = reinterpret_cast<T*>(slice + b.v_bytes);

    WinogradInput<T> input{e.input + image_group * C * p.H * p.W,
                           p.H,
                           p.W,
                           row * b.m - p.pad_top,
                           column * b.m - p.pad_left,
                           rows,
                           columns,
                           v,
                           b.v_plane,
                           reinterpret_cast<T*>(slice + b.v_bytes + b.m_bytes),
                           b.scratch_ld};
    for (Extent c = 0; c < C; ++c, input.image += p.H * p.W, input.to += b.pitch) kernels.input(input);

    const Extent last = parts.begin(part + 1);
    for (Extent k0 = parts.begin(part); k0 < last; k0 += b.filters) {
      const Extent filters = std::min(b.filters, last - k0);
      const T* u = reinterpret_cast<const T*>(e.packed) + g * group_size + k0 * b.planes * C;
      multiply(set, b, u, std::min(padded_filters(set, filters), padded - k0), v, offset, C, rows * columns, sums);
      const Epilogue<T> epilogue = from_filter(e.epilogue, g * Kg + k0);
      kernels.output({sums, b.m_plane, b.filters, rows, columns, filters,
                      e.output + ((n * p.K + g * Kg + k0) * P + row * b.m) * Q + column * b.m, P * Q, Q,
                      std::min(P - row * b.m, rows * b.m), std::min(Q - column * b.m, columns * b.m), &epilogue});
    }
  });
}

}  // namespace

extern const Algorithm winograd;
const Algorithm winograd = {
    .name = "winograd",
    .summary = "F(2x2,3x3) or F(4x4,3x3), transforms fused with the products over blocks of tiles",
    .rejects = rejects,
    .variant = variant,
    .cost = cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .takes_nhwc = never,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
