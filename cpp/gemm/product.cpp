#include "gemm/product.hpp"

namespace fastconv {

// Short sums take wide, low tiles: fewer planes are written at a time, which may lie a power of two apart (3 -> 64
// channels at 224 x 224, 3 x 3: SHORT).
template <class T>
Extent panel_rows(const KernelSet<T>& set, Extent steps) {
  return steps < 64 ? set.short_rows : set.pixel_rows;
}

// As many vectors as there are registers for, at short sums; else more than usual only for thin panels (M <= 4), which
// need more sums to hide the FMA latency.
template <class T>
Extent strip_width(const KernelSet<T>& set, Extent filters, Extent steps) {
  const Extent most = panel_rows(set, steps), rows = Split(filters, most).size(0);
  int vectors = 1;
  for (int nv = 2; nv <= max_pixel_vectors; ++nv)
    if (set.pixel_tile[0][rows][nv] && (nv <= set.pixel_vectors || rows <= 4 || most < set.pixel_rows)) vectors = nv;
  return Extent{vectors} * set.lanes;
}

template <class T>
void pack_pixel_lanes(const KernelSet<T>& set, const T* weight, Extent filters, Extent steps, T* packed) {
  const Split panels(filters, panel_rows(set, steps));
  for (Extent panel = 0; panel < panels.parts; ++panel) {
    const Extent rows = panels.size(panel), first = panels.begin(panel) * steps;
    set.transpose_pack({weight + first, steps, rows, steps, packed + first, rows, rows, nullptr});
  }
}

template <class T>
void multiply_pixel_lanes(const Product<T>& p) {
  const Extent L = p.set.lanes;
  const Split panels(p.filters, panel_rows(p.set, p.steps));
  const Extent last_step = p.last_step < 0 ? p.steps : p.last_step;
  const Extent part = p.part ? p.part : part_of<T>(p.steps),
               width = p.strip ? p.strip : strip_width(p.set, p.filters, p.steps);
  // Tiles of a row: full ones from packed strips; else of even widths, as a last one of one vector would wait for its
  // loads. (112 pixels in 3 + 2 + 2 vectors, not 3 + 3 + 1: 82 -> 86 % of peak on 3 -> 32 channels, 3 x 3, stride 2.)
  const Split across = p.strip ? Split(p.columns, width) : Split(ceil_div(p.columns, L), width / L);
  constexpr Extent line = Extent(cache_line / sizeof(T));
  // To add to what `out` holds is to go on with a sum: nothing is left to a second pass then but the activation. (8 x 64
  // -> 256 at 56 x 56: 1.0 times the time without, where a copy and a second pass took 1.8.)
  const bool onto = p.epilogue.residual && p.epilogue.residual == p.epilogue.output;
  Epilogue<T> epilogue = p.epilogue;
  if (onto) {
    epilogue.residual = nullptr;
    epilogue.low = epilogue.last_low;
    epilogue.high = epilogue.last_high;
    epilogue.second_pass = epilogue.kind != ActivationKind::clip;
  }
  for (Extent first = p.first_step; first < last_step; first += part) {
    const Extent steps = first + part < last_step ? part : last_step - first;
    for (Extent panel = 0; panel < panels.parts; ++panel) {
      const Extent m = panels.size(panel), k = panels.begin(panel);
      Tile<T> tile{};
      tile.initial = first == 0 && p.epilogue.bias ? p.epilogue.bias + k : nullptr;
      tile.steps = steps;
      tile.packed = p.packed + k * p.steps + first * m;
      tile.offset = p.offset + first;
      tile.ld = p.out_ld;
      tile.accumulate = first > 0 || onto;
      tile.epilogue = first + steps == p.steps ? &epilogue : nullptr;
      // The first tiles bring in the next block, a line of every step's pixels each; the others their share of the next
      // panel of weights.
      const Extent tiles = p.rows * across.parts, lines = ceil_div(p.ahead_columns, line);
      const Extent share = panel + 1 < panels.parts ? ceil_div(panels.size(panel + 1) * steps, tiles) : 0;
      const T* const next_panel = p.packed + (k + m) * p.steps + first * panels.size(panel + 1);
      Extent done = 0;  // tiles
      for (Extent row = 0; row < p.rows; ++row)
        for (Extent i = 0; i < across.parts; ++i, ++done) {
          const Extent column = p.strip ? i * width : across.begin(i) * L;
          const Extent most = p.strip ? width : across.size(i) * L;
          const Extent pixels = p.columns - column < most ? p.columns - column : most;
          const Extent vectors = ceil_div(pixels, L), next_line = panel * tiles + done;
          tile.tail = int(pixels - (vectors - 1) * L);
          tile.streamed = p.streamed + row * p.row_step + (p.strip ? i * p.strip_step : column);
          tile.out = p.out + k * p.out_ld + row * p.out_row + column;
          if (next_line < lines) {
            tile.ahead = p.ahead + first * p.ahead_step + next_line * line;
            tile.ahead_step = p.ahead_step;
          } else {
            tile.ahead = share ? next_panel + done * share : nullptr;
            tile.ahead_step = ceil_div(share, steps);
          }
          p.set.pixel_tile[tile.tail != L][m][vectors](tile);
        }
    }
  }
}

template void pack_pixel_lanes(const KernelSet<float>&, const float*, Extent, Extent, float*);
template void pack_pixel_lanes(const KernelSet<double>&, const double*, Extent, Extent, double*);
template Extent panel_rows(const KernelSet<float>&, Extent);
template Extent panel_rows(const KernelSet<double>&, Extent);
template Extent strip_width(const KernelSet<float>&, Extent, Extent);
template Extent strip_width(const KernelSet<double>&, Extent, Extent);
template void multiply_pixel_lanes(const Product<float>&);
template void multiply_pixel_lanes(const Product<double>&);

}  // namespace fastconv
