// NumPy arrays to pointers and back. Only what memory safety needs is checked here: exact dtype and shape, C order,
// alignment, native bytes. Messages in the user's own words come from the Python layer.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

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

// Throws unless `array` is exactly what the kernels read: `sizes` values per axis.
inline void require(const py::array& array, const char* name, DType dtype, std::initializer_list<Extent> sizes) {
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
