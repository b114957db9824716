// One convolution layer as plain data. Letters as in the cuDNN paper (arXiv:1410.0759): N images, C channels,
// H x W image, K filters, R x S kernel, P x Q output. Cross-correlation: the filter is not flipped.
#pragma once

#include <cstdint>
#include <string>

#include "fastconv/dtype.hpp"

namespace fastconv {

using Extent = std::int64_t;

enum class Layout { nchw, nhwc };  // of input and output; weights are K C/groups R S in both

// Elements from one image, channel, row or pixel of a tensor to the next.
struct TensorSteps {
  Extent image, channel, row, pixel;
};

struct ConvProblem {
  DType dtype = DType::float32;
  Layout layout = Layout::nchw;
  Extent N = 1, C = 1, H = 1, W = 1, K = 1, R = 1, S = 1;
  Extent stride_h = 1, stride_w = 1;
  Extent pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
  Extent dilation_h = 1, dilation_w = 1;
  Extent groups = 1;
  // What algorithms that trade digits for time may do: rms of the rounding errors over that of the output, in epsilons,
  // as they expect it for normal data. 25 epsilons are 3e-6 in float32.
  double error_limit = 25;
  // Of an algorithm that has variants, the number of the one that is to run, whatever is expected of it; -1: it
  // chooses.
  Extent variant = -1;

  Extent P() const { return (H + pad_top + pad_bottom - dilation_h * (R - 1) - 1) / stride_h + 1; }
  Extent Q() const { return (W + pad_left + pad_right - dilation_w * (S - 1) - 1) / stride_w + 1; }

  Extent C_per_group() const { return C / groups; }
  Extent K_per_group() const { return K / groups; }
  Extent taps() const { return C_per_group() * R * S; }  // length of the sum behind one output

  Extent input_size() const { return N * C * H * W; }
  Extent weight_size() const { return K * taps(); }
  Extent output_size() const { return N * K * P() * Q(); }
  Extent multiply_adds() const { return output_size() * taps(); }

  TensorSteps input_steps() const { return steps(C, H, W); }
  TensorSteps output_steps() const { return steps(K, P(), Q()); }

  bool has_padding() const { return (pad_top | pad_bottom | pad_left | pad_right) != 0; }
  bool has_unit_stride() const { return stride_h == 1 && stride_w == 1; }
  bool has_unit_dilation() const { return dilation_h == 1 && dilation_w == 1; }

  bool operator==(const ConvProblem&) const = default;

 private:
  TensorSteps steps(Extent channels, Extent rows, Extent columns) const {
    const Extent plane = rows * columns;
    if (layout == Layout::nhwc) return {channels * plane, 1, channels * columns, channels};
    return {channels * plane, plane, columns, 1};
  }
};

// What is wrong with the problem, naming the extent, what was got and what was expected; empty if it is sound. A sound
// problem's tensors each fit 2^63 bytes, so that size arithmetic on it cannot overflow.
std::string invalid(const ConvProblem& problem);

}  // namespace fastconv
