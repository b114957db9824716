// The hot path of functions: a call like one seen before is found by its arguments, without running any Python code.
//
// The Python layer checks a call's arguments, decides on an algorithm, runs it and hands all of this to `remember`: the
// shapes that the problem was made of, not the arrays, which code of the caller's may have changed meanwhile. From then
// on `conv2d` makes the same key from the same arguments and runs. Whatever makes no key (an array that is not plain, a
// list, NHWC, an `out` that overlaps an input) returns NotImplemented, and the Python layer does it the long way.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "call.hpp"
#include "context.hpp"
#include "errors.hpp"
#include "fastconv/isa.hpp"
#include "fastconv/threads.hpp"
#include "run_released.hpp"

namespace fastconv::python {

namespace {

// Arguments as a row of integers, compared exactly.
class Key {
 public:
  bool add(std::int64_t value) {
    if (size_ == capacity) return false;
    values_[size_++] = value;
    hash_ = (hash_ ^ std::uint64_t(value)) * 0x9e3779b97f4a7c15u;
    hash_ ^= hash_ >> 29;
    return true;
  }

  // None, bool, int, float, str (up to 16 bytes) and tuples of these. A bool is not the int that it equals.
  bool add_object(PyObject* object, int depth = 0) {
    if (object == Py_None) return add('N');
    if (PyBool_Check(object)) return add('b') && add(object == Py_True);
    if (PyLong_CheckExact(object)) {
      int overflow = 0;
      const std::int64_t value = PyLong_AsLongLongAndOverflow(object, &overflow);
      return !overflow && add('i') && add(value);
    }
    if (PyTuple_CheckExact(object)) {
      const Py_ssize_t size = PyTuple_GET_SIZE(object);
      bool ok = depth < 3 && add('t') && add(size);
      for (Py_ssize_t i = 0; ok && i < size; ++i) ok = add_object(PyTuple_GET_ITEM(object, i), depth + 1);
      return ok;
    }
    if (PyUnicode_CheckExact(object)) {
      Py_ssize_t size = 0;
      const char* text = PyUnicode_AsUTF8AndSize(object, &size);
      if (!text) PyErr_Clear();
      if (!text || size > 16) return false;
      std::int64_t words[2] = {0, 0};
      std::memcpy(words, text, std::size_t(size));
      return add('s') && add(size) && add(words[0]) && add(words[1]);
    }
    if (PyFloat_CheckExact(object)) {
      std::int64_t bits = 0;
      const double value = PyFloat_AS_DOUBLE(object);
      std::memcpy(&bits, &value, sizeof bits);
      return add('f') && add(bits);
    }
    return false;
  }

  bool add_shape(DType dtype, int nd, const py::ssize_t* sizes) {
    bool ok = add(std::int64_t(dtype)) && add(nd);
    for (int axis = 0; ok && axis < nd; ++axis) ok = add(sizes[axis]);
    return ok;
  }
  // Of a plain array.
  bool add_array(PyObject* object) {
    PlainArray array;
    return array.read(object) && add_shape(array.dtype, array.nd, array.sizes);
  }
  bool add_no_array() { return add('N'); }

  bool operator==(const Key& other) const {
    return size_ == other.size_ && std::memcmp(values_, other.values_, std::size_t(size_) * sizeof values_[0]) == 0;
  }
  std::size_t hash() const { return hash_; }

 private:
  // The longest call, of a transposed volume, takes about 110: triples, pairs of pairs, ("clip", low, high), names.
  static constexpr int capacity = 128;
  std::int64_t values_[capacity];
  int size_ = 0;
  std::uint64_t hash_ = 0;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const { return key.hash(); }
};

struct Remembered {
  std::shared_ptr<const Program> program;
  ArrayShape output;  // as the user has it: without N, or with fewer axes than the layer
};

constexpr std::size_t most_remembered = 1024;

// Guarded by the GIL.
std::unordered_map<Key, Remembered, KeyHash>& memory() {
  static auto* map = new std::unordered_map<Key, Remembered, KeyHash>;
  return *map;
}

// The operator's name, its arrays, and then whatever else tells its calls apart: numbers, names, limits.
enum Argument { kind, input, weight, bias, out, residual, accumulate, first_option };

bool add_arrays(PyObject* const* args, Key& key) {
  return key.add_array(args[input]) && key.add_array(args[weight]) &&
         (args[bias] == Py_None ? key.add_no_array() : key.add_array(args[bias]));
}

// What is added to the output: nothing, an array apart, or what `out` holds, a copy of which is workspace.
enum Added { nothing, apart, itself };

Added added_by(PyObject* const* args) {
  if (args[accumulate] == Py_True) return itself;
  return args[residual] == Py_None ? nothing : args[residual] == args[out] ? itself : apart;
}

bool add_options(PyObject* name, int added, PyObject* const* options, Py_ssize_t count, Key& key) {
  bool ok = key.add_object(name) && key.add(added);
  for (Py_ssize_t i = 0; ok && i < count; ++i) ok = key.add_object(options[i]);
  return ok && key.add(num_threads()) && key.add(std::int64_t(active_isa()));
}

// The call's arrays; those of None have no memory.
struct Arrays {
  PlainArray x{}, w{}, b{}, y{};

  // Whether these are all arrays that the layer needs, of as many values.
  bool fit(const Layer& l) const {
    const auto is = [&](const PlainArray& array, Extent values) {
      return array.dtype == l.dtype && array.values() == values;
    };
    return is(x, l.input_size()) && is(w, l.weight_size()) && is(y, l.output_size()) && (!b.data || is(b, l.K));
  }

  // False if `out` cannot be used at once: plain, writable, of the output's dtype and shape, apart from the inputs.
  bool read_out(PyObject* out, const ArrayShape& shape) {
    return y.read(out) && y.writable && y.dtype == x.dtype && shape.is_of(y) && !overlap(y, x) && !overlap(y, w) &&
           !(b.data && overlap(y, b));
  }
};

PyObject* call(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs < first_option) {
    PyErr_Format(PyExc_TypeError, "remembered_call: got %zd arguments, expected at least %d", nargs, int(first_option));
    return nullptr;
  }
  return or_raise([&]() -> PyObject* {  // all of it: the first call asks what the machine has
    const InContext settings;
    Key key;
    const bool made = add_arrays(args, key) &&
                      add_options(args[kind], added_by(args), args + first_option, nargs - first_option, key);
    if (!made) return Py_NewRef(Py_NotImplemented);
    const auto found = memory().find(key);
    if (found == memory().end()) return Py_NewRef(Py_NotImplemented);
    const Remembered known = found->second;  // without the GIL others may drop the entry
    const Layer& layer = known.program->layer();
    Arrays arrays;
    const bool fresh = args[out] == Py_None;
    const py::object y = fresh ? new_array(layer.dtype, known.output.nd, known.output.sizes.data())
                               : py::reinterpret_borrow<py::object>(args[out]);
    // All memory is looked at here, once: no Python code runs from now on.
    arrays.x.read(args[input]);
    arrays.w.read(args[weight]);
    if (args[bias] != Py_None) arrays.b.read(args[bias]);
    const void* added = nullptr;
    const bool usable = (fresh ? arrays.y.read(y.ptr()) : arrays.read_out(y.ptr(), known.output)) &&
                        arrays.fit(layer) &&
                        read_residual(args[residual], args[accumulate], args[out], arrays.y, added);
    if (!usable) return Py_NewRef(Py_NotImplemented);
    run_released(known.program->is_brief(false), [&] {
      return known.program->run_once(arrays.x.data, arrays.w.data, arrays.b.data, arrays.y.data, {added});
    });
    return Py_NewRef(y.ptr());
  });
}

ArrayShape shape_of(const py::tuple& sizes) {
  ArrayShape shape;
  if (!shape.read(sizes.ptr())) throw py::error_already_set();
  return shape;
}

// `shapes`: of input, weight and output, as they were when the program was made.
void remember(const std::shared_ptr<Program>& program, const std::array<py::tuple, 3>& shapes, const py::str& name,
              bool has_bias, int added, const py::tuple& options) {
  const ArrayShape x = shape_of(shapes[0]), w = shape_of(shapes[1]), output = shape_of(shapes[2]);
  const Layer& layer = program->layer();
  const py::ssize_t filters = layer.K;
  std::vector<PyObject*> objects;
  for (const py::handle option : options) objects.push_back(option.ptr());
  Key key;
  const bool made = key.add_shape(layer.dtype, x.nd, x.sizes.data()) &&
                    key.add_shape(layer.dtype, w.nd, w.sizes.data()) &&
                    (has_bias ? key.add_shape(layer.dtype, 1, &filters) : key.add_no_array()) &&
                    add_options(name.ptr(), added, objects.data(), Py_ssize_t(objects.size()), key);
  if (!made) return;
  if (memory().size() >= most_remembered) memory().clear();
  memory().insert_or_assign(key, Remembered{program, output});
}

PyMethodDef method = {"remembered_call", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&call)),
                      METH_FASTCALL, "Run a call like one that was remembered, or return NotImplemented."};

}  // namespace

void bind_remembered_call(py::module_& module) {
  module.add_object("remembered_call", py::reinterpret_steal<py::object>(PyCFunction_New(&method, nullptr)));
  module.def("remember", &remember, py::call_guard<InContext>());
  module.def("forget", [] { memory().clear(); });
  module.def("remembered", [] { return memory().size(); });
}

}  // namespace fastconv::python
