// Layer and Lowering: any operator's layer as plain data, and the convolutions of images that it is made of.
#include <pybind11/stl.h>

#include "call.hpp"
#include "constructor.hpp"
#include "fastconv/lowering.hpp"

namespace fastconv::python {

namespace {

using AxisNumbers = std::array<Extent, 7>;  // extent, taps, outputs, stride, dilation, before, after

Kind kind_named(const std::string& name) {
  if (name == "forward") return Kind::forward;
  if (name == "transposed") return Kind::transposed;
  if (name == "weight_gradient") return Kind::weight_gradient;
  throw py::value_error("kind: expected 'forward', 'transposed' or 'weight_gradient', got '" + name + "'");
}

const char* kind_name(Kind kind) {
  return kind == Kind::forward ? "forward" : kind == Kind::transposed ? "transposed" : "weight_gradient";
}

Layer make_layer(const std::string& kind, const std::string& dtype, const std::string& layout, Extent N, Extent C,
                 Extent K, Extent groups, const std::vector<AxisNumbers>& axes) {
  Layer layer{kind_named(kind), dtype_named(dtype), layout_named(layout), N, C, K, groups, {}};
  if (axes.size() > 3) throw py::value_error("axes: expected at most three");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const AxisNumbers& a = axes[i];
    layer.axes[3 - axes.size() + i] = {a[0], a[1], a[2], a[3], a[4], a[5], a[6]};
  }
  const std::string reason = invalid(layer);
  if (!reason.empty()) throw py::value_error(reason);
  return layer;
}

py::tuple all_of(const Layer& l) {
  py::list axes;
  for (const Axis& a : l.axes)
    axes.append(py::make_tuple(a.extent, a.taps, a.outputs, a.stride, a.dilation, a.before, a.after));
  return py::make_tuple(kind_name(l.kind), name_of(l.dtype), name_of(l.layout), l.N, l.C, l.K, l.groups,
                        py::tuple(axes));
}

py::tuple over_axes(const Layer& l, Extent Axis::* member) {
  return py::make_tuple(l.axes[0].*member, l.axes[1].*member, l.axes[2].*member);
}

}  // namespace

void bind_layer(py::module_& module) {
  using L = Layer;
  py::class_<L> type(module, "Layer", py::is_final(),
                     "One layer of any operator: extents, and how filters lie along up to three axes. Immutable,\n"
                     "comparable, hashable. Raises ValueError if a size overflows.");
  def_constructor(type, "__init__", &make_layer, py::arg("kind"), py::arg("dtype"), py::arg("layout"), py::arg("N"),
                  py::arg("C"), py::arg("K"), py::arg("groups"), py::arg("axes"));
  type.def_property_readonly("kind", [](const L& l) { return kind_name(l.kind); })
      .def_property_readonly("dtype", [](const L& l) { return name_of(l.dtype); })
      .def_property_readonly("layout", [](const L& l) { return name_of(l.layout); })
      .def_readonly("N", &L::N)
      .def_readonly("C", &L::C)
      .def_readonly("K", &L::K)
      .def_readonly("groups", &L::groups)
      .def_property_readonly("extents", [](const L& l) { return over_axes(l, &Axis::extent); })
      .def_property_readonly("kernel", [](const L& l) { return over_axes(l, &Axis::taps); })
      .def_property_readonly("outputs", [](const L& l) { return over_axes(l, &Axis::outputs); })
      .def_property_readonly("stride", [](const L& l) { return over_axes(l, &Axis::stride); })
      .def_property_readonly("dilation", [](const L& l) { return over_axes(l, &Axis::dilation); })
      .def_property_readonly("before", [](const L& l) { return over_axes(l, &Axis::before); })
      .def_property_readonly("output_bytes", [](const L& l) { return l.output_size() * Extent(size_of(l.dtype)); })
      .def("__eq__", [](const L& a, const py::object& b) { return py::isinstance<L>(b) && a == b.cast<const L&>(); })
      .def("__hash__", [](const L& l) { return py::hash(all_of(l)); })
      .def("__repr__", [](const L& l) { return "Layer" + std::string(py::repr(all_of(l))); });

  py::class_<Lowering>(module, "Lowering", py::is_final())
      .def_property_readonly("problems",
                             [](const Lowering& lowering) {
                               py::list problems;
                               for (const Stage& stage : lowering.stages)
                                 for (const Part& part : stage.parts) problems.append(py::cast(part.problem));
                               return py::tuple(problems);
                             })
      .def_property_readonly("layer", [](const Lowering& lowering) { return lowering.layer; })
      .def("__eq__", [](const Lowering& a, const Lowering& b) { return a == b; });
  module.def(
      "lower", [](const Layer& layer, bool splits_depth) { return lower(layer, Route{splits_depth}); },
      py::arg("layer"), py::arg("splits_depth") = false);
  module.def("depth_savings", [](const Layer& layer) {
    const DepthSavings s = depth_savings(layer);
    return py::make_tuple(s.products, s.wasted, s.weights);
  });
}

}  // namespace fastconv::python
