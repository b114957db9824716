// Constructors of the types that calls make, safe when memory runs out.
//
// py::init has pybind11 note the new object in its table of instances *behind* its own try block: std::bad_alloc there
// crosses frames of C, and the process aborts. Here it is noted inside, by a holder that exists already, and an object
// that could not be noted is empty, so that nothing is freed twice.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

namespace fastconv::python {

namespace detail {

template <class Class, class T, class... Args, class... Extra>
void def_constructor(Class& type, const char* name, T (*make)(Args...), const Extra&... extra) {
  using Holder = typename Class::holder_type;
  type.def(
      name,
      [make](pybind11::detail::value_and_holder& self, Args... args) {
        Holder made(new T(make(std::forward<Args>(args)...)));
        self.value_ptr() = made.get();
        try {
          self.type->init_instance(self.inst, &made);
        } catch (...) {
          self.value_ptr() = nullptr;
          throw;
        }
      },
      pybind11::detail::is_new_style_constructor(), extra...);
}

}  // namespace detail

// As type.def(py::init(make), extra...), for a function `make` that returns a value; `name` may be __setstate__ too.
template <class Class, class Make, class... Extra>
void def_constructor(Class& type, const char* name, Make make, const Extra&... extra) {
  detail::def_constructor(type, name, +make, extra...);
}

}  // namespace fastconv::python
