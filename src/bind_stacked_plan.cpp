// StackedPlan: convolutions of volumes.
#include <pybind11/stl.h>

#include "call.hpp"
#include "constructor.hpp"
#include "context.hpp"
#include "fastconv/stacked_plan.hpp"
#include "run_released.hpp"

namespace fastconv::python {

namespace {

using Numbers = std::array<Extent, 8>;  // first, step, count, portion; taps, start, plane_step, tap_step

void require_images(const Operation& operation, const StackShape& s, const Numbers& n) {
  if (operation.input_values() != n[3] * n[4] * s.C * s.pixels ||
      operation.output_values() != n[3] * s.K * s.out_pixels || operation.dtype() != s.dtype)
    throw py::value_error("phases: expected an operation on a portion of images");
}

StackedPlan make(const ConvProblem& like, const std::array<Extent, 8>& extents,
                 const std::vector<std::pair<py::object, Numbers>>& phases, const py::object& bias,
                 const py::object& activation) {
  const auto& e = extents;
  const StackShape shape{like.dtype, like.layout, e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7]};
  std::vector<StackPhase> stacked;
  for (const auto& [operation, n] : phases) {
    if (!operation.is_none()) require_images(operation.cast<const Operation&>(), shape, n);
    stacked.push_back({operation.is_none() ? nullptr : operation.cast<std::shared_ptr<Operation>>(), n[0], n[1], n[2],
                       n[3], n[4], n[5], n[6], n[7]});
  }
  const void* values = bias_of(bias, shape.dtype, shape.K);
  return StackedPlan(shape, std::move(stacked), values, activation_of(activation));
}

// Shapes with pixels as one axis.
Shape4 with_planes(Layout layout, Extent N, Extent channels, Extent planes, Extent pixels) {
  if (layout == Layout::nhwc) return {N, planes, pixels, channels};
  return {N, channels, planes, pixels};
}

py::array call(const StackedPlan& plan, const py::array& x, const py::object& out, const py::object& residual) {
  const StackShape& s = plan.shape();
  require(x, "x", s.dtype, with_planes(s.layout, s.N, s.C, s.D, s.pixels));
  const Shape4 shape = with_planes(s.layout, s.N, s.K, s.planes, s.out_pixels);
  py::array y = output_or_new(s.dtype, shape, out);
  require_apart(y, x, "x");
  const void *from = x.data(), *added = residual_of(residual, y, s.dtype, shape);
  void* to = y.mutable_data();
  run_released(plan.is_brief(), [&] { return plan.run(from, to, {added}); });
  return y;
}

}  // namespace

void bind_stacked_plan(py::module_& module) {
  py::class_<StackedPlan, Operation, std::shared_ptr<StackedPlan>> type(module, "StackedPlan", py::is_final());
  def_constructor(type, "__init__", &make, py::arg("like"), py::arg("extents"), py::arg("phases"), py::arg("bias"),
                  py::arg("activation"), py::call_guard<InContext>());
  type.def("__call__", &call, py::arg("x"), py::arg("out") = py::none(), py::arg("residual") = py::none(),
           py::call_guard<InContext>())
      .def_property_readonly("workspace_bytes", &StackedPlan::workspace_bytes);
}

}  // namespace fastconv::python
