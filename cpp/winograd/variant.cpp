#include "winograd/variant.hpp"

#include <algorithm>
#include <utility>

#include "gemm/product.hpp"
#include "winograd/cut.hpp"

namespace fastconv::filtering {
namespace {

template <class Axis>
consteval AxisTable make_table() {
  const cook_toom::Axis& axis = Axis::axis;
  AxisTable t{axis.outputs, axis.taps, axis.tail, {}, {}};
  for (int i = 0; i < axis.finite(axis.outputs); ++i) t.point[i] = axis.points[i];
  for (int i = 0; i < cook_toom::inputs(axis, axis.outputs); ++i)
    for (int k = 0; k < axis.taps; ++k) t.weight[i][k] = value(cook_toom::weight_at(axis, i, k));
  return t;
}

// Of whole tiles and of tails.
#define FASTCONV_AXIS(name, m, r, t, ...)                                                             \
  static_assert(cook_toom::is_sound(winograd_axis::name::axis, m), "F(" #m ", " #r ") is not exact"); \
  static_assert(cook_toom::is_sound(winograd_axis::name::axis, t), "F(" #t ", " #r ") is not exact");
FASTCONV_WINOGRAD_AXES(FASTCONV_AXIS)
#undef FASTCONV_AXIS

#define FASTCONV_AXIS(name, ...) make_table<winograd_axis::name>(),
constexpr AxisTable tables[] = {FASTCONV_WINOGRAD_AXES(FASTCONV_AXIS)};
#undef FASTCONV_AXIS

using enum WinogradAxis;

constexpr Variant all_variants[] = {
    {"F(2x2,3x3)", 3, 3, 1, f2_3, f2_3, 1.0, 0.27},
    {"F(3x3,3x3)", 3, 3, 1, f3_3, f3_3, 2.6, 0.7},
    {"F(4x4,3x3)", 3, 3, 1, f4_3, f4_3, 2.6, 0.73},
    {"F(6x6,3x3)", 3, 3, 1, f6_3, f6_3, 11.4, 3.1},
    {"F(2x2,5x5)", 5, 5, 1, f2_5, f2_5, 2.4, 0.8},
    {"F(4x4,5x5)", 5, 5, 1, f4_5, f4_5, 10.3, 2.9},
    {"F(2x2,7x7)", 7, 7, 1, f2_7, f2_7, 12.5, 3.8},
    {"F(1x4,1x3)", 1, 3, 1, none, f4_3, 1.1, 0.33},
    {"F(4x1,3x1)", 3, 1, 1, f4_3, none, 1.1, 0.33},
    {"F(1x4,1x5)", 1, 5, 1, none, f4_5, 2.2, 0.66},
    {"F(4x1,5x1)", 5, 1, 1, f4_5, none, 2.2, 0.66},
    {"F(1x2,1x7)", 1, 7, 1, none, f2_7, 2.7, 0.75},
    {"F(2x1,7x1)", 7, 1, 1, f2_7, none, 2.7, 0.75},
    {"F(1x4,1x7)", 1, 7, 1, none, f4_7, 6.1, 1.6},
    {"F(4x1,7x1)", 7, 1, 1, f4_7, none, 6.1, 1.6},
    {"F(4x4,2x2) of 4 phases", 3, 3, 2, f4_2, f4_2, 2.2, 1.29},
    {"F(4x4,3x3) of 4 phases", 5, 5, 2, f4_3, f4_3, 2.6, 1.46},
};

// Vectors that the transforms move in and out of memory for a tile, one vector of channels: down the columns, along the
// rows; the way through the strip counts twice.
double transform_moves(const Tilings& t) {
  const auto [m, n] = std::pair(double(t.rows.outputs), double(t.rows.points));
  const auto [M, N] = std::pair(double(t.columns.outputs), double(t.columns.points));
  return double(t.rows.stride * t.columns.stride) * (n * M + n * N + 2 * m * M);
}
double untransform_moves(const Tilings& t) {
  const auto [m, n] = std::pair(double(t.rows.outputs), double(t.rows.points));
  const auto [M, N] = std::pair(double(t.columns.outputs), double(t.columns.points));
  return 0.4 * n * N + m * N + 3 * m * M;
}

// For a vector of 16 floats at 112 GFLOP/s: the choice, and with it the result, does not depend on the machine.
constexpr Extent choice_lanes = 16;
constexpr double choice_gflops = 112;

}  // namespace

const AxisTable& table(WinogradAxis axis) { return tables[int(axis)]; }
std::span<const Variant> variants() { return all_variants; }

bool takes(const Variant& v, const ConvProblem& p) {
  return v.R == p.R && v.S == p.S && v.stride == p.stride_h && v.stride == p.stride_w &&
         (v.stride == 1 || p.has_unit_dilation()) && p.dilation_h <= p.P() && p.dilation_w <= p.Q();
}
bool fits(const Variant& v, const ConvProblem& p) {
  if (!takes(v, p)) return false;
  const Tilings t(v, p);
  return has_small_blocks(t, Domain(t, p.C_per_group(), choice_lanes), size_of(p.dtype));
}

Tiling::Tiling(WinogradAxis axis_, Extent kernel_, Extent stride_, Extent dilation_, Extent pad_, Extent image_,
               Extent result_)
    : axis(axis_),
      outputs(table(axis_).outputs),
      tail_outputs(table(axis_).tail),
      taps(table(axis_).taps),
      points(table(axis_).points()),
      kernel(kernel_),
      stride(stride_),
      dilation(dilation_),
      pad(pad_),
      image(image_),
      result(result_) {
  // The fewest points: 7 = 3 + 2 + 2, 14 = 4 + 4 + 4 + 2.
  const Extent own = ceil_div(result, dilation);
  whole = ceil_div(own, outputs);
  tails = 0;
  for (Extent few = 1; tail_outputs && few <= std::min<Extent>(2, whole); ++few) {
    const Extent others = ceil_div(std::max<Extent>(0, own - few * tail_outputs), outputs);
    if (others * points + few * points_of(true) >= products()) continue;
    whole = others;
    tails = few;
  }
}

Work work(const Variant& v, const ConvProblem& p, Extent lanes, std::size_t element) {
  const Tilings t(v, p);
  const Domain domain(t, p.C_per_group(), lanes);
  const double layers = double(p.N * p.groups * p.dilation_h * p.dilation_w);
  const Extent vectors_in = domain.channels / lanes, vectors_out = ceil_div(p.K_per_group(), lanes);
  Extent products = 0;
  for (Extent i = 0; i < t.rows.points; ++i)
    for (Extent j = 0; j < t.columns.points; ++j)
      products += (t.rows.whole + t.rows.tails * t.rows.in_tails(i)) *
                  (t.columns.whole + t.columns.tails * t.columns.in_tails(j)) * domain.steps(i * t.columns.points + j);
  const double tiles = double(t.rows.tiles() * t.columns.tiles());
  const double moves = transform_moves(t) * double(vectors_in) + untransform_moves(t) * double(vectors_out);
  Work w;
  w.multiply_adds = p.N * p.dilation_h * p.dilation_w * products * p.K;
  w.products = 2 * layers * double(products * vectors_out * lanes);
  // A move takes 4.3 cycles, each good for two operations per lane; a row of tiles 15 ns, twice with tails.
  const double vectors = double(domain.phases * vectors_in + vectors_out);
  const double rows = double(t.rows.tiles() * (t.columns.tails ? 2 : 1)) * vectors;
  w.transforms = layers * (tiles * moves * 4.3 * 2 * double(lanes) + rows * 15 * choice_gflops);
  // A block has a tile of each of the interleaved layers at least. (39 -> 66 channels, 3 taps 216 apart: 1.5 times.)
  if (t.columns.dilation > tiles_of_block) w.transforms *= 2;
  w.weights = double(p.groups * domain.all() * vectors_out * lanes) * double(element);
  w.reads = double(Cut(t, domain, p.N, element).blocks());
  return w;
}

double Work::microseconds(double gflops) const {
  // The weights stream in beside the products, once for each block: at 70 GB/s from L3, 25 from memory.
  const double gigabytes = weights > 24e6 ? 25 : 70;
  return (transforms / gflops + std::max(products / (0.95 * gflops), reads * weights / gigabytes)) * 1e-3;
}

double microseconds(const Variant& v, const ConvProblem& p) {
  return work(v, p, choice_lanes, size_of(p.dtype)).microseconds(choice_gflops);
}

namespace {

const Variant* fastest_variant(const ConvProblem& p) {
  const Variant* best = nullptr;
  double least = 0;
  for (const Variant& v : all_variants) {
    const bool named = p.variant == &v - all_variants;
    if (!fits(v, p) || (p.variant < 0 ? v.error(p) > p.error_limit : !named)) continue;
    const double time = microseconds(v, p);
    if (best && time >= least) continue;
    best = &v;
    least = time;
  }
  return best;
}

}  // namespace

// Asked several times in a call, at a microsecond or two: a thread's last answer is kept.
const Variant* find_variant(const ConvProblem& p) {
  thread_local ConvProblem problem{.R = 0};
  thread_local const Variant* variant = nullptr;
  if (!(p == problem)) {
    variant = fastest_variant(p);
    problem = p;
  }
  return variant;
}

}  // namespace fastconv::filtering
