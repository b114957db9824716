#include "context.hpp"

#include <pybind11/pybind11.h>

namespace fastconv::python {

namespace py = pybind11;

namespace {

PyObject* settings = nullptr;  // the ContextVar, whose values context.py makes: (threads, isa, entries)

}  // namespace

// Asked at each call. Whatever is no such tuple says nothing.
ContextNumbers ContextNumbers::read() {
  PyObject* value = nullptr;
  ContextNumbers numbers;
  if (PyContextVar_Get(settings, nullptr, &value) < 0) PyErr_Clear();
  if (value == nullptr) return numbers;
  const auto owner = py::reinterpret_steal<py::object>(value);
  const auto item = [&](Py_ssize_t i, int otherwise) {
    PyObject* const number = PyTuple_GET_ITEM(value, i);
    if (!PyLong_CheckExact(number)) return otherwise;
    int overflow = 0;
    const long n = PyLong_AsLongAndOverflow(number, &overflow);
    return overflow || n < -1 || n > max_threads ? otherwise : int(n);
  };
  if (PyTuple_CheckExact(value) && PyTuple_GET_SIZE(value) >= 2) {
    numbers.threads = item(0, numbers.threads);
    numbers.isa = item(1, numbers.isa);
  }
  return numbers;
}

void bind_context(py::module_& module) {
  settings = PyContextVar_New("fastconv", nullptr);
  if (settings == nullptr) throw py::error_already_set();
  module.attr("settings") = py::handle(settings);
}

}  // namespace fastconv::python
