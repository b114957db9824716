// The extension module: each part of the core is bound in its own file.
#include <pybind11/pybind11.h>

namespace fastconv::python {

void bind_errors();
void bind_context(pybind11::module_& module);
void bind_problem(pybind11::module_& module);
void bind_registry(pybind11::module_& module);
void bind_plan(pybind11::module_& module);
void bind_integer_plan(pybind11::module_& module);
void bind_layer(pybind11::module_& module);
void bind_spread_product(pybind11::module_& module);
void bind_operator(pybind11::module_& module);
void bind_remembered_call(pybind11::module_& module);
void bind_machine(pybind11::module_& module);

}  // namespace fastconv::python

PYBIND11_MODULE(_core, module) {
  using namespace fastconv::python;
  module.doc() = "The compiled core of fastconv; see _core.pyi.";
  bind_errors();
  bind_context(module);
  bind_problem(module);
  bind_registry(module);
  bind_plan(module);
  bind_integer_plan(module);
  bind_layer(module);
  bind_spread_product(module);
  bind_operator(module);
  bind_remembered_call(module);
  bind_machine(module);
}
