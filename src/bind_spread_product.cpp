// spread_product: a transposed convolution in one call.
#include "call.hpp"
#include "context.hpp"
#include "fastconv/spread_product.hpp"
#include "run_released.hpp"

namespace fastconv::python {

namespace {

void call(const Layer& layer, const py::object& activation, const py::array& x, const py::array& weight,
          const py::object& bias, py::array& out) {
  const Activation spec = activation_of(activation);  // may run Python code: arrays are looked at afterwards
  require_size(x, "x", layer.dtype, layer.input_size());
  require_size(weight, "weight", layer.dtype, layer.weight_size());
  require_size(out, "out", layer.dtype, layer.output_size());
  require_writable(out, "out");
  const void* values = bias_of(bias, layer.dtype, layer.K);
  require_apart(out, x, "x");
  require_apart(out, weight, "weight");
  require_apart(out, bias, "bias");
  const void *from = x.data(), *w = weight.data();
  void* to = out.mutable_data();
  run_released(false, [&] { return spread_product(layer, spec, from, w, values, to); });
}

}  // namespace

void bind_spread_product(py::module_& module) { module.def("spread_product", &call, py::call_guard<InContext>()); }

}  // namespace fastconv::python
