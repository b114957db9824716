// Kernels of three rows, few channels per group: the image is read in place, pixels as lanes, two filters at a time.
#include "algorithms/common.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {
namespace {

std::string rejects(const ConvProblem& p) {
  constexpr Extent largest = Extent{1} << 29;  // what kernel_set.hpp promises the kernels
  if (p.R != 3) return "needs kernels of 3 rows, got " + std::to_string(p.R);
  if (p.S > depthwise_columns)
    return "needs kernels of at most " + std::to_string(depthwise_columns) + " columns, got " + std::to_string(p.S);
  const bool by_two = p.stride_h == 2 && p.stride_w == 2 && p.has_unit_dilation();
  if (!p.has_unit_stride() && !by_two) return "needs stride 1, or stride 2 in both directions without dilation";
  if (std::max({p.W, p.pad_left, p.pad_right, p.Q(), p.dilation_w * p.S}) > largest) return "needs narrower images";
  return {};
}

template <class T>
Extent filters_at_once(const ConvProblem& p, const Kernels& kernels) {
  return kernel_set<T>(kernels).grouped_filters[p.stride_h - 1];
}

std::size_t packed_bytes(const ConvProblem& p, const Kernels&) {
  return std::size_t(p.weight_size()) * size_of(p.dtype);
}

// For each group, its filters in twos (the last one alone if they are odd): w[c][s][filter][r].
template <class T>
void pack(const ConvProblem& p, const Kernels& kernels, const T* weight, std::byte* packed) {
  const Extent most = filters_at_once<T>(p, kernels), Kg = p.K_per_group(), C = p.C_per_group(), R = p.R, S = p.S;
  T* to = reinterpret_cast<T*>(packed);
  for (Extent g = 0; g < p.groups; ++g)
    for (Extent f = 0, width; f < Kg; f += width) {
      width = f + most <= Kg ? most : 1;
      for (Extent c = 0; c < C; ++c)
        for (Extent s = 0; s < S; ++s)
          for (Extent i = f; i < f + width; ++i)
            for (Extent r = 0; r < R; ++r) *to++ = weight[(((g * Kg + i) * C + c) * R + r) * S + s];
    }
}

double cost(const ConvProblem& p, const Kernels& kernels) {
  const Extent lanes = p.dtype == DType::float32 ? std::min(kernels.f32.lanes, 8) : std::min(kernels.f64.lanes, 4);
  const double products = double(p.taps()), share = (p.stride_h == 2 ? 0.75 : 0.93) * products / (products + 4.0);
  const double loads = p.dilation_w == 1 ? 1 : 0.75;  // each column of taps by itself, and by masks more often
  return estimate(flops_of(p), share * loads * pixel_share(lanes, p.Q()), 0.0, p, kernels);
}

std::size_t workspace(const ConvProblem&, const Resources&) { return 0; }

// Tasks of a group x output rows; rows only if there are few groups.
template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Extent P = p.P(), Q = p.Q(), C = p.C_per_group(), Kg = p.K_per_group(), threads = e.resources.threads;
  const Extent parts = threads > 1 && p.N * p.groups < 4 * threads ? std::clamp<Extent>(P / 14, 1, 4 * threads) : 1;
  const Split rows = Split::into(parts, P);
  return parallel_for(p.N * p.groups * parts, e.resources.threads, [&](Extent task, int) {
    const Extent part = task % parts, image_group = task / parts, g = image_group % p.groups;
    const Epilogue<T> epilogue = from_filter(e.epilogue, g * Kg);
    DepthwiseRows<T> d{};
    d.image = e.input + image_group * C * p.H * p.W;
    d.H = p.H;
    d.W = p.W;
    d.channels = C;
    d.filters = Kg;
    d.weights = reinterpret_cast<const T*>(e.packed) + g * Kg * p.taps();
    d.R = p.R;
    d.S = p.S;
    d.stride = p.stride_h;
    d.dilation_h = p.dilation_h;
    d.dilation_w = p.dilation_w;
    d.pad_top = p.pad_top;
    d.pad_left = p.pad_left;
    d.first_row = rows.begin(part);
    d.last_row = rows.begin(part + 1);
    d.Q = Q;
    d.out = e.output + image_group * Kg * P * Q;
    d.plane = P * Q;
    d.epilogue = &epilogue;
    set.grouped_rows(d);
  });
}

}  // namespace

extern const Algorithm grouped;
const Algorithm grouped = {
    .name = "grouped",
    .summary = "two filters of a group by rows of outputs in registers, the image read in place",
    .rejects = rejects,
    .variant = nullptr,
    .cost = cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .takes_nhwc = never,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
