// Blocks of outputs, and how their gradients and the inputs under them are brought beside one another: what gradients
// by the weights are made of.
#pragma once

#include <algorithm>

#include "base/aligned_buffer.hpp"
#include "base/parallel_for.hpp"
#include "dispatch/workspace.hpp"
#include "gemm/product.hpp"

namespace fastconv {

// Outputs in a block: the sums come and go once for each, and a panel of gradients stays in L1 or near it.
inline constexpr Extent block_outputs = 256;

// Images, rows and columns of outputs that make a block; as many of each but for the last.
struct Block {
  Extent images, rows, columns;  // at most
  Split image_blocks, row_blocks, column_blocks;
  Extent strip_rows, strip_columns;  // of the input, for whole blocks

  explicit Block(const ConvProblem& p)
      : images(1),
        rows(1),
        columns(std::min(p.Q(), block_outputs)),
        image_blocks(1, 1),
        row_blocks(1, 1),
        column_blocks(p.Q(), columns) {
    columns = column_blocks.size(0);
    row_blocks = Split(p.P(), std::clamp<Extent>(block_outputs / columns, 1, p.P()));
    rows = row_blocks.size(0);
    const bool whole = row_blocks.parts == 1 && column_blocks.parts == 1;
    image_blocks = Split(p.N, whole ? std::max<Extent>(1, block_outputs / (rows * columns)) : 1);
    images = image_blocks.size(0);
    strip_rows = (rows - 1) * p.stride_h + (p.R - 1) * p.dilation_h + 1;
    strip_columns = (columns - 1) * p.stride_w + (p.S - 1) * p.dilation_w + 1;
  }
  Extent outputs() const { return images * rows * columns; }
  Extent positions() const { return images * strip_rows * strip_columns; }
};

// What a task works on, and where it keeps it.
template <class T>
struct Work {
  const ConvProblem& p;
  const KernelSet<T>& set;
  const Block& block;
  const T *input, *gradient;
  T *strip, *panel, *sums;
  std::ptrdiff_t* offset;
};

// The part of a block that exists.
struct Range {
  Extent image, images, row, rows, column, columns;
  Extent outputs() const { return images * rows * columns; }
};

// `count` pixels of a few channels side by side.
template <class T>
void bring(const Work<T>& w, const T* from, const TensorSteps& in, Extent channels, Extent count, T* to) {
  if (w.p.layout == Layout::nhwc) {
    for (Extent x = 0; x < count; ++x, from += in.pixel) std::copy_n(from, channels, to + x * channels);
  } else if (channels < 4) {  // a transposition in registers would be of empty rows mostly
    for (Extent c = 0; c < channels; ++c, from += in.channel)
      for (Extent x = 0; x < count; ++x) to[x * channels + c] = from[x];
  } else {
    w.set.transpose_pack({from, in.channel, channels, count, to, channels, channels, nullptr});
  }
}

// Channels from `first` on of the inputs under a range, as [image][row][column][channel]. Rows without padding follow
// one another: pixels of several are brought at once, as are gradients below. (At the end of a row a transposition in
// registers goes through memory.)
template <class T>
void fill_strip(const Work<T>& w, const Range& range, Extent first, Extent channels) {
  const ConvProblem& p = w.p;
  const TensorSteps in = p.input_steps();
  const Extent rows = w.block.strip_rows, columns = w.block.strip_columns, line = columns * channels;
  const Extent y0 = range.row * p.stride_h - p.pad_top, x0 = range.column * p.stride_w - p.pad_left;
  const Extent begin = std::clamp<Extent>(-x0, 0, columns), end = std::clamp<Extent>(p.W - x0, begin, columns);
  const bool whole = begin == 0 && end == columns && columns == p.W;
  for (Extent n = 0; n < range.images; ++n)
    for (Extent i = 0, run; i < rows; i += run) {
      T* const to = w.strip + (n * rows + i) * line;
      const bool inside = y0 + i >= 0 && y0 + i < p.H && begin < end;
      run = inside && whole ? std::min(rows - i, p.H - (y0 + i)) : 1;
      if (!inside) {
        std::fill_n(to, line, T(0));
        continue;
      }
      std::fill_n(to, begin * channels, T(0));
      std::fill_n(to + end * channels, (columns - end) * channels, T(0));
      const T* const from =
          w.input + (range.image + n) * in.image + first * in.channel + (y0 + i) * in.row + (x0 + begin) * in.pixel;
      bring(w, from, in, channels, whole ? run * columns : end - begin, to + begin * channels);
    }
}

// Gradients of filters from `first` on, as [output][lane], `width` lanes with zeros from `filters` on.
template <class T>
void fill_panel(const Work<T>& w, const Range& range, Extent first, Extent filters, Extent width, T* to) {
  const TensorSteps out = w.p.output_steps();
  const Extent run = range.columns == w.p.Q() ? range.rows : 1, count = run * range.columns;
  for (Extent n = 0; n < range.images; ++n)
    for (Extent i = 0; i < range.rows; i += run, to += count * width) {
      const T* from = w.gradient + (range.image + n) * out.image + first * out.channel + (range.row + i) * out.row +
                      range.column * out.pixel;
      if (w.p.layout == Layout::nchw)
        w.set.transpose_pack({from, out.channel, filters, count, to, width, width, nullptr});
      else
        for (Extent x = 0; x < count; ++x, from += out.pixel) {
          std::copy_n(from, filters, to + x * width);
          std::fill_n(to + x * width + filters, width - filters, T(0));
        }
    }
}

// Where in the strip each output's first tap lies.
template <class T>
void fill_offsets(const Work<T>& w, const Range& range, Extent channels) {
  const ConvProblem& p = w.p;
  std::ptrdiff_t* to = w.offset;
  for (Extent n = 0; n < range.images; ++n)
    for (Extent i = 0; i < range.rows; ++i)
      for (Extent j = 0; j < range.columns; ++j)
        *to++ = ((n * w.block.strip_rows + i * p.stride_h) * w.block.strip_columns + j * p.stride_w) * channels;
}

// Calls f for each block, in order.
template <class F>
void each_range(const Block& b, F&& f) {
  for (Extent n = 0; n < b.image_blocks.parts; ++n)
    for (Extent i = 0; i < b.row_blocks.parts; ++i)
      for (Extent j = 0; j < b.column_blocks.parts; ++j)
        f(Range{b.image_blocks.begin(n), b.image_blocks.size(n), b.row_blocks.begin(i), b.row_blocks.size(i),
                b.column_blocks.begin(j), b.column_blocks.size(j)});
}

// Calls task(index, slice of workspace) on each thread.
template <class T, class Task>
bool run_tasks(Extent tasks, int threads, Extent strip, Extent panel, Extent sums, Extent outputs, Task&& task) {
  const std::size_t strip_bytes = bytes_of<T>(strip), panel_bytes = bytes_of<T>(panel), sums_bytes = bytes_of<T>(sums);
  const std::size_t offset_bytes = round_up(std::size_t(outputs) * sizeof(std::ptrdiff_t), cache_line);
  const std::size_t slice = strip_bytes + panel_bytes + sums_bytes + offset_bytes;
  const Workspace workspace(slice * std::size_t(threads));
  return parallel_for(tasks, threads, [&](Extent index, int thread) {
    std::byte* const at = workspace.data() + slice * std::size_t(thread);
    task(index, reinterpret_cast<T*>(at), reinterpret_cast<T*>(at + strip_bytes),
         reinterpret_cast<T*>(at + strip_bytes + panel_bytes),
         reinterpret_cast<std::ptrdiff_t*>(at + strip_bytes + panel_bytes + sums_bytes));
  });
}

}  // namespace fastconv
