// Convolution with output channels as lanes: a register tile is a run of pixels of one output row by a panel of
// filters, and the pixels are broadcast from the image itself. No strip, no padded copy, any stride, dilation and
// layout: a tap is an offset, pixels lie `stride` apart.
//
// Padding is not read. Rows of taps outside the image are left out of the sum; in a run that touches the left or right
// border, columns of taps that miss some of its pixels get a shorter run of their own. On a 7 x 7 map a 3 x 3 kernel
// thus does 18 % less work than its taps say.
//
// The reduction is taken in parts of channels, and inside a part in the order s, r, c: what is left out at a border is
// then one range of steps. A pixel's order of summation depends on the problem alone.
#pragma once

#include "gemm/product.hpp"

namespace fastconv {

template <class T>
class ChannelLanes {
 public:
  ChannelLanes(const ConvProblem& problem, const KernelSet<T>& set);

  Extent unit() const { return panel_; }  // filters of a panel: tasks cut them at its multiples
  Extent packed_group() const { return padded_filters(set_, p_.K_per_group()) * p_.taps(); }  // values
  void pack_group(const T* weight, T* packed) const;
  // From (C, K, R, S) of the group, whose tap i is taps[i] here.
  void pack_spread_group(const T* weight, const Extent* taps, T* packed) const;

  Extent offsets() const { return p_.taps(); }
  void fill_offsets(std::ptrdiff_t* offset) const;
  Extent part_channels() const { return channels_.size(0); }
  // Scratch of a task, in values.
  Extent sums(Extent rows, Extent columns) const {  // in whole blocks for the transposition
    return (rows * columns + set_.lanes - 1) / set_.lanes * set_.lanes * panel_;
  }

  struct Task {
    const T* image;   // the group's first channel
    const T* packed;  // of the first filter: packed_group's start + k * taps
    const std::ptrdiff_t* offset;
    Extent filters;
    Extent first_row, rows, first_column, columns;
    T* out;  // the first filter's value at output row 0, column 0
    Epilogue<T> epilogue;  // bias of the first filter, or null
    T* sums;
  };
  void run(const Task& task) const;

 private:
  struct Part {  // of the reduction, for one panel of filters
    Extent channels, vectors;
    const T* packed;
    const std::ptrdiff_t* offset;
    const Epilogue<T>* finish;  // NHWC: with the last part
    Tile<T> tile;
  };
  void add(Part& part, const T* image, Extent row, Extent column, Extent pixels, T* out) const;
  // At the end of a panel: after every run, beside the arithmetic, it cost 3 to 6 points of peak.
  void store_channels(const Task& task, Extent k, Extent filters, Extent lanes) const;
  void store_pixels(const Task& task, Extent k, Extent filters, Extent lanes) const;

  const ConvProblem p_;
  const KernelSet<T>& set_;
  TensorSteps in_, out_;
  Extent panel_;
  Split channels_;
};

}  // namespace fastconv
