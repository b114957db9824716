// Convolutions of whole numbers of 8 bits, exactly: as ONNX's ConvInteger and QLinearConv define them.
#pragma once

#include <cstdint>
#include <memory>

#include "fastconv/problem.hpp"

namespace fastconv {

// How sums become numbers of 8 bits: sum * scale, rounded half to even, plus zero, kept within the type.
struct Requantization {
  const float* scale;  // K of them, finite
  int zero;
  bool is_signed;
};

struct IntegerConvolution {
  // In NCHW. Its dtype is that of sums as far as sizes go: both have 4 bytes.
  ConvProblem problem;
  bool input_signed, weight_signed;
  int input_zero;  // what stands for 0, in the padding too
  const std::int32_t* weight_zero;  // K of them, what stands for 0
  const std::int32_t* bias;  // K of them, in units of the sums; or null
  const Requantization* requantization;  // null for sums as they are
};

// Filters packed once. A sum that exceeds 32 bits wraps around.
class IntegerPlan {
 public:
  // Throws std::invalid_argument if the problem is invalid or a zero point is none of its type.
  IntegerPlan(const IntegerConvolution& convolution, const void* weight);
  IntegerPlan(IntegerPlan&&) noexcept;
  ~IntegerPlan();

  // `output`: int32, or bytes if it is requantised. False if interrupted.
  bool run(const void* input, void* output) const;
  bool is_brief() const;

  const ConvProblem& problem() const;
  bool input_signed() const;
  const Requantization* requantization() const;  // its scale is the plan's own
  const char* isa() const;  // of the words' kernels
  std::size_t packed_bytes() const;
  std::size_t workspace_bytes() const;  // of one call, with the present number of threads

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fastconv
