// What the two ways of a call without a plan share.
#pragma once

#include "array_args.hpp"
#include "fastconv/plan.hpp"

namespace fastconv::python {

py::array output_or_new(const ConvProblem& problem, const py::object& out);

// Pointers are to arrays that were checked; y is returned, filled.
py::array run_unprepared(const ConvProblem& problem, const Algorithm& algorithm, const Activation& activation, const void* x,
                         const void* weight, const void* bias, py::array y);

}  // namespace fastconv::python
