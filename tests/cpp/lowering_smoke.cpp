// Lowerings of drawn layers, run by plain loops, against the definition of a layer: nothing of the library computes.
#include "fastconv/lowering.hpp"

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "check.hpp"
#include "definition.hpp"

using namespace definition;

namespace {

// One value of a part's convolution, its images taken from the input by the stage's source.
double part_value(const Layer& l, const Stage& stage, const Part& part, const Values& x, const Values& weight, Extent n,
                  Extent plane, Extent g, Extent f, Extent k, Extent row, Extent column) {
  const ConvProblem& p = part.problem;
  const FilterMap& map = part.filters;
  const Extent Cg = l.C / l.groups;
  double sum = 0;
  for (Extent c = 0; c < Cg; ++c)
    for (Extent m = 0; m < map.depth_taps; ++m) {
      const Extent d = stage.source.start + plane * stage.source.image_step + m * stage.source.tap_step;
      if (d < 0 || d >= l.axes[0].extent) continue;
      for (Extent r = 0; r < p.R; ++r)
        for (Extent s = 0; s < p.S; ++s) {
          const Extent h = row * p.stride_h + r * p.dilation_h - p.pad_top,
                       w = column * p.stride_w + s * p.dilation_w - p.pad_left;
          if (h < 0 || h >= p.H || w < 0 || w >= p.W) continue;
          const Extent tap = map.taps[std::size_t((f * map.depth_taps + m) * map.plane_taps + r * p.S + s)];
          sum += x[std::size_t(at(l, l.C, inputs(l), n, g * Cg + c, d, h, w))] *
                 weight[std::size_t(g * map.group + k * map.filter + c * map.channel + tap)];
        }
    }
  return sum;
}

Values by_lowering(const Layer& given, const Route& route, const Values& x, const Values& weight, const Values& bias) {
  const Layer l = simplified(given);
  const Lowering lowering = lower(given, route);
  Values y(std::size_t(l.output_size()), -1e300);
  const Extent Kg = l.K / l.groups;
  for (const Stage& stage : lowering.stages)
    for (Extent n = 0; n < l.N; ++n)
      for (Extent j = 0; j < stage.planes.count; ++j) {
        const Extent o = stage.planes.first + j * stage.planes.step;
        const auto out = [&](Extent k, Extent p, Extent q) -> double& {
          return y[std::size_t(at(l, l.K, outputs(l), n, k, o, p, q))];
        };
        if (stage.background)
          for (Extent k = 0; k < l.K; ++k)
            for (Extent p = 0; p < l.axes[1].outputs; ++p)
              for (Extent q = 0; q < l.axes[2].outputs; ++q) out(k, p, q) = bias[std::size_t(k)];
        for (const Part& part : stage.parts) {
          CHECK(invalid(part.problem).empty());
          CHECK(part.problem.K == l.K * Extent(part.targets.size()));
          for (std::size_t f = 0; f < part.targets.size(); ++f) {
            const auto& [rows, columns] = part.targets[f];
            CHECK(rows.skip + rows.count <= part.problem.P());
            CHECK(columns.skip + columns.count <= part.problem.Q());
            for (Extent k = 0; k < l.K; ++k)
              for (Extent i = 0; i < rows.count; ++i)
                for (Extent q = 0; q < columns.count; ++q)
                  out(k, rows.first + i * rows.step, columns.first + q * columns.step) =
                      bias[std::size_t(k)] + part_value(l, stage, part, x, weight, n, j, k / Kg, Extent(f), k % Kg,
                                                        rows.skip + i, columns.skip + q);
          }
        }
      }
  return y;
}

}  // namespace

int main(int count, char** arguments) {
  const int wanted = count > 1 ? std::atoi(arguments[1]) : 3000;
  Draw draw(11);
  for (int drawn = 0; drawn < wanted;) {
    Layer layer;
    if (!draw.layer(layer)) continue;
    ++drawn;
    CHECK(invalid(layer).empty());
    const Values x = draw.values(layer.input_size()), w = draw.values(layer.weight_size()), b = draw.values(layer.K);
    const Values expected = by_definition(layer, x, w, b);
    CHECK(by_lowering(layer, {false}, x, w, b) == expected);
    if (layer.kind == Kind::forward) CHECK(by_lowering(layer, {true}, x, w, b) == expected);
  }
  std::printf("%d layers lowered, %d failures\n", wanted, failures.load());
  return failures != 0;
}
