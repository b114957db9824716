// C++ exceptions as Python's.
#pragma once

#include <Python.h>

namespace fastconv::python {

// Within a catch block: sets the Python exception that stands for the one caught.
void raise_in_python() noexcept;

// What f() returns; null, with Python's exception set, if it throws.
template <class F>
PyObject* or_raise(F&& f) {
  try {
    return f();
  } catch (...) {
    raise_in_python();
  }
  return nullptr;
}

}  // namespace fastconv::python
