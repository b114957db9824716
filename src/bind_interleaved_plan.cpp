// InterleavedPlan: the phases of a transposed convolution.
#include <pybind11/stl.h>

#include "call.hpp"
#include "constructor.hpp"
#include "context.hpp"
#include "fastconv/interleaved_plan.hpp"
#include "run_released.hpp"

namespace fastconv::python {

namespace {

using AxisNumbers = std::array<Extent, 4>;  // first, step, count, skip
using PhaseNumbers = std::pair<AxisNumbers, AxisNumbers>;  // rows, columns

std::vector<Phase> phases_of(const std::vector<PhaseNumbers>& numbers) {
  const auto axis = [](const AxisNumbers& a) { return PhaseAxis{a[0], a[1], a[2], a[3]}; };
  std::vector<Phase> phases;
  for (const auto& [rows, columns] : numbers) phases.push_back({axis(rows), axis(columns)});
  return phases;
}

InterleavedPlan make(const ConvProblem& like, const std::array<Extent, 4>& extents,
                     const std::vector<std::pair<std::shared_ptr<Plan>, std::vector<PhaseNumbers>>>& plans,
                     const std::vector<PhaseNumbers>& blank, const py::object& bias, const py::object& activation) {
  const InterleavedShape shape{like.dtype, like.layout, extents[0], extents[1], extents[2], extents[3]};
  std::vector<PhasedPlan> phased;
  for (const auto& [plan, numbers] : plans) phased.push_back({plan, phases_of(numbers)});
  const void* values = bias_of(bias, shape.dtype, shape.K);
  return InterleavedPlan(shape, std::move(phased), phases_of(blank), values, activation_of(activation));
}

py::array call(const InterleavedPlan& plan, const py::array& x, const py::object& out, const py::object& residual) {
  const InterleavedShape& s = plan.shape();
  const ConvProblem& p = plan.plans().at(0).plan->problem();
  require(x, "x", s.dtype, in_layout(s.layout, s.N, p.C, p.H, p.W));
  const Shape4 shape = in_layout(s.layout, s.N, s.K, s.P, s.Q);
  py::array y = output_or_new(s.dtype, shape, out);
  require_apart(y, x, "x");
  const void *from = x.data(), *added = residual_of(residual, y, s.dtype, shape);
  void* to = y.mutable_data();
  run_released(plan.is_brief(), [&] { return plan.run(from, to, {added}); });
  return y;
}

using TapLists = std::vector<std::vector<Extent>>;

py::array filters(const py::array& weight, Extent groups, const TapLists& rows, const TapLists& columns) {
  DType dtype{};
  if (!dtype_of_array(weight, dtype) || weight.ndim() != 4 || !is_plain(weight))
    throw py::value_error("weight: expected a contiguous array of four axes");
  const Extent C = weight.shape(0), Kg = weight.shape(1), R = weight.shape(2), S = weight.shape(3);
  if (groups < 1 || C % groups || rows.empty() || columns.empty())
    throw py::value_error("groups, taps: expected a divisor of the channels, and phases");
  const Extent K = Extent(rows.size() * columns.size()) * groups * Kg;
  py::array out(numpy_dtype(dtype), Shape4{K, C / groups, Extent(rows[0].size()), Extent(columns[0].size())});
  const void* from = weight.data();
  void* to = out.mutable_data();
  const bool brief = C * Kg * R * S < 8 * 1024;
  run_released(brief, [&] { return phase_filters(dtype, from, groups, C, Kg, R, S, rows, columns, to); });
  return out;
}

py::array phase_once(const ConvProblem& p, const std::string& name, const py::object& activation, const py::array& x,
                     const py::array& weight, const std::vector<Extent>& rows, const std::vector<Extent>& columns,
                     const py::object& bias, const py::object& out, const py::object& residual) {
  const Activation spec = activation_of(activation);  // may run Python code: arrays are looked at afterwards
  require(x, "x", p.dtype, input_shape(p));
  if (weight.ndim() != 4) throw py::value_error("weight: expected four axes");
  const Extent R = weight.shape(2), S = weight.shape(3);
  require(weight, "weight", p.dtype, std::array{p.C, p.K_per_group(), R, S});
  if (Extent(rows.size()) != p.R || Extent(columns.size()) != p.S)
    throw py::value_error("taps: expected those of the problem");
  const void* b = bias_of(bias, p.dtype, p.K);
  py::array y = output_or_new(p.dtype, output_shape(p), out);
  require_apart(y, x, "x");
  require_apart(y, weight, "weight");
  require_apart(y, bias, "bias");
  const Algorithm& algorithm = algorithm_named(name);
  const void *from = x.data(), *w = weight.data();
  const void* added = residual_of(residual, y, p.dtype, output_shape(p));
  void* to = y.mutable_data();
  run_released(is_brief(algorithm, p, false),
               [&] { return run_phase_once(p, algorithm, spec, from, w, R, S, rows, columns, b, to, added); });
  return y;
}

}  // namespace

void bind_interleaved_plan(py::module_& module) {
  py::class_<InterleavedPlan, Operation, std::shared_ptr<InterleavedPlan>> type(module, "InterleavedPlan",
                                                                                py::is_final());
  def_constructor(type, "__init__", &make, py::arg("like"), py::arg("extents"), py::arg("plans"), py::arg("blank"),
                  py::arg("bias"), py::arg("activation"), py::call_guard<InContext>());
  type.def("__call__", &call, py::arg("x"), py::arg("out") = py::none(), py::arg("residual") = py::none(),
           py::call_guard<InContext>())
      .def_property_readonly("problems",
                             [](const InterleavedPlan& plan) {
                               py::list problems;
                               for (const PhasedPlan& phased : plan.plans()) problems.append(phased.plan->problem());
                               return py::tuple(problems);
                             })
      .def_property_readonly("workspace_bytes", &InterleavedPlan::workspace_bytes);
  module.def("phase_filters", &filters, py::call_guard<InContext>());
  module.def("run_phase_once", &phase_once, py::call_guard<InContext>());
}

}  // namespace fastconv::python
