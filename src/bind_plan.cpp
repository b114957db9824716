// Plan, and the call that packs its weights for one use only.
#include <pybind11/stl.h>

#include "call.hpp"
#include "constructor.hpp"
#include "context.hpp"
#include "fastconv/weight_gradient.hpp"
#include "run_released.hpp"

namespace fastconv::python {

Activation activation_of(const py::object& spec) {
  if (spec.is_none()) return {};
  const auto [kind, a, b] = spec.cast<std::tuple<std::string, double, double>>();
  static constexpr std::pair<const char*, ActivationKind> kinds[] = {
      {"clip", ActivationKind::clip},           {"leaky_relu", ActivationKind::leaky_relu},
      {"hardswish", ActivationKind::hardswish}, {"sigmoid", ActivationKind::sigmoid},
      {"silu", ActivationKind::silu},           {"tanh", ActivationKind::tanh},
  };
  for (const auto& [name, value] : kinds)
    if (kind == name) return {value, a, b};
  throw py::value_error("activation: got kind '" + kind +
                        "', expected clip, leaky_relu, hardswish, sigmoid, silu or tanh");
}

py::array output_or_new(DType dtype, const Shape4& shape, const py::object& out) {
  if (out.is_none()) return py::array(numpy_dtype(dtype), shape);
  if (!py::isinstance<py::array>(out)) throw py::type_error("out: expected an array");
  auto array = py::reinterpret_borrow<py::array>(out);
  require(array, "out", dtype, shape);
  require_writable(array, "out");
  return array;
}

bool overlap(const py::array& array, py::handle other) {
  if (other.is_none()) return false;
  const auto b = py::reinterpret_borrow<py::array>(other);
  const auto* a0 = static_cast<const std::byte*>(array.data());
  const auto* b0 = static_cast<const std::byte*>(b.data());
  return a0 < b0 + b.nbytes() && b0 < a0 + array.nbytes();
}

void require_apart(const py::array& y, py::handle other, const char* name) {
  if (overlap(y, other))
    throw py::value_error(std::string("out: got memory that overlaps ") + name + ", expected memory apart");
}

const void* bias_of(const py::object& bias, DType dtype, Extent K) {
  if (bias.is_none()) return nullptr;
  if (!py::isinstance<py::array>(bias)) throw py::type_error("bias: expected an array");
  const auto array = py::reinterpret_borrow<py::array>(bias);
  require(array, "bias", dtype, std::array{K});
  return array.data();
}

const void* residual_of(const py::object& residual, const py::array& y, DType dtype, const Shape4& shape) {
  if (residual.is_none()) return nullptr;
  if (!py::isinstance<py::array>(residual)) throw py::type_error("residual: expected an array");
  const auto array = py::reinterpret_borrow<py::array>(residual);
  require(array, "residual", dtype, shape);
  if (array.data() != y.data()) require_apart(y, array, "residual");
  return array.data();
}

namespace {

void require_weight(const ConvProblem& p, const py::array& weight) {
  require(weight, "weight", p.dtype, std::array{p.K, p.C_per_group(), p.R, p.S});
}

Plan make_plan(const ConvProblem& problem, const std::string& name, const py::array& weight, const py::object& bias,
               const py::object& activation) {
  const Algorithm& algorithm = algorithm_named(name);
  const Activation spec = activation_of(activation);  // may run Python code: arrays are looked at afterwards
  require_weight(problem, weight);
  const void *w = weight.data(), *b = bias_of(bias, problem.dtype, problem.K);
  return without_gil([&](PyThreadState*) { return Plan(problem, algorithm, w, b, spec); });
}

py::array call_plan(const Plan& plan, const py::array& x, const py::object& out, const py::object& residual) {
  const ConvProblem& p = plan.problem();
  require(x, "x", p.dtype, input_shape(p));
  py::array y = output_or_new(p.dtype, output_shape(p), out);
  require_apart(y, x, "x");
  const void *from = x.data(), *added = residual_of(residual, y, p.dtype, output_shape(p));
  void* to = y.mutable_data();
  run_released(plan.is_brief(), [&] { return plan.run(from, to, {added}); });
  return y;
}

py::array call_once(const ConvProblem& p, const std::string& name, const py::object& activation, const py::array& x,
                    const py::array& weight, const py::object& bias, const py::object& out,
                    const py::object& residual) {
  const Algorithm& algorithm = algorithm_named(name);
  const Activation spec = activation_of(activation);  // may run Python code: arrays are looked at afterwards
  require(x, "x", p.dtype, input_shape(p));
  require_weight(p, weight);
  const void* b = bias_of(bias, p.dtype, p.K);
  py::array y = output_or_new(p.dtype, output_shape(p), out);
  require_apart(y, x, "x");
  require_apart(y, weight, "weight");
  require_apart(y, bias, "bias");
  const void *from = x.data(), *w = weight.data();
  const void* added = residual_of(residual, y, p.dtype, output_shape(p));
  void* to = y.mutable_data();
  run_released(is_brief(algorithm, p, false), [&] { return run_once(p, algorithm, spec, from, w, b, to, added); });
  return y;
}

py::array call_weight_gradient(const ConvProblem& p, const py::array& x, const py::array& gradient,
                               const py::object& out) {
  require(x, "x", p.dtype, input_shape(p));
  require(gradient, "gradient", p.dtype, output_shape(p));
  py::array weight = output_or_new(p.dtype, Shape4{p.K, p.C_per_group(), p.R, p.S}, out);
  require_apart(weight, x, "x");
  require_apart(weight, gradient, "gradient");
  const void *from = x.data(), *dy = gradient.data();
  void* to = weight.mutable_data();
  run_released(p.multiply_adds() < 32 * 1024, [&] { return weight_gradient(p, from, dy, to); });
  return weight;
}

}  // namespace

void bind_plan(py::module_& module) {
  py::class_<Operation, std::shared_ptr<Operation>>(module, "Operation")
      .def_property_readonly("packed_bytes", &Operation::packed_bytes);
  py::class_<Plan, Operation, std::shared_ptr<Plan>> type(module, "Plan", py::is_final());
  def_constructor(type, "__init__", &make_plan, py::arg("problem"), py::arg("algorithm"), py::arg("weight"),
                  py::arg("bias") = py::none(), py::arg("activation") = py::none(), py::call_guard<InContext>());
  type.def("__call__", &call_plan, py::arg("x"), py::arg("out") = py::none(), py::arg("residual") = py::none(),
           py::call_guard<InContext>())
      .def_property_readonly("problem", [](const Plan& plan) { return plan.problem(); })
      .def_property_readonly("algorithm", [](const Plan& plan) { return plan.algorithm().name; })
      .def_property_readonly("isa", &Plan::isa)
      .def_property_readonly("workspace_bytes", py::cpp_function(&Plan::workspace_bytes, py::call_guard<InContext>()));
  module.def("run_once", &call_once, py::arg("problem"), py::arg("algorithm"), py::arg("activation"), py::arg("x"),
             py::arg("weight"), py::arg("bias"), py::arg("out"), py::arg("residual") = py::none(),
             py::call_guard<InContext>());
  module.def("weight_gradient", &call_weight_gradient, py::call_guard<InContext>());
}

}  // namespace fastconv::python
