#include "winograd/transforms.hpp"

#include <algorithm>

namespace fastconv::filtering {
namespace {

struct TileRow {
  Extent image, layer, tile;  // of the batch; interleaved layer; number in that layer
  Extent begin, outputs;  // first output of that layer, how many
  bool tail;
  Extent number;  // among the block's whole, or tail, rows
};

// f(tile row, its number in the list)
template <class F>
void for_each_row(const Tiling& down, const Block& block, F&& f) {
  Extent count[2] = {0, 0};
  for (Extent r = block.first_row; r < block.first_row + block.rows; ++r) {
    const Extent tile = r % down.tiles(), layer = r / down.tiles() % down.dilation;
    const bool tail = down.is_tail(tile);
    f(TileRow{r / down.tiles() / down.dilation, layer, tile, down.begin(tile), down.outputs_of(tail), tail,
              count[tail]++},
      r);
  }
}

// Tile columns a chunk at a time, the tails with the last whole ones: f(first whole, whole, tails).
template <class F>
void for_each_chunk(const Block& block, Extent chunk, F&& f) {
  Extent first = 0;
  do {
    const Extent whole = std::min(chunk, block.whole - first), next = first + whole;
    f(first, whole, next == block.whole ? block.tails : 0);
    first = next;
  } while (first < block.whole);
}

// Rows of the image as the transforms read them: [row][pixel][lane], the last few that were asked for. Row u of an
// interleaved layer is the image's row `first + u * step`. Lanes without a channel hold anything: no product reads
// them.
template <class T>
class Strip {
 public:
  Strip(const Blocking<T>& b, const KernelSet<T>& set, const ConvProblem& p, Extent column, T* rows)
      : b_(b),
        set_(set),
        p_(p),
        rows_(rows),
        begin_(std::clamp<Extent>(column, 0, p.W)),
        pixels_(std::clamp<Extent>(column + b.reach, begin_, p.W) - begin_) {}

  // Other channels, or another layer: nothing is here yet, [u, last) may be asked for.
  void start(const T* image, Extent channel, Extent channels, Extent first, Extent step, Extent u, Extent last) {
    image_ = image;
    channel_ = channel;
    channels_ = channels;
    first_ = first;
    step_ = step;
    loaded_ = u;
    last_ = last;
  }

  // Rows [u, end) are to be here, with as many more as fit.
  void need(Extent u, Extent end) {
    if (loaded_ >= end) return;
    const Extent until = std::min(last_, u + b_.ring);
    while (loaded_ < until) {
      const Extent at = loaded_ % b_.ring, run = std::min(until - loaded_, b_.ring - at);
      load(loaded_, run, rows_ + at * b_.strip_pixels * b_.lanes);
      loaded_ += run;
    }
  }

  // Column w of row u; null if the row lies outside the image.
  const T* at(Extent u, Extent w) const {
    const Extent h = first_ + u * step_;
    if (h < 0 || h >= p_.H) return nullptr;
    return rows_ + (u % b_.ring * b_.strip_pixels + w - begin_) * b_.lanes;
  }

 private:
  void load(Extent u, Extent count, T* to) {
    const Extent h = first_ + u * step_, row = b_.strip_pixels * b_.lanes;
    if (step_ == 1 && pixels_ == p_.W) {  // rows lie side by side, here and in the image
      const Extent low = std::clamp<Extent>(-h, 0, count), high = std::clamp<Extent>(p_.H - h, low, count);
      if (low < high) copy((h + low) * p_.W, (high - low) * p_.W, to + low * row);
      return;
    }
    for (Extent i = 0; i < count; ++i, to += row)
      if (h + i * step_ >= 0 && h + i * step_ < p_.H) copy((h + i * step_) * p_.W + begin_, pixels_, to);
  }
  void copy(Extent pixel, Extent count, T* to) const {
    if (count == 0) return;
    const Extent pixels = p_.H * p_.W;
    if (p_.layout == Layout::nchw)
      set_.transpose_pack(
          {image_ + channel_ * pixels + pixel, pixels, channels_, count, to, b_.lanes, b_.lanes, nullptr});
    else
      set_.window_rows({image_, pixels, p_.C, pixel, 1, channel_, 1, count, b_.lanes, to, b_.lanes});
  }

  const Blocking<T>& b_;
  const KernelSet<T>& set_;
  const ConvProblem& p_;
  T* const rows_;
  const Extent begin_, pixels_;
  const T* image_ = nullptr;
  Extent channel_ = 0, channels_ = 0, first_ = 0, step_ = 1, loaded_ = 0, last_ = 0;
};

// One layer's tile columns [first, first + whole) of a tile row, and the tails: down its columns of pixels, then along.
template <class T>
void transform_chunk(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const TileRow& row,
                     const Strip<T>& strip, Extent phase, Extent layer, Extent first, Extent whole, Extent tails,
                     Extent step, const Slice<T>& slice) {
  const Tiling &down = b.tilings.rows, &across = b.tilings.columns;
  const Extent L = b.lanes, ph = phase / across.stride, pw = phase % across.stride;
  const bool finite_h = !down.has_infinity(ph), finite_w = !across.has_infinity(pw);
  const Extent n = down.points_of(row.tail) - finite_h;
  const Extent lines = whole * across.outputs + tails * across.tail_outputs + across.taps - 1 - finite_w;

  // Column x of the chunk is the image's base + x * span.
  const Extent span = across.stride * across.dilation;
  const Extent base = across.begin(block.column + first) * span + pw + layer - across.pad;
  const Extent low = std::min(lines, base < 0 ? ceil_div(-base, span) : 0);
  const Extent high = std::clamp<Extent>(base < across.image ? (across.image - 1 - base) / span + 1 : 0, low, lines);
  std::fill_n(slice.scratch, low * n * L, T(0));
  std::fill(slice.scratch + high * n * L, slice.scratch + lines * n * L, T(0));
  if (low < high) {
    WinogradLines<T> columns;
    columns.groups = 1;
    columns.count = high - low;
    columns.from_step = span * L;
    columns.to_step = n * L;
    for (Extent i = 0; i < n; ++i) {
      columns.from[i] = strip.at((row.begin + i) * down.stride + ph, base + span * low);
      columns.to[i] = slice.scratch + (low * n + i) * L;
    }
    set.winograd[int(down.axis)][row.tail].input[finite_h](columns);
  }

  for (const bool tail : {false, true}) {
    const Extent count = tail ? tails : whole, edge = across.points_of(tail) - finite_w;
    if (count == 0) continue;
    const T* const from = slice.scratch + (tail ? whole * across.outputs * n * L : 0);
    const Extent tile = block.tile(row.tail, row.number, tail, layer) + (tail ? 0 : first);
    T* const to = slice.v + tile * b.pitch + phase * b.domain.channels + step;
    WinogradLines<T> rows;
    rows.count = count;
    rows.from_group = L;
    rows.from_step = across.outputs_of(tail) * n * L;
    rows.to_group = across.points * b.v_plane;
    rows.to_step = b.pitch;
    // Point by point of the rows; a tail's last one, infinity, does not follow the others.
    for (Extent i = 0; i < n; i += rows.groups) {
      rows.groups = i + 1 < n || n == 1 ? std::max<Extent>(1, n - row.tail) : 1;
      for (Extent j = 0; j < edge; ++j) {
        rows.from[j] = from + (j * n + i) * L;
        rows.to[j] = to + (down.point(row.tail, i) * across.points + across.point(tail, j)) * b.v_plane;
      }
      set.winograd[int(across.axis)][tail].input[finite_w](rows);
    }
  }
}

// The way back: sums of a layer's tile columns [first, first + whole) of a tile row, and of the tails.
template <class T>
void untransform_chunk(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const TileRow& row,
                       Extent filter, const Epilogue<T>& epilogue, Extent layer, Extent first, Extent whole,
                       Extent tails, Extent row_pixels, const Slice<T>& slice) {
  const Tiling &down = b.tilings.rows, &across = b.tilings.columns;
  const Extent L = b.lanes, m = row.outputs;
  for (const bool tail : {false, true}) {
    const Extent count = tail ? tails : whole, n = across.points_of(tail), outputs = across.outputs_of(tail);
    if (count == 0) continue;
    const Extent tile = block.tile(row.tail, row.number, tail, layer) + (tail ? 0 : first);
    const Extent column = (tail ? block.whole : first) * across.outputs;
    WinogradLines<T> columns;
    columns.count = count;
    columns.from_group = b.m_plane;
    columns.from_step = b.filters;
    columns.to_group = L;
    columns.to_step = m * n * L;
    for (Extent j = 0; j < n; j += columns.groups) {
      columns.groups = j + 1 < n || n == 1 ? std::max<Extent>(1, n - tail) : 1;
      for (Extent i = 0; i < down.points_of(row.tail); ++i)
        columns.from[i] = slice.sums + tile * b.filters + filter +
                          (down.point(row.tail, i) * across.points + across.point(tail, j)) * b.m_plane;
      for (Extent i = 0; i < m; ++i) columns.to[i] = slice.scratch + (i * n + j) * L;
      set.winograd[int(down.axis)][row.tail].output[0](columns);
    }
    WinogradLines<T> rows;
    rows.groups = m;
    rows.count = count;
    rows.from_group = n * L;
    rows.from_step = m * n * L;
    rows.to_group = row_pixels * L;
    rows.to_step = outputs * across.dilation * L;
    rows.epilogue = &epilogue;
    for (Extent j = 0; j < n; ++j) rows.from[j] = slice.scratch + j * L;
    for (Extent j = 0; j < outputs; ++j) rows.to[j] = slice.out + ((column + j) * across.dilation + layer) * L;
    set.winograd[int(across.axis)][tail].output[1](rows);
  }
}

// `count` pixels of one vector of filters to where they belong.
template <class T>
void store(const KernelSet<T>& set, const ConvProblem& p, const T* from, Extent count, Extent filters,
           const Epilogue<T>& epilogue, T* to) {
  const TensorSteps out = p.output_steps();
  if (p.layout == Layout::nchw) {
    set.transpose_store({from, set.lanes, count, filters, to, out.channel, &epilogue});
    return;
  }
  for (Extent i = 0; i < count; ++i, from += set.lanes, to += out.pixel) {
    std::copy_n(from, filters, to);
    if (epilogue.kind != ActivationKind::clip) set.activate(to, filters, epilogue.kind, epilogue.slope);
  }
}

}  // namespace

template <class T>
void transform_input(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const ConvProblem& p,
                     const T* images, Extent group, const Slice<T>& slice) {
  const Tiling &down = b.tilings.rows, &across = b.tilings.columns;
  const Extent C = p.C_per_group(), end = block.first_row + block.rows;
  Strip<T> strip(b, set, p, across.begin(block.column) * across.stride * across.dilation - across.pad, slice.strip);
  for (Extent c = 0; c < C; c += b.lanes) {
    const Extent channels = std::min(b.lanes, C - c);
    for_each_row(down, block, [&](const TileRow& row, Extent number) {
      const auto reach = [&](Extent begin, Extent outputs) {
        return (begin + outputs - 1) * down.stride + down.kernel;
      };
      const Extent u = row.begin * down.stride;
      if (number == block.first_row || row.tile == 0) {
        const Extent last = std::min(down.tiles(), row.tile + end - number) - 1;
        strip.start(images + row.image * p.input_steps().image, group * C + c, channels, row.layer - down.pad,
                    down.dilation, u, reach(down.begin(last), down.outputs_of(down.is_tail(last))));
      }
      strip.need(u, reach(row.begin, row.outputs));
      for (Extent phase = 0; phase < b.domain.phases; ++phase)
        for (Extent layer = 0; layer < across.dilation; ++layer)
          for_each_chunk(block, b.chunk, [&](Extent first, Extent whole, Extent tails) {
            transform_chunk(b, block, set, row, strip, phase, layer, first, whole, tails, c, slice);
          });
    });
  }
}

template <class T>
void transform_output(const Blocking<T>& b, const Block& block, const KernelSet<T>& set, const ConvProblem& p,
                      Extent filters, Extent filter, const Epilogue<T>& epilogue, T* output, const Slice<T>& slice) {
  const Tiling &down = b.tilings.rows, &across = b.tilings.columns;
  const TensorSteps out = p.output_steps();
  const Extent P = p.P(), Q = p.Q(), L = b.lanes;
  const Extent column = across.begin(block.column) * across.dilation;
  const Extent pixels = std::min(b.out_pixels, Q - column);
  // Narrow maps: a tile row's results lie side by side here as they do in the output. What a row's last tile has too
  // much, the next row overwrites, but not where it comes before its tail.
  const bool is_even = across.begin(across.tiles()) == Q, in_order = block.tails == 0 && block.whole <= b.chunk;
  const bool is_run = pixels == Q && down.dilation * across.dilation == 1 && (is_even || in_order);
  const Extent row_pixels = is_run ? Q : b.out_pixels;
  alignas(64) T bias[widest_lanes];
  Epilogue<T> linear = epilogue, nonlinear = no_epilogue<T>();
  linear.bias = bias;
  nonlinear.kind = epilogue.kind;
  nonlinear.slope = epilogue.slope;
  for (Extent k = 0; k < filters; k += L) {
    const Extent live = std::min(L, filters - k);
    std::fill_n(bias, L, T(0));
    if (epilogue.bias) std::copy_n(epilogue.bias + k, live, bias);
    for_each_row(down, block, [&](const TileRow& row, Extent) {
      for (Extent layer = 0; layer < across.dilation; ++layer)
        for_each_chunk(block, b.chunk, [&](Extent first, Extent whole, Extent tails) {
          untransform_chunk(b, block, set, row, k, linear, layer, first, whole, tails, row_pixels, slice);
        });
      const Extent first = row.begin * down.dilation + row.layer;
      const Extent rows = std::min(row.outputs, ceil_div(std::max<Extent>(P - first, 0), down.dilation));
      T* const to = output + row.image * out.image + (filter + k) * out.channel + first * out.row + column * out.pixel;
      if (is_run)
        store(set, p, slice.out, rows * Q, live, nonlinear, to);
      else
        for (Extent i = 0; i < rows; ++i)
          store(set, p, slice.out + i * row_pixels * L, pixels, live, nonlinear, to + i * down.dilation * out.row);
    });
  }
}

#define FASTCONV_INSTANCE(T)                                                                                         \
  template void transform_input(const Blocking<T>&, const Block&, const KernelSet<T>&, const ConvProblem&, const T*, \
                                Extent, const Slice<T>&);                                                            \
  template void transform_output(const Blocking<T>&, const Block&, const KernelSet<T>&, const ConvProblem&, Extent,  \
                                 Extent, const Epilogue<T>&, T*, const Slice<T>&);
FASTCONV_INSTANCE(float)
FASTCONV_INSTANCE(double)
#undef FASTCONV_INSTANCE

}  // namespace fastconv::filtering
