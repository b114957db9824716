// The call of an operator, `op(x, out=y, residual=r)`, without running any Python code: Operator is what Conv2d and its
// like inherit their call from. It keeps plans by the shape of the input, the ones used last, as many as some bytes of
// packed weights hold. An input like one seen before goes to its plan as it is; whatever else comes (an array that is
// not plain, an `out` that cannot be written to, wrong shapes) goes to the Python method `_checked_call`, which copies,
// makes plans, or says what is wrong.
//
// Plans follow from the operator's recipe. To give it another one, as `__init__` and `__setstate__` do, drops all
// plans, and a plan that was made meanwhile from the recipe of before is not kept.
//
// A plain CPython type: pybind11's dispatch takes about 1 us of a call, this about 0.1.
#include <list>
#include <unordered_map>
#include <utility>

#include "call.hpp"
#include "context.hpp"
#include "errors.hpp"
#include "run_released.hpp"

namespace fastconv::python {

namespace {

struct Entry {
  ArrayShape input, output;
  py::object owner;  // of the plan
  const Operation* plan;  // null if it is none that can be called here
  std::size_t bytes;
};

struct ShapeHash {
  std::size_t operator()(const ArrayShape& shape) const { return shape.hash(); }
};

// Guarded by the GIL, like everything here.
class Kept {
 public:
  // What is found moves to the front.
  const Entry* find(const ArrayShape& input) {
    if (entries_.empty()) return nullptr;
    if (entries_.front().input == input) return &entries_.front();
    const auto found = by_shape_.find(input);
    if (found == by_shape_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &entries_.front();
  }

  // Of the others those used last stay, `least` in all, and more as long as all take at most `most` bytes.
  void add(Entry fresh, std::size_t least, std::size_t most) {
    std::list<Entry> dropped;  // goes last: to destroy an object may run any code
    std::list<Entry> added;
    added.push_front(std::move(fresh));
    const auto [known, is_new] = by_shape_.try_emplace(added.front().input);
    // Nothing was changed as long as there might have been no memory.
    if (!is_new) {
      bytes_ -= known->second->bytes;
      dropped.splice(dropped.end(), entries_, known->second);
    }
    bytes_ += added.front().bytes;
    entries_.splice(entries_.begin(), added);
    known->second = entries_.begin();
    while (entries_.size() > least && entries_.size() > 1 && bytes_ > most) drop(std::prev(entries_.end()), dropped);
  }

  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  using Place = std::list<Entry>::iterator;

  void drop(Place place, std::list<Entry>& to) {
    bytes_ -= place->bytes;
    by_shape_.erase(place->input);
    to.splice(to.end(), entries_, place);
  }

  std::list<Entry> entries_;  // the one used last comes first
  std::unordered_map<ArrayShape, Place, ShapeHash> by_shape_;
  std::size_t bytes_ = 0;
};

struct Operator {
  PyObject_HEAD PyObject* recipe;  // null until it is set
  Kept* kept;  // null until there is something
};

Operator& of(PyObject* self) { return *reinterpret_cast<Operator*>(self); }

const Entry* find(PyObject* self, const ArrayShape& input) {
  Kept* const kept = of(self).kept;
  return kept ? kept->find(input) : nullptr;
}

void drop_plans(PyObject* self) {
  delete std::exchange(of(self).kept, nullptr);  // out of reach first: plans may be Python objects
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
  const Entry* entry = find(self, ArrayShape::of(from));
  if (!entry || !entry->plan || entry->plan->dtype() != from.dtype) return nullptr;
  // From here on the entry may be dropped: whatever makes an object may run other code, without the GIL others do.
  const py::object owner = entry->owner;
  const Operation& plan = *entry->plan;
  const ArrayShape output = entry->output;

  py::object y;
  if (given.out == Py_None) {
    y = new_array(from.dtype, output.nd, output.sizes.data());
    to.read(y.ptr());
  } else {
    if (!to.read(given.out) || !to.writable || to.dtype != from.dtype || !output.is_of(to) || overlap(to, from))
      return nullptr;
    y = py::reinterpret_borrow<py::object>(given.out);
  }
  const InContext settings;
  Ending ending;
  if (!read_residual(given.residual, given.accumulate, given.out, to, ending.residual)) return nullptr;
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

// _keep(recipe, input_shape, output_shape, plan, bytes, least, most)
PyObject* keep(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 7) {
    PyErr_Format(PyExc_TypeError, "_keep: got %zd arguments, expected 7", count);
    return nullptr;
  }
  Entry fresh{};
  if (!fresh.input.read(args[1]) || !fresh.output.read(args[2])) return nullptr;
  fresh.bytes = PyLong_AsSize_t(args[4]);
  const std::size_t least = PyLong_AsSize_t(args[5]), most = PyLong_AsSize_t(args[6]);
  if (PyErr_Occurred()) return nullptr;
  return or_raise([&]() -> PyObject* {
    fresh.owner = py::reinterpret_borrow<py::object>(args[3]);
    if (py::isinstance<Operation>(fresh.owner)) {
      const auto& plan = fresh.owner.cast<const Operation&>();
      if (plan.input_values() != fresh.input.values() || plan.output_values() != fresh.output.values())
        throw py::value_error("plan: expected one for arrays of these shapes");
      fresh.plan = &plan;
    }
    if (args[0] != of(self).recipe) Py_RETURN_NONE;
    auto*& kept = of(self).kept;
    if (!kept) kept = new Kept;
    kept->add(std::move(fresh), least, most);
    Py_RETURN_NONE;
  });
}

// _run_at(input_shape, input_address, output_address), for memory that is no array's: plain, of the operator's dtype
// and of the shapes that the plan for input_shape has, apart from one another, which the caller answers for. False if
// there is no such plan.
PyObject* run_at(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 3) {
    PyErr_Format(PyExc_TypeError, "_run_at: got %zd arguments, expected 3", count);
    return nullptr;
  }
  ArrayShape input;
  if (!input.read(args[0])) return nullptr;
  const void* const from = PyLong_AsVoidPtr(args[1]);
  void* const to = PyLong_AsVoidPtr(args[2]);
  if (PyErr_Occurred()) return nullptr;
  const Entry* const entry = find(self, input);
  if (!entry || !entry->plan) Py_RETURN_FALSE;
  return or_raise([&]() -> PyObject* {
    const py::object owner = entry->owner;  // without the GIL others may drop the entry
    const Operation& plan = *entry->plan;
    const InContext settings;
    run_released(plan.is_brief(), [&] { return plan.run(from, to, Ending{}); });
    Py_RETURN_TRUE;
  });
}

// _kept(recipe, input_shape)
PyObject* kept(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    PyErr_Format(PyExc_TypeError, "_kept: got %zd arguments, expected 2", count);
    return nullptr;
  }
  ArrayShape wanted;
  const bool is_shape = args[0] == of(self).recipe && wanted.read(args[1]);
  if (!is_shape) PyErr_Clear();
  const Entry* entry = is_shape ? find(self, wanted) : nullptr;
  return Py_NewRef(entry ? entry->owner.ptr() : Py_None);
}

PyObject* plans(PyObject* self, PyObject*) {
  const Kept* const all = of(self).kept;
  return PyLong_FromSize_t(all ? all->size() : 0);
}

PyObject* plan_bytes(PyObject* self, PyObject*) {
  const Kept* const all = of(self).kept;
  return PyLong_FromSize_t(all ? all->bytes() : 0);
}

PyObject* recipe(PyObject* self, void*) {
  if (PyObject* const given = of(self).recipe) return Py_NewRef(given);
  PyErr_Format(PyExc_AttributeError, "%s: expected to be initialized before it is used", Py_TYPE(self)->tp_name);
  return nullptr;
}

int set_recipe(PyObject* self, PyObject* value, void*) {
  if (value) Py_INCREF(value);
  PyObject* const before = std::exchange(of(self).recipe, value);
  drop_plans(self);
  Py_XDECREF(before);
  return 0;
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  set_recipe(self, nullptr, nullptr);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"_keep", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&keep)), METH_FASTCALL,
     "Keep a plan that was made from a recipe, and of the others as many as may be kept."},
    {"_kept", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&kept)), METH_FASTCALL,
     "The plan of a recipe for inputs of a shape, or None."},
    {"_run_at", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&run_at)), METH_FASTCALL,
     "Run the plan kept for inputs of a shape on memory given by address; False if there is none."},
    {"_plans", &plans, METH_NOARGS, "How many plans are kept."},
    {"_plan_bytes", &plan_bytes, METH_NOARGS, "Their bytes, as they were said."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef attributes[] = {
    {"_recipe", &recipe, &set_recipe, "What plans follow from; setting it drops those of before.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

void bind_operator(py::module_& module) {
  PyType_Slot slots[] = {
      {Py_tp_call, reinterpret_cast<void*>(&call)},
      {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
      {Py_tp_methods, methods},
      {Py_tp_getset, attributes},
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
