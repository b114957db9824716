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

void require_size(const py::array& array, const char* name, DType dtype, Extent values) {
  const bool rows = array.ndim() > 0;
  if (!rows || array.size() != values)
    throw py::value_error(std::string(name) + ": got shape " + shape_text(array) + ", expected " +
                          std::to_string(values) + " values");
  require(array, name, dtype, std::vector<Extent>(array.shape(), array.shape() + array.ndim()));
}

namespace {

// What a program or plan reads and writes, as the user's arrays have it: any shapes with as many values.
struct Operands {
  const void *x, *weight = nullptr, *bias = nullptr, *residual = nullptr;
  void* y;

  Operands(const Layer& layer, const py::array& input, py::array& out, const py::object& added) {
    require_size(input, "x", layer.dtype, layer.input_size());
    require_size(out, "out", layer.dtype, layer.output_size());
    require_writable(out, "out");
    require_apart(out, input, "x");
    if (!added.is_none()) {
      if (!py::isinstance<py::array>(added)) throw py::type_error("residual: expected an array");
      const auto array = py::reinterpret_borrow<py::array>(added);
      require_size(array, "residual", layer.dtype, layer.output_size());
      if (array.data() != out.data()) require_apart(out, array, "residual");
      residual = array.data();
    }
    x = input.data();
    y = out.mutable_data();
  }
};

// Of new outputs: pixels of a plane are one axis where there are planes.
py::array new_output(const Layer& l) {
  const Extent O = l.axes[0].outputs, P = l.axes[1].outputs, Q = l.axes[2].outputs;
  return py::array(numpy_dtype(l.dtype),
                   O == 1 ? in_layout(l.layout, l.N, l.K, P, Q) : in_layout(l.layout, l.N, l.K, O, P * Q));
}

py::array given_or_new(const py::object& out, const Layer& layer) {
  if (out.is_none()) return new_output(layer);
  if (!py::isinstance<py::array>(out)) throw py::type_error("out: expected an array");
  return py::reinterpret_borrow<py::array>(out);
}

using ChoiceNumbers = std::tuple<std::string, Extent, double>;  // name, variant, error_limit

Program make_program(const Lowering& lowering, const std::vector<ChoiceNumbers>& numbers,
                     const py::object& activation) {
  std::vector<Choice> choices;
  for (const auto& [name, variant, error_limit] : numbers)
    choices.push_back({&algorithm_named(name), variant, error_limit});
  return Program(lowering, choices, activation_of(activation));
}

void run_program(const Program& program, const py::array& x, const py::array& weight, const py::object& bias,
                 py::array& out, const py::object& residual) {
  const Layer& layer = program.layer();
  Operands arrays(layer, x, out, residual);
  require_size(weight, "weight", layer.dtype, layer.weight_size());
  require_apart(out, weight, "weight");
  arrays.bias = bias_of(bias, layer.dtype, layer.K);
  require_apart(out, bias, "bias");
  const void* const w = weight.data();
  run_released(program.is_brief(false),
               [&] { return program.run_once(arrays.x, w, arrays.bias, arrays.y, {arrays.residual}); });
}

// Problem and algorithm, or a program.
Plan make_plan(const std::shared_ptr<Program>& program, const py::array& weight, const py::object& bias) {
  const Layer& layer = program->layer();
  require_size(weight, "weight", layer.dtype, layer.weight_size());
  const void *w = weight.data(), *b = bias_of(bias, layer.dtype, layer.K);
  return without_gil([&](PyThreadState*) { return Plan(program, w, b); });
}

Plan make_image_plan(const ConvProblem& problem, const std::string& name, const py::array& weight,
                     const py::object& bias, const py::object& activation) {
  require(weight, "weight", problem.dtype, std::array{problem.K, problem.C_per_group(), problem.R, problem.S});
  return make_plan(std::make_shared<Program>(problem, algorithm_named(name), activation_of(activation)), weight, bias);
}

py::array call_plan(const Plan& plan, const py::array& x, const py::object& out, const py::object& residual) {
  const Layer& layer = plan.program().layer();
  py::array y = given_or_new(out, layer);
  const Operands arrays(layer, x, y, residual);
  run_released(plan.is_brief(), [&] { return plan.run(arrays.x, arrays.y, {arrays.residual}); });
  return y;
}

py::array call_once(const ConvProblem& p, const std::string& name, const py::object& activation, const py::array& x,
                    const py::array& weight, const py::object& bias, const py::object& out,
                    const py::object& residual) {
  const Program program(p, algorithm_named(name), activation_of(activation));
  py::array y = given_or_new(out, program.layer());
  run_program(program, x, weight, bias, y, residual);
  return y;
}

py::tuple chosen_algorithms(const Program& program) {
  py::list names;
  for (std::size_t i = 0; i < program.lowering().part_count(); ++i) names.append(program.algorithm(i).name);
  return py::tuple(names);
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
  py::class_<Program, std::shared_ptr<Program>> program(module, "Program", py::is_final());
  def_constructor(program, "__init__", &make_program, py::arg("lowering"), py::arg("choices"),
                  py::arg("activation") = py::none(), py::call_guard<InContext>());
  program
      .def("__call__", &run_program, py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("out"),
           py::arg("residual") = py::none(), py::call_guard<InContext>())
      .def_property_readonly("lowering", [](const Program& p) { return p.lowering(); })
      .def_property_readonly("algorithms", &chosen_algorithms)
      .def_property_readonly("isa", &Program::isa)
      .def_property_readonly("packed_bytes", &Program::packed_bytes)
      .def("workspace_bytes", &Program::workspace_bytes, py::arg("prepared"), py::arg("adds") = false,
           py::call_guard<InContext>())
      .def("cost", &Program::cost, py::arg("prepared"));
  py::class_<Plan, Operation, std::shared_ptr<Plan>> plan(module, "Plan", py::is_final());
  def_constructor(plan, "__init__", &make_plan, py::arg("program"), py::arg("weight"), py::arg("bias") = py::none(),
                  py::call_guard<InContext>());
  def_constructor(plan, "__init__", &make_image_plan, py::arg("problem"), py::arg("algorithm"), py::arg("weight"),
                  py::arg("bias") = py::none(), py::arg("activation") = py::none(), py::call_guard<InContext>());
  plan.def("__call__", &call_plan, py::arg("x"), py::arg("out") = py::none(), py::arg("residual") = py::none(),
           py::call_guard<InContext>())
      .def_property_readonly("problem", [](const Plan& p) { return p.problem(); })
      .def_property_readonly("algorithm", [](const Plan& p) { return p.algorithm().name; })
      .def_property_readonly("program",
                             [](const Plan& p) { return std::const_pointer_cast<Program>(p.shared_program()); })
      .def_property_readonly("isa", [](const Plan& p) { return p.program().isa(); })
      .def_property_readonly("workspace_bytes", py::cpp_function(&Plan::workspace_bytes, py::call_guard<InContext>()));
  module.def("run_once", &call_once, py::arg("problem"), py::arg("algorithm"), py::arg("activation"), py::arg("x"),
             py::arg("weight"), py::arg("bias"), py::arg("out"), py::arg("residual") = py::none(),
             py::call_guard<InContext>());
  module.def("weight_gradient", &call_weight_gradient, py::call_guard<InContext>());
}

}  // namespace fastconv::python
