// The call of an operator, `op(x, out=y, residual=r)`, without running any Python code: Operator is what Conv2d and its
// like inherit their call from. It keeps plans by the shape of the input. An input like one seen before goes to its
// plan as it is; whatever else comes (an array that is not plain, an `out` that cannot be written to, wrong shapes)
// goes to the Python method
// `_checked_call`, which copies, makes plans, or says what is wrong.
//
// A plain CPython type: pybind11's dispatch takes about 1 us of a call, this about 0.1.
#include <algorithm>
#include <new>
#include <vector>

#include "call.hpp"
#include "run_released.hpp"

namespace fastconv::python {

namespace {

struct Entry {
  ArrayShape input, output;
  py::object owner;  // of the plan
  const Operation* plan;
};

struct Operator {
  PyObject_HEAD std::vector<Entry>* entries;  // the one used last comes first; null until there is one
};

// Guarded by the GIL, like everything here. What is found moves to the front.
template <class Match>
const Entry* find(PyObject* self, Match&& match) {
  auto* entries = reinterpret_cast<Operator*>(self)->entries;
  if (!entries) return nullptr;
  const auto found = std::find_if(entries->begin(), entries->end(), match);
  if (found == entries->end()) return nullptr;
  std::rotate(entries->begin(), found, found + 1);
  return &entries->front();
}

// (x, out=None, *, residual=None, accumulate=False), the first two by position or by name.
struct Arguments {
  PyObject *x, *out, *residual, *accumulate;

  // False if it is anything else.
  bool read(PyObject* args, PyObject* kwargs) {
    static PyObject* const names[] = {PyUnicode_InternFromString("x"), PyUnicode_InternFromString("out"),
                                      PyUnicode_InternFromString("residual"), PyUnicode_InternFromString("accumulate")};
    PyObject** const values[] = {&x, &out, &residual, &accumulate};
    const Py_ssize_t positional = PyTuple_GET_SIZE(args);
    Py_ssize_t used = 0;
    for (int i = 0; i < 4; ++i) {
      *values[i] = i < 2 && positional > i ? PyTuple_GET_ITEM(args, i) : nullptr;
      if (*values[i] || !kwargs) continue;
      *values[i] = PyDict_GetItemWithError(kwargs, names[i]);
      if (*values[i]) ++used;
    }
    if (!out) out = Py_None;
    if (!residual) residual = Py_None;
    if (!accumulate) accumulate = Py_False;
    return x && positional <= 2 && (!kwargs || used == PyDict_GET_SIZE(kwargs));
  }
};

// The result, or null with an exception set, or null without: then it is not a call for a plan.
PyObject* call_directly(PyObject* self, const Arguments& given) {
  PlainArray from{}, to{};
  if (!from.read(given.x)) return nullptr;
  const Entry* entry = find(self, [&](const Entry& e) { return e.input.is_of(from); });
  if (!entry || entry->plan->dtype() != from.dtype) return nullptr;

  py::object y;
  if (given.out == Py_None) {
    y = new_array(from.dtype, entry->output.nd, entry->output.sizes.data());
    to.read(y.ptr());
  } else {
    if (!to.read(given.out) || !to.writable || to.dtype != from.dtype || !entry->output.is_of(to) || overlap(to, from))
      return nullptr;
    y = py::reinterpret_borrow<py::object>(given.out);
  }
  Ending ending;
  if (!read_residual(given.residual, given.accumulate, given.out, to, ending.residual)) return nullptr;
  const py::object owner = entry->owner;  // without the GIL others may drop the entry
  const Operation& plan = *entry->plan;
  run_released(plan.is_brief(), [&] { return plan.run(from.data, to.data, ending); });
  return y.release().ptr();
}

PyObject* call(PyObject* self, PyObject* args, PyObject* kwargs) {
  Arguments given;
  if (given.read(args, kwargs)) {
    PyObject* const y = or_raise([&] { return call_directly(self, given); });
    if (y || PyErr_Occurred()) return y;
  }
  const auto checked = py::reinterpret_steal<py::object>(PyObject_GetAttrString(self, "_checked_call"));
  return checked ? PyObject_Call(checked.ptr(), args, kwargs) : nullptr;
}

// _keep(input_shape, output_shape, plan, most)
PyObject* keep(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 4) {
    PyErr_Format(PyExc_TypeError, "_keep: got %zd arguments, expected 4", count);
    return nullptr;
  }
  Entry fresh{};
  if (!fresh.input.read(args[0]) || !fresh.output.read(args[1])) return nullptr;
  const std::size_t most = PyLong_AsSize_t(args[3]);
  if (PyErr_Occurred()) return nullptr;
  return or_raise([&]() -> PyObject* {
    fresh.owner = py::reinterpret_borrow<py::object>(args[2]);
    fresh.plan = &fresh.owner.cast<const Operation&>();
    auto*& entries = reinterpret_cast<Operator*>(self)->entries;
    if (!entries) entries = new std::vector<Entry>;
    std::erase_if(*entries, [&](const Entry& e) { return e.input == fresh.input; });
    entries->insert(entries->begin(), std::move(fresh));
    if (entries->size() > most) entries->pop_back();
    Py_RETURN_NONE;
  });
}

PyObject* kept(PyObject* self, PyObject* shape) {
  ArrayShape wanted;
  if (!wanted.read(shape)) return nullptr;
  const Entry* entry = find(self, [&](const Entry& e) { return e.input == wanted; });
  return Py_NewRef(entry ? entry->owner.ptr() : Py_None);
}

PyObject* plans(PyObject* self, PyObject*) {
  const auto* entries = reinterpret_cast<Operator*>(self)->entries;
  return PyLong_FromSize_t(entries ? entries->size() : 0);
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  delete reinterpret_cast<Operator*>(self)->entries;
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"_keep", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&keep)), METH_FASTCALL,
     "Keep a plan for inputs of a shape, instead of the one used least recently if there are many."},
    {"_kept", &kept, METH_O, "The plan kept for inputs of a shape, or None."},
    {"_plans", &plans, METH_NOARGS, "How many plans are kept."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void bind_operator(py::module_& module) {
  PyType_Slot slots[] = {
      {Py_tp_call, reinterpret_cast<void*>(&call)},
      {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
      {Py_tp_methods, methods},
      {Py_tp_doc, const_cast<char*>("The call of an operator, and the plans it keeps by shapes of inputs.")},
      {0, nullptr},
  };
  PyType_Spec spec{"fastconv._core.Operator", int(sizeof(Operator)), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                   slots};
  const auto type = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
  if (!type) throw py::error_already_set();
  module.attr("Operator") = type;
}

}  // namespace fastconv::python
