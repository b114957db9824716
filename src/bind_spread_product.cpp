// spread_product: a transposed convolution in one call.
#include <pybind11/stl.h>

#include "call.hpp"
#include "context.hpp"
#include "fastconv/spread_product.hpp"
#include "run_released.hpp"

namespace fastconv::python {

namespace {

using Numbers = SpreadShape::Numbers;

py::array call(const std::string& layout_name, const std::array<Extent, 4>& sizes, const std::array<Numbers, 6>& axes,
               const py::object& activation, const py::array& x, const py::array& weight, const py::object& bias,
               const py::object& out) {
  const Activation spec = activation_of(activation);  // may run Python code: arrays are looked at afterwards
  const Layout layout = layout_named(layout_name);
  DType dtype{};
  if (!dtype_of_array(x, dtype)) throw py::type_error("x: expected float32 or float64");
  const auto& [N, C, K, groups] = sizes;
  const SpreadShape s{dtype, layout, N, C, K, groups, axes[0], axes[1], axes[2], axes[3], axes[4], axes[5]};
  if (groups < 1 || K % groups) throw py::value_error("groups: expected a divisor of K");
  require(x, "x", dtype, in_layout(layout, N, C, s.extents[0], s.extents[1] * s.extents[2]));
  require(weight, "weight", dtype, std::array{C, K / groups, s.kernel[0] * s.kernel[1] * s.kernel[2]});
  const void* values = bias_of(bias, dtype, K);
  py::array y = output_or_new(dtype, in_layout(layout, N, K, s.outputs[0], s.outputs[1] * s.outputs[2]), out);
  require_apart(y, x, "x");
  require_apart(y, weight, "weight");
  require_apart(y, bias, "bias");
  const void *from = x.data(), *w = weight.data();
  void* to = y.mutable_data();
  run_released(false, [&] { return spread_product(s, spec, from, w, values, to); });
  return y;
}

}  // namespace

void bind_spread_product(py::module_& module) { module.def("spread_product", &call, py::call_guard<InContext>()); }

}  // namespace fastconv::python
