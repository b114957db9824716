#pragma once

#include <string>

#include "fastconv/algorithm.hpp"

namespace fastconv::python {

const Algorithm& algorithm_named(const std::string& name);  // ValueError, listing the names, if there is none

}  // namespace fastconv::python
