// The definition of the right answer: seven plain loops, sums in double, whatever the dtype.
#include <cmath>

#include "algorithms/common.hpp"

namespace fastconv {
namespace {

double cost(const ConvProblem& p, const Kernels&) { return 1.0 + flops_of(p) * 1e-3; }  // about 1 GFLOP/s
std::size_t packed_bytes(const ConvProblem& p, const Kernels&) {
  return std::size_t(p.weight_size()) * size_of(p.dtype);
}
std::size_t workspace(const ConvProblem&, const Resources&) { return 0; }

template <class T>
void pack(const ConvProblem& p, const Kernels&, const T* weight, std::byte* packed) {
  std::copy(weight, weight + p.weight_size(), reinterpret_cast<T*>(packed));
}

double activated(double y, ActivationKind kind, double slope) {
  switch (kind) {
    case ActivationKind::leaky_relu:
      return y < 0 ? slope * y : y;
    case ActivationKind::hardswish:
      return y * std::min(6.0, std::max(0.0, y + 3.0)) / 6.0;
    case ActivationKind::sigmoid:
      return 1.0 / (1.0 + std::exp(-y));
    case ActivationKind::silu:
      return std::max(y, -1000.0) / (1.0 + std::exp(-y));
    case ActivationKind::tanh:
      return std::tanh(y);
    case ActivationKind::clip:
      break;
  }
  return y;
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const T* weight = reinterpret_cast<const T*>(e.packed);
  const Extent Cg = p.C_per_group(), Kg = p.K_per_group(), P = p.P(), Q = p.Q();
  const TensorSteps in = p.input_steps(), out = p.output_steps();
  return parallel_for(p.N * p.K, e.resources.threads, [&](Extent task, int) {
    const Extent n = task / p.K, k = task % p.K;
    for (Extent y = 0; y < P; ++y)
      for (Extent x = 0; x < Q; ++x) {
        double sum = 0;
        for (Extent c = 0; c < Cg; ++c)
          for (Extent r = 0; r < p.R; ++r)
            for (Extent s = 0; s < p.S; ++s) {
              const Extent h = y * p.stride_h + r * p.dilation_h - p.pad_top;
              const Extent w = x * p.stride_w + s * p.dilation_w - p.pad_left;
              if (h < 0 || h >= p.H || w < 0 || w >= p.W) continue;
              sum += double(e.input[n * in.image + (k / Kg * Cg + c) * in.channel + h * in.row + w * in.pixel]) *
                     double(weight[((k * Cg + c) * p.R + r) * p.S + s]);
            }
        if (e.epilogue.bias) sum += double(e.epilogue.bias[k]);
        const Extent at = n * out.image + k * out.channel + y * out.row + x * out.pixel;
        if (e.epilogue.residual) sum += double(e.epilogue.residual[at]);
        sum = activated(sum, e.epilogue.kind, double(e.epilogue.slope));
        const bool is_last = e.epilogue.residual != nullptr;
        const T value = T(sum), low = is_last ? e.epilogue.last_low : e.epilogue.low;
        const T high = is_last ? e.epilogue.last_high : e.epilogue.high;
        e.output[at] = value < low ? low : value > high ? high : value;
      }
  });
}

}  // namespace

extern const Algorithm reference;
const Algorithm reference = {
    .name = "reference",
    .summary = "seven plain loops with double sums: the definition of the right answer",
    .rejects = accepts_all,
    .variant = nullptr,
    .cost = cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .takes_nhwc = always,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
