// Gradients by the weights of layers whose filters look at one channel each.
#pragma once

#include "fastconv/problem.hpp"
#include "kernels/kernel_set.hpp"

namespace fastconv {

// NHWC with one filter to a channel, NCHW with any number.
inline bool is_depthwise(const ConvProblem& p) {
  return p.groups == p.C && p.C > 1 && (p.layout == Layout::nchw || p.K == p.C);
}

// As weight_gradient in weight_gradient.hpp, of a batch that is not empty.
template <class T>
bool depthwise_gradient(const ConvProblem& p, const KernelSet<T>& set, int threads, const T* input, const T* gradient,
                        T* weight);

}  // namespace fastconv
