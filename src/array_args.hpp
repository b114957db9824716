// NumPy arrays to pointers and back. Only what memory safety needs is checked here: exact dtype and shape, C order,
// alignment, native bytes. Messages in the user's own words come from the Python layer.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <functional>
#include <numeric>
#include <span>
#include <string>

#include "fastconv/problem.hpp"

namespace fastconv::python {

namespace py = pybind11;

inline std::string shape_text(const py::array& array) {
  std::string text = "(";
  for (py::ssize_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + ")";
}

inline bool is_plain(const py::array& array) {
  constexpr int wanted = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return (array.flags() & wanted) == wanted;
}

// An array as the kernels take it: exactly an ndarray, C order, aligned, native float32 or float64. Read straight from
// NumPy's struct: a handful of nanoseconds, where py::array's own checks take a hundred.
struct PlainArray {
  void* data;
  const py::ssize_t* sizes;
  int nd;
  DType dtype;
  bool writable;

  // False if the object is anything else.
  bool read(PyObject* object) {
    using Api = py::detail::npy_api;
    if (Py_TYPE(object) != Api::get().PyArray_Type_) return false;
    const auto* array = py::detail::array_proxy(object);
    const auto* descr = py::detail::array_descriptor_proxy(array->descr);
    constexpr int plain = Api::NPY_ARRAY_C_CONTIGUOUS_ | Api::NPY_ARRAY_ALIGNED_;
    const bool native = descr->byteorder == '=' || descr->byteorder == '|';
    if ((array->flags & plain) != plain || !native) return false;
    if (descr->type_num != Api::NPY_FLOAT_ && descr->type_num != Api::NPY_DOUBLE_) return false;
    data = array->data;
    sizes = array->dimensions;
    nd = array->nd;
    dtype = descr->type_num == Api::NPY_FLOAT_ ? DType::float32 : DType::float64;
    writable = (array->flags & Api::NPY_ARRAY_WRITEABLE_) != 0;
    return true;
  }
  Extent values() const {
    Extent count = 1;
    for (int axis = 0; axis < nd; ++axis) count *= sizes[axis];
    return count;
  }
  std::size_t bytes() const { return std::size_t(values()) * size_of(dtype); }
};

// The shape of an array with up to three spatial axes.
struct ArrayShape {
  std::array<py::ssize_t, 5> sizes{};
  int nd = 0;

  // False, with an exception set, unless `tuple` is a tuple of two to five sizes.
  bool read(PyObject* tuple) {
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) < 2 || PyTuple_GET_SIZE(tuple) > 5) {
      PyErr_SetString(PyExc_TypeError, "expected a tuple of 2 to 5 sizes");
      return false;
    }
    nd = int(PyTuple_GET_SIZE(tuple));
    for (int i = 0; i < nd; ++i) {
      sizes[std::size_t(i)] = PyLong_AsSsize_t(PyTuple_GET_ITEM(tuple, i));
      if (PyErr_Occurred()) return false;
    }
    return true;
  }
  // Of an array; without axes if it has more than a shape may have.
  static ArrayShape of(const PlainArray& array) {
    ArrayShape shape;
    shape.nd = array.nd <= int(shape.sizes.size()) ? array.nd : 0;
    std::copy_n(array.sizes, shape.nd, shape.sizes.begin());
    return shape;
  }
  bool is_of(const PlainArray& array) const {
    return array.nd == nd && std::equal(array.sizes, array.sizes + nd, sizes.begin());
  }
  std::size_t hash() const {
    std::uint64_t mixed = std::uint64_t(nd);
    for (const py::ssize_t size : sizes) {
      mixed = (mixed ^ std::uint64_t(size)) * 0x9e3779b97f4a7c15u;
      mixed ^= mixed >> 29;
    }
    return std::size_t(mixed);
  }
  Extent values() const { return std::accumulate(sizes.begin(), sizes.begin() + nd, Extent{1}, std::multiplies<>()); }
  bool operator==(const ArrayShape&) const = default;
};

inline bool overlap(const PlainArray& a, const PlainArray& b) {
  const auto *a0 = static_cast<const std::byte*>(a.data), *b0 = static_cast<const std::byte*>(b.data);
  return a0 < b0 + b.bytes() && b0 < a0 + a.bytes();
}

// What is added to `y`, the array of `out`: the residual, or with accumulate=True `out` itself. False if the Python
// layer has something to do or to say.
inline bool read_residual(PyObject* residual, PyObject* accumulate, PyObject* out, const PlainArray& y,
                          const void*& added) {
  added = nullptr;
  if (accumulate == Py_True) {
    added = y.data;
    return residual == Py_None && out != Py_None;
  }
  if (accumulate != Py_False) return false;
  if (residual == Py_None) return true;
  PlainArray array{};
  const bool fits = array.read(residual) && array.dtype == y.dtype && array.nd == y.nd &&
                    std::equal(array.sizes, array.sizes + array.nd, y.sizes);
  added = array.data;
  return fits && (array.data == y.data || !overlap(array, y));
}

// An array of these sizes, its values not set.
inline py::object new_array(DType dtype, int nd, const py::ssize_t* sizes) {
  auto& api = py::detail::npy_api::get();
  const int type = dtype == DType::float32 ? api.NPY_FLOAT_ : api.NPY_DOUBLE_;
  PyObject* const descr = api.PyArray_DescrFromType_(type);
  auto array = py::reinterpret_steal<py::object>(api.PyArray_NewFromDescr_(
      api.PyArray_Type_, descr, nd, reinterpret_cast<const Py_intptr_t*>(sizes), nullptr, nullptr, 0, nullptr));
  if (!array) throw py::error_already_set();
  return array;
}

// True and the DType if the array's dtype is native float32 or float64.
inline bool dtype_of_array(const py::array& array, DType& dtype) {
  if (py::array_t<float>::check_(array))
    dtype = DType::float32;
  else if (py::array_t<double>::check_(array))
    dtype = DType::float64;
  else
    return false;
  return true;
}

inline py::dtype numpy_dtype(DType dtype) {
  return dtype == DType::float32 ? py::dtype::of<float>() : py::dtype::of<double>();
}

// Shapes of a whole batch, in the problem's layout.
using Shape4 = std::array<Extent, 4>;
inline Shape4 in_layout(Layout layout, Extent images, Extent channels, Extent rows, Extent columns) {
  if (layout == Layout::nhwc) return {images, rows, columns, channels};
  return {images, channels, rows, columns};
}
inline Shape4 input_shape(const ConvProblem& p) { return in_layout(p.layout, p.N, p.C, p.H, p.W); }
inline Shape4 output_shape(const ConvProblem& p) { return in_layout(p.layout, p.N, p.K, p.P(), p.Q()); }

// Throws unless `array` is exactly what the kernels read: `sizes` values per axis.
inline void require(const py::array& array, const char* name, DType dtype, std::span<const Extent> sizes) {
  DType got{};
  if (!dtype_of_array(array, got) || got != dtype)
    throw py::type_error(std::string(name) + ": got dtype " + std::string(py::str(array.dtype())) + ", expected " +
                         name_of(dtype));
  bool same = array.ndim() == py::ssize_t(sizes.size());
  std::string expected = "(";
  py::ssize_t axis = 0;
  for (Extent size : sizes) {
    if (same && array.shape(axis) != size) same = false;
    expected += (axis++ ? ", " : "") + std::to_string(size);
  }
  if (!same)
    throw py::value_error(std::string(name) + ": got shape " + shape_text(array) + ", expected " + expected + ")");
  if (!is_plain(array)) throw py::value_error(std::string(name) + ": expected a C-contiguous, aligned array");
}

inline void require_writable(const py::array& array, const char* name) {
  if (!array.writeable()) throw py::value_error(std::string(name) + ": got a read-only array, expected a writable one");
}

}  // namespace fastconv::python
