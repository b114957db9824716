#include "gemm/channel_lanes.hpp"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "gemm/tap_range.hpp"

namespace fastconv {
namespace {

// Weights of this many bytes are not in L2 when their turn comes.
constexpr Extent fetch_least = 512 * 1024;

constexpr Extent most_in_set = 6;

}  // namespace

template <class T>
ChannelLanes<T>::ChannelLanes(const ConvProblem& problem, const KernelSet<T>& set)
    : p_(problem),
      set_(set),
      in_(problem.input_steps()),
      out_(problem.output_steps()),
      panel_(Extent{set.run_vectors} * set.lanes),
      channels_(problem.C_per_group(), std::max<Extent>(1, set.run_part / (problem.R * problem.S))) {}

template <class T>
void ChannelLanes<T>::pack_group(const T* weight, T* packed) const {
  const Extent taps = p_.taps(), RS = p_.R * p_.S, filters = p_.K_per_group(), padded = padded_filters(set_, filters);
  std::vector<std::ptrdiff_t> place(static_cast<std::size_t>(taps));
  for (Extent part = 0; part < channels_.parts; ++part)
    for (Extent c = 0; c < channels_.size(part); ++c)
      for (Extent r = 0; r < p_.R; ++r)
        for (Extent s = 0; s < p_.S; ++s)
          place[std::size_t((channels_.begin(part) + c) * RS + r * p_.S + s)] =
              channels_.begin(part) * RS + (s * p_.R + r) * channels_.size(part) + c;
  for (Extent k = 0; k < padded; k += panel_) {
    const Extent lanes = std::min(panel_, padded - k), live = std::min(filters - k, lanes);
    set_.transpose_pack({weight + k * taps, taps, live, taps, packed + k * taps, lanes, lanes, place.data()});
  }
}

// Channel by channel: filters' taps follow one another there, and every tap's vectors of filters are written one behind
// the other. (Through KCRS the weights go out of L3 and back: 512 -> 512 channels of 7 x 7, four images, 11 ms.)
template <class T>
void ChannelLanes<T>::pack_spread_group(const T* weight, const Extent* taps, T* packed) const {
  const Extent RS = p_.R * p_.S, filters = p_.K_per_group(), padded = padded_filters(set_, filters);
  std::vector<std::ptrdiff_t> place(static_cast<std::size_t>(RS));
  for (Extent part = 0; part < channels_.parts; ++part)
    for (Extent c = 0; c < channels_.size(part); ++c) {
      for (Extent i = 0; i < RS; ++i) {
        const Extent r = taps[i] / p_.S, s = taps[i] % p_.S;
        place[std::size_t(i)] = channels_.begin(part) * RS + (s * p_.R + r) * channels_.size(part) + c;
      }
      const T* const from = weight + (channels_.begin(part) + c) * filters * RS;
      for (Extent k = 0; k < padded; k += panel_) {
        const Extent lanes = std::min(panel_, padded - k), live = std::min(filters - k, lanes);
        set_.transpose_pack({from + k * RS, RS, live, RS, packed + k * p_.taps(), lanes, lanes, place.data()});
      }
    }
}

template <class T>
void ChannelLanes<T>::fill_offsets(std::ptrdiff_t* offset) const {
  for (Extent part = 0; part < channels_.parts; ++part)
    for (Extent s = 0; s < p_.S; ++s)
      for (Extent r = 0; r < p_.R; ++r)
        for (Extent c = 0; c < channels_.size(part); ++c)
          *offset++ =
              (channels_.begin(part) + c) * in_.channel + r * p_.dilation_h * in_.row + s * p_.dilation_w * in_.pixel;
}

template <class T>
void ChannelLanes<T>::run(const Task& task) const {
  const Extent columns = task.columns, padded = padded_filters(set_, task.filters);
  const bool nhwc = p_.layout == Layout::nhwc;
  // Pixels a multiple of 4 KiB apart share one set of L1, which the run's other lines need as well. (NHWC, 1024 -> 256
  // channels at 14 x 14: 82 -> 98 % of peak.)
  const bool same_set = p_.stride_w * in_.pixel * Extent(sizeof(T)) % 4096 == 0;
  const bool fetch = task.filters * p_.taps() * Extent(sizeof(T)) >= fetch_least;
  for (Extent k = 0; k < padded; k += panel_) {
    const Extent lanes = std::min(panel_, padded - k), live = std::min(lanes, task.filters - k);
    const Extent vectors = lanes / set_.lanes;
    const Split runs(columns, std::min(longest_run(set_, vectors), same_set ? most_in_set : columns));

    T bias[max_channel_vectors * widest_lanes] = {};
    if (task.epilogue.bias) std::copy_n(task.epilogue.bias + k, live, bias);
    const bool in_place = nhwc && live == lanes;  // else the panel's sums lie apart, and are moved when all is added
    T* const sums = in_place ? task.out + task.first_row * out_.row + task.first_column * out_.pixel + k : task.sums;
    const Extent ld = in_place ? out_.pixel : lanes, row_ld = in_place ? out_.row : columns * lanes;

    Part part{};
    part.vectors = vectors;
    part.tile.ld = ld;
    part.tile.pixel_step = p_.stride_w * in_.pixel;
    for (Extent i = 0; i < channels_.parts; ++i) {
      const Extent first = channels_.begin(i) * p_.R * p_.S;
      part.channels = channels_.size(i);
      part.packed = task.packed + k * p_.taps() + first * lanes;
      part.offset = task.offset + first;
      // Each run brings a share of the next part's weights into L2.
      part.tile.ahead_step = fetch ? ceil_div(lanes, task.rows * runs.parts) : 0;
      const T* const next = part.packed + part.channels * p_.R * p_.S * lanes;
      part.finish = nhwc && i + 1 == channels_.parts ? &task.epilogue : nullptr;
      for (Extent row = 0; row < task.rows; ++row)
        for (Extent run = 0; run < runs.parts; ++run) {
          part.tile.accumulate = i > 0;
          part.tile.initial = i > 0 ? nullptr : bias;
          if (fetch)
            part.tile.ahead = next + (row * runs.parts + run) * part.tile.ahead_step * part.channels * p_.R * p_.S;
          add(part, task.image, task.first_row + row, task.first_column + runs.begin(run), runs.size(run),
              sums + row * row_ld + runs.begin(run) * ld);
        }
    }
    if (!nhwc)
      store_channels(task, k, live, lanes);
    else if (!in_place)
      store_pixels(task, k, live, lanes);
  }
  if (nhwc && task.epilogue.second_pass)
    for (Extent row = 0; row < task.rows; ++row)
      for (Extent column = 0; column < columns; ++column)
        set_.activate(task.out + (task.first_row + row) * out_.row + (task.first_column + column) * out_.pixel,
                      task.filters, task.epilogue);
}

// Adds one part of the reduction to a run of pixels.
template <class T>
void ChannelLanes<T>::add(Part& part, const T* image, Extent row, Extent column, Extent pixels, T* out) const {
  Tile<T>& tile = part.tile;
  const Extent y = row * p_.stride_h - p_.pad_top, x = column * p_.stride_w - p_.pad_left;
  const Extent lanes = part.vectors * set_.lanes;
  const TapRange rows(y, p_.dilation_h, p_.R, p_.H);
  const TapRange left(x, p_.dilation_w, p_.S, p_.W), right(x + (pixels - 1) * p_.stride_w, p_.dilation_w, p_.S, p_.W);
  // `count` columns of taps from s on, for the pixels [begin, end) of the run. One, unless all their rows are there.
  const auto multiply = [&](Extent s, Extent count, Extent begin, Extent end) {
    const Extent first = (s * p_.R + rows.begin) * part.channels;
    tile.steps = ((count - 1) * p_.R + rows.end - rows.begin) * part.channels;
    tile.packed = part.packed + first * lanes;
    tile.offset = part.offset + first;
    tile.streamed = image + y * in_.row + (x + begin * p_.stride_w) * in_.pixel;
    tile.out = out + begin * tile.ld;
    set_.channel_tile[end - begin][part.vectors](tile);
    tile.accumulate = true;
    tile.initial = nullptr;
  };

  const bool all_rows = rows.end - rows.begin == p_.R;
  if (all_rows && left.begin == 0 && right.end == p_.S) {
    tile.epilogue = part.finish;
    return multiply(0, p_.S, 0, pixels);
  }
  tile.epilogue = nullptr;
  // Columns of taps that all pixels have begin where the leftmost one's do.
  const Extent begin = left.begin, end = std::max(begin, right.end);
  const bool none = rows.begin == rows.end;
  if (!tile.accumulate && (none || begin == end)) {
    for (Extent i = 0; i < pixels; ++i) std::copy_n(tile.initial, lanes, out + i * tile.ld);
    tile.accumulate = true;
    tile.initial = nullptr;
  }
  if (!none) {
    if (all_rows && begin < end)
      multiply(begin, end - begin, 0, pixels);
    else
      for (Extent s = begin; s < end; ++s) multiply(s, 1, 0, pixels);
    for (Extent s = 0; s < p_.S; ++s) {
      if (s == begin) s = end;
      if (s >= p_.S) break;
      const TapRange inside(x + s * p_.dilation_w, p_.stride_w, pixels, p_.W);
      if (inside.begin < inside.end) multiply(s, 1, inside.begin, inside.end);
    }
  }
  if (part.finish) {  // no steps: bias and bounds alone
    tile.steps = 0;
    tile.out = out;
    tile.epilogue = part.finish;
    set_.channel_tile[pixels][part.vectors](tile);
  }
}

// A panel's sums into planes of channels.
template <class T>
void ChannelLanes<T>::store_channels(const Task& task, Extent k, Extent filters, Extent lanes) const {
  Epilogue<T> epilogue = task.epilogue;
  epilogue.bias = nullptr;  // the sums began with it
  // Whole rows of the output follow one another: one block then, without a tail per row.
  const Extent blocks = task.columns == out_.row ? 1 : task.rows, pixels = task.rows * task.columns / blocks;
  T* const out = task.out + task.first_row * out_.row + task.first_column + k * out_.channel;
  for (Extent block = 0; block < blocks; ++block)
    set_.transpose_store(
        {task.sums + block * pixels * lanes, lanes, pixels, filters, out + block * out_.row, out_.channel, &epilogue});
}

// The last panel's finished values, where its vectors are longer than a pixel has channels left.
template <class T>
void ChannelLanes<T>::store_pixels(const Task& task, Extent k, Extent filters, Extent lanes) const {
  const auto copy = [&](auto piece) {  // of that many values: calls of memmove took as long as eight products
    for (Extent row = 0; row < task.rows; ++row) {
      const T* from = task.sums + row * task.columns * lanes;
      T* to = task.out + (task.first_row + row) * out_.row + task.first_column * out_.pixel + k;
      for (Extent column = 0; column < task.columns; ++column, from += lanes, to += out_.pixel)
        for (Extent i = 0; i < filters; i += piece()) std::copy_n(from + i, piece(), to + i);
    }
  };
  if (filters % 8 == 0)
    copy(std::integral_constant<Extent, 8>());
  else if (filters % 4 == 0)
    copy(std::integral_constant<Extent, 4>());
  else
    copy(std::integral_constant<Extent, 1>());
}

template class ChannelLanes<float>;
template class ChannelLanes<double>;

}  // namespace fastconv
