// A convolution of volumes as one of images: the planes that a plane of the output looks at lie one behind the other as
// channels of one image, so that depth is further channels to any algorithm, and its taps are part of one sum.
#pragma once

#include <memory>
#include <vector>

#include "fastconv/epilogue.hpp"
#include "fastconv/operation.hpp"
#include "fastconv/problem.hpp"

namespace fastconv {

// Planes first + j * step of the output, j < count, by a convolution of images. Tap m of plane j is plane start + j *
// plane_step + m * tap_step of the input, or zeros where there is none. The operation takes `portion` images, a divisor
// of count, of taps * C channels: with channels first, channel by channel; last, of each group, tap by tap. Without an
// operation the planes are blank.
struct StackPhase {
  std::shared_ptr<const Operation> operation;
  Extent first, step, count, portion;
  Extent taps, start, plane_step, tap_step;
};

struct StackShape {
  DType dtype;
  Layout layout;
  Extent N, C, D, pixels;  // of the input: channels, planes, pixels of a plane
  Extent K, planes, out_pixels;  // of the output
  Extent groups;
};

class StackedPlan final : public Operation {
 public:
  // Planes that see no tap become the activation, that of the operations, of bias[k], or of zero if that is null.
  // Throws std::invalid_argument if a phase leaves the output.
  StackedPlan(const StackShape& shape, std::vector<StackPhase> phases, const void* bias, const Activation& activation);
  StackedPlan(StackedPlan&&) noexcept;
  ~StackedPlan() override;

  using Operation::run;
  bool run(const void* input, void* output, const Ending& ending) const override;
  bool is_brief() const override;
  DType dtype() const override;
  std::size_t packed_bytes() const override;
  Extent input_values() const override;
  Extent output_values() const override;

  const StackShape& shape() const;
  std::size_t workspace_bytes() const;  // of images and outputs; operations have theirs beside it

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fastconv
