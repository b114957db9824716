// IntegerPlan: convolutions of whole numbers of 8 bits.
#include <pybind11/stl.h>

#include <optional>
#include <tuple>

#include "call.hpp"
#include "constructor.hpp"
#include "context.hpp"
#include "fastconv/integer_plan.hpp"
#include "run_released.hpp"

namespace fastconv::python {
namespace {

using Sums = py::array_t<std::int32_t, py::array::c_style>;
using Scales = py::array_t<float, py::array::c_style>;

// Whether the bytes are signed, of an array of exactly this shape.
bool require_bytes(const py::array& array, const char* name, const Shape4& shape) {
  const bool is_signed = py::array_t<std::int8_t>::check_(array);
  if (!is_signed && !py::array_t<std::uint8_t>::check_(array))
    throw py::type_error(std::string(name) + ": expected int8 or uint8");
  if (array.ndim() != 4 || !std::equal(shape.begin(), shape.end(), array.shape()))
    throw py::value_error(std::string(name) + ": got shape " + shape_text(array));
  if (!is_plain(array)) throw py::value_error(std::string(name) + ": expected a C-contiguous, aligned array");
  return is_signed;
}

template <class Array>
void require_per_filter(const Array& array, const char* name, const ConvProblem& p) {
  if (array.ndim() != 1 || array.shape(0) != p.K || !is_plain(array))
    throw py::value_error(std::string(name) + ": got shape " + shape_text(array) + ", expected one value per filter");
}

IntegerPlan make_plan(const ConvProblem& p, bool input_signed, const py::array& weight, int input_zero,
                      const Sums& weight_zero, const std::optional<Sums>& bias,
                      const std::optional<std::tuple<Scales, int, bool>>& requantization) {
  const bool weight_signed = require_bytes(weight, "weight", {p.K, p.C_per_group(), p.R, p.S});
  require_per_filter(weight_zero, "weight_zero", p);
  if (bias) require_per_filter(*bias, "bias", p);
  Requantization scaled{};
  if (requantization) {
    const auto& [scale, zero, is_signed] = *requantization;
    require_per_filter(scale, "scale", p);
    scaled = {scale.data(), zero, is_signed};
  }
  const IntegerConvolution convolution{p,
                                       input_signed,
                                       weight_signed,
                                       input_zero,
                                       weight_zero.data(),
                                       bias ? bias->data() : nullptr,
                                       requantization ? &scaled : nullptr};
  const void* const w = weight.data();
  return without_gil([&](PyThreadState*) { return IntegerPlan(convolution, w); });
}

py::dtype dtype_of(const IntegerPlan& plan) {
  const Requantization* const q = plan.requantization();
  if (!q) return py::dtype::of<std::int32_t>();
  return q->is_signed ? py::dtype::of<std::int8_t>() : py::dtype::of<std::uint8_t>();
}

py::array call_plan(const IntegerPlan& plan, const py::array& x, const py::object& out) {
  const ConvProblem& p = plan.problem();
  if (require_bytes(x, "x", input_shape(p)) != plan.input_signed())
    throw py::type_error(std::string("x: expected ") + (plan.input_signed() ? "int8" : "uint8"));
  const Shape4 shape = output_shape(p);
  py::array y = out.is_none() ? py::array(dtype_of(plan), shape) : out.cast<py::array>();
  if (!y.dtype().is(dtype_of(plan)) && y.dtype().num() != dtype_of(plan).num())
    throw py::type_error("out: expected another dtype");
  if (y.ndim() != 4 || !std::equal(shape.begin(), shape.end(), y.shape()) || !is_plain(y))
    throw py::value_error("out: got shape " + shape_text(y) + ", expected that of the output, contiguous");
  require_writable(y, "out");
  require_apart(y, x, "x");
  const void* from = x.data();
  void* to = y.mutable_data();
  run_released(plan.is_brief(), [&] { return plan.run(from, to); });
  return y;
}

}  // namespace

void bind_integer_plan(py::module_& module) {
  py::class_<IntegerPlan> type(module, "IntegerPlan", py::is_final());
  def_constructor(type, "__init__", &make_plan, py::arg("problem"), py::arg("input_signed"), py::arg("weight"),
                  py::arg("input_zero"), py::arg("weight_zero"), py::arg("bias"), py::arg("requantization"),
                  py::call_guard<InContext>());
  type.def("__call__", &call_plan, py::arg("x"), py::arg("out") = py::none(), py::call_guard<InContext>())
      .def_property_readonly("problem", [](const IntegerPlan& plan) { return plan.problem(); })
      .def_property_readonly("isa", &IntegerPlan::isa)
      .def_property_readonly("packed_bytes", &IntegerPlan::packed_bytes)
      .def_property_readonly("workspace_bytes",
                             py::cpp_function(&IntegerPlan::workspace_bytes, py::call_guard<InContext>()));
}

}  // namespace fastconv::python
