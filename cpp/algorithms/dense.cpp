// The equivalent fully connected layer. Its matrix has an entry for every pair of output and input value: (K P Q) x (C
// H W), most of them structural zeros, the others copies of the C R S K weights. Built from the kernel, multiplied with
// the flattened images as the essay on kernel sizes has it: what a convolution saves is what this costs.
#include <cstdio>

#include "algorithms/common.hpp"

namespace fastconv {
namespace {

constexpr double memory_limit = 1024.0 * 1024 * 1024;  // bytes of the matrix

Extent inputs_of(const ConvProblem& p) { return p.C * p.H * p.W; }
Extent outputs_of(const ConvProblem& p) { return p.K * p.P() * p.Q(); }
double matrix_bytes(const ConvProblem& p) {
  return double(inputs_of(p)) * double(outputs_of(p)) * double(size_of(p.dtype));
}

std::string rejects(const ConvProblem& p) {
  const double bytes = matrix_bytes(p);
  if (bytes <= memory_limit) return {};
  char text[160];
  std::snprintf(text, sizeof text,
                "needs a dense matrix of %lld x %lld values, %.0f bytes (%.1f GiB), limit %.0f bytes",
                static_cast<long long>(outputs_of(p)), static_cast<long long>(inputs_of(p)), bytes,
                bytes / (1024.0 * 1024 * 1024), memory_limit);
  return text;
}

double cost(const ConvProblem& p, const Kernels& kernels) {
  const double entries = double(inputs_of(p)) * double(outputs_of(p));
  return estimate(2.0 * entries * double(p.N), 0.9, matrix_bytes(p) * double((p.N + 13) / 14), p, kernels);
}

Extent multiply_adds(const ConvProblem& p) { return p.N * inputs_of(p) * outputs_of(p); }

std::size_t packed_bytes(const ConvProblem& p, const Kernels&) { return std::size_t(matrix_bytes(p)); }

// Output values per task: a multiple of every kernel's strip, and few enough to give each thread several.
constexpr Extent task_outputs = 192;

std::size_t workspace(const ConvProblem& p, const Resources&) {
  return with_type(p, [&](auto t) {
    using T = decltype(t);
    return bytes_of<T>(p.N * inputs_of(p)) + offsets_bytes(inputs_of(p));
  });
}

// The matrix is stored input by input: row (c, h, w) holds the weights with which that input enters every output, so
// that outputs are lanes and rows are read in order. Bytes are those of the matrix, nothing is padded.
template <class T>
void pack(const ConvProblem& p, const Kernels&, const T* weight, std::byte* packed) {
  T* matrix = reinterpret_cast<T*>(packed);
  const Extent outputs = outputs_of(p), P = p.P(), Q = p.Q(), Cg = p.C_per_group(), Kg = p.K_per_group();
  std::fill(matrix, matrix + inputs_of(p) * outputs, T(0));
  for (Extent k = 0; k < p.K; ++k)
    for (Extent c = 0; c < Cg; ++c)
      for (Extent r = 0; r < p.R; ++r)
        for (Extent s = 0; s < p.S; ++s) {
          const T value = weight[((k * Cg + c) * p.R + r) * p.S + s];
          for (Extent y = 0; y < P; ++y) {
            const Extent h = y * p.stride_h + r * p.dilation_h - p.pad_top;
            if (h < 0 || h >= p.H) continue;
            for (Extent x = 0; x < Q; ++x) {
              const Extent w = x * p.stride_w + s * p.dilation_w - p.pad_left;
              if (w < 0 || w >= p.W) continue;
              matrix[((k / Kg * Cg + c) * p.H + h) * p.W * outputs + w * outputs + (k * P + y) * Q + x] = value;
            }
          }
        }
}

template <class T>
bool run(const Execution<T>& e) {
  const ConvProblem& p = e.problem;
  const KernelSet<T>& set = kernel_set<T>(*e.resources.kernels);
  const Extent inputs = inputs_of(p), outputs = outputs_of(p), pixels = p.P() * p.Q();
  T* images = reinterpret_cast<T*>(e.workspace);
  auto* offset = reinterpret_cast<std::ptrdiff_t*>(e.workspace + bytes_of<T>(p.N * inputs));
  pack_pixel_lanes(set, e.input, p.N, inputs,
                   images);  // here images are what filters are elsewhere: the broadcast rows
  for (Extent i = 0; i < inputs; ++i) offset[i] = i * outputs;
  // The bias is per column here, so it cannot ride in the product's epilogue: it is added, and the activation done,
  // after.

  const Extent tasks = (outputs + task_outputs - 1) / task_outputs;
  return parallel_for(tasks, e.resources.threads, [&](Extent task, int) {
    const Extent first = task * task_outputs, count = std::min(task_outputs, outputs - first);
    multiply_pixel_lanes(Product<T>{set, images, p.N, inputs, reinterpret_cast<const T*>(e.packed) + first, offset, 1,
                                    0, count, e.output + first, outputs, outputs, no_epilogue<T>()});
    for (Extent n = 0; n < p.N; ++n) {
      T* y = e.output + n * outputs + first;
      for (Extent i = 0; i < count; ++i) {
        const T value = e.epilogue.bias ? y[i] + e.epilogue.bias[(first + i) / pixels] : y[i];
        y[i] = value < e.epilogue.low ? e.epilogue.low : value > e.epilogue.high ? e.epilogue.high : value;
      }
      if (e.epilogue.second_pass) set.activate(y, count, e.epilogue);
    }
  });
}

}  // namespace

extern const Algorithm dense;
const Algorithm dense = {
    .name = "dense",
    .summary = "the equivalent fully connected layer: a (K P Q) x (C H W) matrix times the flattened images",
    .rejects = rejects,
    .variant = nullptr,
    .multiply_adds = multiply_adds,
    .cost = cost,
    .packed_bytes = packed_bytes,
    .workspace = workspace,
    .takes_nhwc = never,
    .f32 = {pack<float>, run<float>},
    .f64 = {pack<double>, run<double>},
};

}  // namespace fastconv
