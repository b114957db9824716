// What the ways of making a call share: names and specifications to records, outputs, and running without the GIL.
#pragma once

#include <string>

#include "array_args.hpp"
#include "fastconv/plan.hpp"

namespace fastconv::python {

const Algorithm& algorithm_named(const std::string& name);  // ValueError, listing the names, if there is none
Layout layout_named(const std::string& name);              // ValueError if it is neither
DType dtype_named(const std::string& name);                // likewise
const char* name_of(Layout layout);
Activation activation_of(const py::object& spec);           // (kind, a, b) or None

py::array output_or_new(DType dtype, const Shape4& shape, const py::object& out);

// Whether the memory of `array` and of `other`, an array or None, overlap. Both are contiguous.
bool overlap(const py::array& array, py::handle other);
void require_apart(const py::array& y, py::handle other, const char* name);  // ValueError if they do

const void* bias_of(const py::object& bias, DType dtype, Extent K);  // K values, or null for None

// Throws unless `array` has that many values of the dtype, as the kernels read them: their shape is the caller's
// matter.
void require_size(const py::array& array, const char* name, DType dtype, Extent values);

}  // namespace fastconv::python
