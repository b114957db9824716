// Problem: the layer as plain data.
#include <pybind11/stl.h>

#include <stdexcept>

#include "call.hpp"
#include "constructor.hpp"

namespace fastconv::python {

Layout layout_named(const std::string& name) {
  if (name == "NCHW") return Layout::nchw;
  if (name == "NHWC") return Layout::nhwc;
  throw py::value_error("layout: got '" + name + "', expected 'NCHW' or 'NHWC'");
}

DType dtype_named(const std::string& name) {
  if (name == "float32") return DType::float32;
  if (name == "float64") return DType::float64;
  throw py::value_error("dtype: got '" + name + "', expected 'float32' or 'float64'");
}

const char* name_of(Layout layout) { return layout == Layout::nchw ? "NCHW" : "NHWC"; }

namespace {

// The first field of a pickle: another meaning of the others makes it another number.
constexpr int pickle_version = 1;
constexpr std::size_t fields = 20;

py::tuple all_of(const ConvProblem& p) {
  return py::make_tuple(name_of(p.dtype), p.N, p.C, p.H, p.W, p.K, p.R, p.S, p.stride_h, p.stride_w, p.pad_top,
                        p.pad_bottom, p.pad_left, p.pad_right, p.dilation_h, p.dilation_w, p.groups, name_of(p.layout),
                        p.error_limit, p.variant);
}

ConvProblem make(const std::string& dtype, Extent N, Extent C, Extent H, Extent W, Extent K, Extent R, Extent S,
                 Extent stride_h, Extent stride_w, Extent pad_top, Extent pad_bottom, Extent pad_left, Extent pad_right,
                 Extent dilation_h, Extent dilation_w, Extent groups, const std::string& layout, double error_limit,
                 Extent variant) {
  const ConvProblem problem{dtype_named(dtype),
                            layout_named(layout),
                            N,
                            C,
                            H,
                            W,
                            K,
                            R,
                            S,
                            stride_h,
                            stride_w,
                            pad_top,
                            pad_bottom,
                            pad_left,
                            pad_right,
                            dilation_h,
                            dilation_w,
                            groups,
                            error_limit,
                            variant};
  const std::string reason = invalid(problem);
  if (!reason.empty()) throw py::value_error(reason);
  return problem;
}

ConvProblem unpickled(const py::tuple& state) {
  const auto version = [&]() -> std::string {
    if (state.size() == 0 || !py::isinstance<py::int_>(state[0])) return "none";
    return py::str(state[0]);
  }();
  if (version != std::to_string(pickle_version) || state.size() != fields + 1)
    throw py::value_error("Problem: expected a pickle of version " + std::to_string(pickle_version) +
                          ", as this fastconv makes them, got version " + version);
  const auto text = [&](std::size_t i) { return state[i + 1].cast<std::string>(); };
  const auto at = [&](std::size_t i) { return state[i + 1].cast<Extent>(); };
  return make(text(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9), at(10), at(11), at(12), at(13),
              at(14), at(15), at(16), text(17), state[19].cast<double>(), at(19));
}

}  // namespace

void bind_problem(py::module_& module) {
  using P = ConvProblem;
  const auto bytes = [](Extent values, const P& p) { return values * Extent(size_of(p.dtype)); };
  py::class_<P> type(
      module, "Problem", py::is_final(),
      "One convolution layer: extents, geometry and dtype. Letters: N images, C channels, H x W image, K filters,\n"
      "R x S kernel, P x Q output. Immutable, comparable, hashable, picklable. Raises ValueError if the extents\n"
      "make no layer, or if a size overflows.");
  def_constructor(type, "__init__", &make, py::arg("dtype"), py::arg("N"), py::arg("C"), py::arg("H"), py::arg("W"),
                  py::arg("K"), py::arg("R"), py::arg("S"), py::arg("stride_h") = 1, py::arg("stride_w") = 1,
                  py::arg("pad_top") = 0, py::arg("pad_bottom") = 0, py::arg("pad_left") = 0, py::arg("pad_right") = 0,
                  py::arg("dilation_h") = 1, py::arg("dilation_w") = 1, py::arg("groups") = 1,
                  py::arg("layout") = "NCHW", py::arg("error_limit") = ConvProblem{}.error_limit,
                  py::arg("variant") = ConvProblem{}.variant);
  type.def_property_readonly("dtype", [](const P& p) { return name_of(p.dtype); })
      .def_readonly("N", &P::N)
      .def_readonly("C", &P::C)
      .def_readonly("H", &P::H)
      .def_readonly("W", &P::W)
      .def_readonly("K", &P::K)
      .def_readonly("R", &P::R)
      .def_readonly("S", &P::S)
      .def_property_readonly("P", &P::P)
      .def_property_readonly("Q", &P::Q)
      .def_readonly("stride_h", &P::stride_h)
      .def_readonly("stride_w", &P::stride_w)
      .def_readonly("pad_top", &P::pad_top)
      .def_readonly("pad_bottom", &P::pad_bottom)
      .def_readonly("pad_left", &P::pad_left)
      .def_readonly("pad_right", &P::pad_right)
      .def_readonly("dilation_h", &P::dilation_h)
      .def_readonly("dilation_w", &P::dilation_w)
      .def_readonly("groups", &P::groups)
      .def_readonly("error_limit", &P::error_limit)
      .def("with_error_limit",
           [](P p, double limit) {
             p.error_limit = limit;
             const std::string reason = invalid(p);
             if (!reason.empty()) throw py::value_error(reason);
             return p;
           })
      .def_readonly("variant", &P::variant)
      .def("with_variant",
           [](P p, Extent number) {
             p.variant = number;
             return p;
           })
      .def_property_readonly("layout", [](const P& p) { return name_of(p.layout); })
      .def_property_readonly("input_shape", [](const P& p) { return py::tuple(py::cast(input_shape(p))); })
      .def_property_readonly("weight_shape", [](const P& p) { return py::make_tuple(p.K, p.C_per_group(), p.R, p.S); })
      .def_property_readonly("output_shape", [](const P& p) { return py::tuple(py::cast(output_shape(p))); })
      .def_property_readonly("multiply_adds", &P::multiply_adds)
      .def_property_readonly("input_bytes", [=](const P& p) { return bytes(p.input_size(), p); })
      .def_property_readonly("weight_bytes", [=](const P& p) { return bytes(p.weight_size(), p); })
      .def_property_readonly("output_bytes", [=](const P& p) { return bytes(p.output_size(), p); })
      .def("__eq__", [](const P& a, const py::object& b) { return py::isinstance<P>(b) && a == b.cast<const P&>(); })
      .def("__hash__", [](const P& p) { return py::hash(all_of(p)); })
      .def("__repr__", [](const P& p) { return "Problem" + std::string(py::repr(all_of(p))); })
      .def("__getstate__", [](const P& p) { return py::make_tuple(pickle_version) + all_of(p); });
  def_constructor(type, "__setstate__", &unpickled);
}

}  // namespace fastconv::python
