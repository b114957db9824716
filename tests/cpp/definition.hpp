// What a layer means, by plain loops, and layers to try it on.
#pragma once

#include <random>
#include <vector>

#include "fastconv/layer.hpp"

namespace definition {

using namespace fastconv;
using Values = std::vector<double>;

inline Extent at(const Layer& l, Extent channels, const std::array<Extent, 3>& size, Extent n, Extent c, Extent d,
                 Extent h, Extent w) {
  if (l.layout == Layout::nhwc) return (((n * size[0] + d) * size[1] + h) * size[2] + w) * channels + c;
  return (((n * channels + c) * size[0] + d) * size[1] + h) * size[2] + w;
}

inline std::array<Extent, 3> inputs(const Layer& l) { return {l.axes[0].extent, l.axes[1].extent, l.axes[2].extent}; }
inline std::array<Extent, 3> outputs(const Layer& l) {
  return {l.axes[0].outputs, l.axes[1].outputs, l.axes[2].outputs};
}

// The input that an output looks at with a tap; -1 for none.
inline Extent input_of(const Axis& a, Kind kind, Extent output, Extent tap) {
  Extent i = output * a.stride + tap * a.dilation - a.before;
  if (kind == Kind::transposed) {
    const Extent from = output + a.before - tap * a.dilation;
    i = from % a.stride ? -1 : from / a.stride;
  }
  return i < 0 || i >= a.extent ? -1 : i;
}

inline Values by_definition(const Layer& l, const Values& x, const Values& weight, const Values& bias) {
  Values y(std::size_t(l.output_size()));
  const auto [O, P, Q] = outputs(l);
  const auto [T, R, S] = std::array{l.axes[0].taps, l.axes[1].taps, l.axes[2].taps};
  const Extent Cg = l.C / l.groups, Kg = l.K / l.groups;
  for (Extent n = 0; n < l.N; ++n)
    for (Extent k = 0; k < l.K; ++k)
      for (Extent o = 0; o < O; ++o)
        for (Extent p = 0; p < P; ++p)
          for (Extent q = 0; q < Q; ++q) {
            double sum = bias[std::size_t(k)];
            for (Extent c = 0; c < Cg; ++c)
              for (Extent t = 0; t < T; ++t)
                for (Extent r = 0; r < R; ++r)
                  for (Extent s = 0; s < S; ++s) {
                    const Extent d = input_of(l.axes[0], l.kind, o, t), h = input_of(l.axes[1], l.kind, p, r),
                                 w = input_of(l.axes[2], l.kind, q, s);
                    if (d < 0 || h < 0 || w < 0) continue;
                    const Extent g = k / Kg, channel = g * Cg + c;
                    const Extent filter = l.kind == Kind::transposed ? channel * Kg + k % Kg : k * Cg + c;
                    sum += x[std::size_t(at(l, l.C, inputs(l), n, channel, d, h, w))] *
                           weight[std::size_t(((filter * T + t) * R + r) * S + s)];
                  }
            y[std::size_t(at(l, l.K, outputs(l), n, k, o, p, q))] = sum;
          }
  return y;
}

class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}
  Extent operator()(Extent least, Extent most) { return std::uniform_int_distribution<Extent>(least, most)(random_); }
  Values values(Extent count) {
    Values v(static_cast<std::size_t>(count));
    for (double& value : v) value = double((*this)(-4, 4));
    return v;
  }
  // False if no output is left.
  bool axis(Kind kind, Axis& a, Extent most) {
    a = {(*this)(1, most), (*this)(1, 4), 1, (*this)(1, 4), (*this)(1, 3), (*this)(0, 3), (*this)(0, 3)};
    const Extent field = (a.taps - 1) * a.dilation + 1;
    a.outputs = kind == Kind::forward ? (a.extent + a.before + a.after - field) / a.stride + 1
                                      : (a.extent - 1) * a.stride + field - a.before - a.after + (*this)(0, 2);
    return a.outputs >= 1 && (kind != Kind::forward || a.extent + a.before + a.after >= field);
  }
  bool layer(Layer& l) {
    l = {};
    l.kind = (*this)(0, 1) ? Kind::transposed : Kind::forward;
    l.layout = (*this)(0, 1) ? Layout::nhwc : Layout::nchw;
    l.groups = (*this)(1, 2);
    l.N = (*this)(1, 2), l.C = l.groups * (*this)(1, 2), l.K = l.groups * (*this)(1, 2);
    for (std::size_t i = std::size_t((*this)(0, 2)); i < 3; ++i)
      if (!axis(l.kind, l.axes[i], 4)) return false;
    return true;
  }

 private:
  std::mt19937 random_;
};

}  // namespace definition
