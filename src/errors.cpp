// The one place that says what becomes of C++ exceptions in Python: of those of the library here, of all others by
// pybind11's rules.
#include "errors.hpp"

#include <pybind11/pybind11.h>

#include <new>
#include <stdexcept>

#include "fastconv/no_memory.hpp"

namespace fastconv::python {

namespace {

// What it does not know leaves it as it came: that is how pybind11 wants to be told.
void translate(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const NoMemory& refused) {
    PyErr_Format(PyExc_MemoryError, "expected %zu bytes of memory, got none", refused.bytes());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "expected a few bytes of memory for the records of a call, got none");
  } catch (const std::length_error&) {
    PyErr_SetString(PyExc_MemoryError, "expected memory for a list of over 2^60 items, got none");
  }
}

}  // namespace

void raise_in_python() noexcept {
  try {
    translate(std::current_exception());
  } catch (pybind11::error_already_set& error) {
    error.restore();
  } catch (const pybind11::builtin_exception& error) {
    error.set_error();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  }
}

void bind_errors() { pybind11::register_local_exception_translator(&translate); }

}  // namespace fastconv::python
