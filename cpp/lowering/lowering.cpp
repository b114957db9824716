#include "fastconv/lowering.hpp"

#include <algorithm>
#include <numeric>

#include "lowering/axis_phases.hpp"

namespace fastconv {

namespace {

// Gathered images, and outputs that wait to be written in order: as many at a time as stay in the caches.
constexpr Extent waiting_bytes = 4 * 1024 * 1024;

// How many of `count` items to take at a time: a divisor of it, at least 1.
Extent portion(Extent count, Extent item_bytes) {
  const Extent most = std::max<Extent>(1, waiting_bytes / std::max<Extent>(item_bytes, 1));
  if (count <= most) return std::max<Extent>(count, 1);
  Extent best = 1;
  for (Extent n = 1; n * n <= count; ++n)
    if (count % n == 0)
      for (const Extent divisor : {n, count / n})
        if (divisor <= most) best = std::max(best, divisor);
  return best;
}

// Planes that look at the same taps in depth, one step of the input apart.
struct Stack {
  std::vector<Extent> taps;
  Run planes;
  Extent start, image_step, tap_step;
};

std::vector<Extent> all_taps(Extent count) {
  std::vector<Extent> taps(static_cast<std::size_t>(count));
  std::iota(taps.begin(), taps.end(), Extent{0});
  return taps;
}

Stack whole_stack(const Axis& depth) {
  return {all_taps(depth.taps), {0, 1, depth.outputs, 0}, -depth.before, depth.stride, depth.dilation};
}

// The same planes, those apart that see fewer planes of the input, with the taps alone that they see.
std::vector<Stack> split_stacks(const Axis& depth) {
  std::vector<Stack> stacks;
  for (Extent j = 0; j < depth.outputs; ++j) {
    const Extent start = j * depth.stride - depth.before;
    std::vector<Extent> taps;
    for (Extent m = 0; m < depth.taps; ++m)
      if (start + m * depth.dilation >= 0 && start + m * depth.dilation < depth.extent) taps.push_back(m);
    if (!stacks.empty() && stacks.back().taps == taps) {
      ++stacks.back().planes.count;
      continue;
    }
    const Extent first = start + (taps.empty() ? 0 : taps[0]) * depth.dilation;
    stacks.push_back({std::move(taps), {j, 1, 1, 0}, first, depth.stride, depth.dilation});
  }
  return stacks;
}

std::vector<Stack> transposed_stacks(const Axis& depth, bool& whole) {
  const AxisPhases phases = axis_phases(depth);
  whole = phases.whole;
  std::vector<Stack> stacks;
  for (const AxisPart& part : phases.parts)
    for (std::size_t f = 0; f < part.phases.size(); ++f) {
      const Run& run = part.phases[f];
      stacks.push_back({part.taps[f], {run.first, run.step, run.count, 0}, run.skip - part.before, 1, part.dilation});
    }
  return stacks;
}

FilterMap weight_steps(const Layer& layer) {
  const Extent taps = layer.taps(), Cg = layer.C / layer.groups, Kg = layer.K / layer.groups;
  FilterMap map;
  map.group = Cg * Kg * taps;
  map.filter = layer.kind == Kind::transposed ? taps : Cg * taps;
  map.channel = layer.kind == Kind::transposed ? Kg * taps : taps;
  return map;
}

ConvProblem plane_problem(const Layer& layer, Extent depth_taps) {
  ConvProblem p;
  p.dtype = layer.dtype;
  p.layout = layer.layout;
  p.C = layer.C * depth_taps;
  p.H = layer.axes[1].extent;
  p.W = layer.axes[2].extent;
  p.K = layer.K;
  p.groups = layer.groups;
  return p;
}

Part forward_part(const Layer& layer, const std::vector<Extent>& depth_taps) {
  const auto& [depth, height, width] = layer.axes;
  ConvProblem p = plane_problem(layer, Extent(depth_taps.size()));
  p.R = height.taps, p.S = width.taps;
  p.stride_h = height.stride, p.stride_w = width.stride;
  p.pad_top = height.before, p.pad_bottom = height.after;
  p.pad_left = width.before, p.pad_right = width.after;
  p.dilation_h = height.dilation, p.dilation_w = width.dilation;
  FilterMap map = weight_steps(layer);
  map.depth_taps = Extent(depth_taps.size());
  map.plane_taps = p.R * p.S;
  for (Extent m : depth_taps)
    for (Extent i = 0; i < map.plane_taps; ++i) map.taps.push_back(m * map.plane_taps + i);
  const bool all = map.depth_taps == depth.taps;
  map.as_they_lie = all && (map.depth_taps == 1 || layer.layout == Layout::nchw);
  return {p, std::move(map), {{{0, 1, height.outputs, 0}, {0, 1, width.outputs, 0}}}};
}

Part transposed_part(const Layer& layer, const std::vector<Extent>& depth_taps, const AxisPart& rows,
                     const AxisPart& columns) {
  const Extent S = layer.axes[2].taps, RS = layer.axes[1].taps * S;
  ConvProblem p = plane_problem(layer, Extent(depth_taps.size()));
  p.K = layer.K * Extent(rows.phases.size() * columns.phases.size());
  p.R = Extent(rows.taps[0].size()), p.S = Extent(columns.taps[0].size());
  p.pad_top = rows.before, p.pad_bottom = rows.after;
  p.pad_left = columns.before, p.pad_right = columns.after;
  p.dilation_h = rows.dilation, p.dilation_w = columns.dilation;
  FilterMap map = weight_steps(layer);
  map.depth_taps = Extent(depth_taps.size());
  map.plane_taps = p.R * p.S;
  map.phases = Extent(rows.phases.size() * columns.phases.size());
  map.as_they_lie = false;
  Part part{p, std::move(map), {}};
  for (std::size_t i = 0; i < rows.phases.size(); ++i)
    for (std::size_t j = 0; j < columns.phases.size(); ++j) {
      part.targets.push_back({rows.phases[i], columns.phases[j]});
      for (Extent m : depth_taps)
        for (Extent r : rows.taps[i])
          for (Extent s : columns.taps[j]) part.filters.taps.push_back(m * RS + r * S + s);
    }
  return part;
}

// Whether the part's values lie as the outputs of the planes do.
bool writes_in_place(const Layer& layer, const Stage& stage) {
  if (stage.background || stage.parts.size() != 1 || stage.parts[0].targets.size() != 1) return false;
  const Part& part = stage.parts[0];
  const Target whole{{0, 1, layer.axes[1].outputs, 0}, {0, 1, layer.axes[2].outputs, 0}};
  const bool all = part.targets[0] == whole && part.problem.P() == layer.axes[1].outputs &&
                   part.problem.Q() == layer.axes[2].outputs;
  return all && (layer.axes[0].outputs == 1 || (layer.layout == Layout::nhwc && stage.planes.step == 1));
}

void set_portions(const Layer& layer, Stage& stage) {
  const Extent item = Extent(size_of(layer.dtype));
  const Extent made = stage.in_place ? 0 : layer.K * layer.axes[1].outputs * layer.axes[2].outputs;
  if (stage.source.in_place) {
    stage.images = stage.in_place ? layer.N : portion(layer.N, made * item);
  } else {
    const Extent gathered = stage.source.taps * layer.C * layer.axes[1].extent * layer.axes[2].extent;
    stage.planes_at_a_time = portion(stage.planes.count, std::max(gathered, made) * item);
  }
  for (Part& part : stage.parts) part.problem.N = stage.images * stage.planes_at_a_time;
}

}  // namespace

Lowering lower(const Layer& given, const Route& route) {
  const Layer layer = simplified(given);
  const bool transposed = layer.kind == Kind::transposed;
  const auto& [depth, height, width] = layer.axes;
  AxisPhases rows, columns;
  std::vector<Stack> stacks;
  bool whole = true;
  if (transposed) {
    rows = axis_phases(height), columns = axis_phases(width);
    stacks = transposed_stacks(depth, whole);
  } else {
    stacks = route.splits_depth ? split_stacks(depth) : std::vector{whole_stack(depth)};
  }
  Lowering lowering{layer, {}};
  if (!whole) {  // planes between the phases, which see no tap: all planes become background first
    Stage blank;
    blank.planes = {0, 1, depth.outputs, 0};
    blank.images = layer.N, blank.background = true;
    lowering.stages.push_back(std::move(blank));
  }
  for (const Stack& stack : stacks) {
    Stage stage;
    stage.source = {Extent(stack.taps.size()), stack.start, stack.image_step, stack.tap_step, depth.is_trivial()};
    stage.planes = stack.planes;
    if (stack.taps.empty()) {
      stage.background = true;
    } else if (transposed) {
      stage.background = !rows.whole || !columns.whole;
      for (const AxisPart& row : rows.parts)
        for (const AxisPart& column : columns.parts)
          stage.parts.push_back(transposed_part(layer, stack.taps, row, column));
    } else {
      stage.parts.push_back(forward_part(layer, stack.taps));
    }
    stage.in_place = writes_in_place(layer, stage);
    set_portions(layer, stage);
    lowering.stages.push_back(std::move(stage));
  }
  return lowering;
}

Lowering lower(const ConvProblem& problem) {
  Lowering lowering = lower(layer_of(problem), Route{});
  lowering.stages[0].parts[0].problem = problem;
  return lowering;
}

DepthSavings depth_savings(const Layer& given) {
  const Layer layer = simplified(given);
  const Axis& depth = layer.axes[0];
  if (layer.kind != Kind::forward || depth.is_trivial()) return {};
  DepthSavings savings{depth.outputs * depth.taps, 0, -depth.taps};
  for (const Stack& stack : split_stacks(depth)) {
    const Extent taps = Extent(stack.taps.size());
    savings.wasted += stack.planes.count * (depth.taps - taps);
    savings.weights += taps;
  }
  return savings;
}

}  // namespace fastconv
