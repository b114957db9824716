// The registry: who there is, who accepts what, at what cost.
#include <pybind11/stl.h>

#include "base/simplified.hpp"
#include "call.hpp"
#include "context.hpp"

namespace fastconv::python {

const Algorithm& algorithm_named(const std::string& name) {
  if (const Algorithm* algorithm = find_algorithm(name)) return *algorithm;
  std::string message = "algorithm: got '" + name + "', expected one of";
  for (const Algorithm* algorithm : algorithms()) message += std::string(" ") + algorithm->name;
  throw py::value_error(message);
}

void bind_registry(py::module_& module) {
  module.def("algorithms", [] {
    py::list names;
    for (const Algorithm* algorithm : algorithms()) names.append(algorithm->name);
    return py::tuple(names);
  });
  module.def("summary", [](const std::string& name) { return algorithm_named(name).summary; });
  module.def("rejects", [](const std::string& name, const ConvProblem& problem) -> py::object {
    const std::string reason = algorithm_named(name).rejects(simplified(problem));
    return reason.empty() ? py::object(py::none()) : py::object(py::str(reason));
  });
  module.def(
      "variant",
      [](const std::string& name, const ConvProblem& problem) { return variant(algorithm_named(name), problem); },
      py::call_guard<InContext>());
  module.def("variants", [](const std::string& name, const ConvProblem& problem) {
    const Algorithm& algorithm = algorithm_named(name);
    py::dict numbers;
    for (const auto& [variant, number] : algorithm.variants ? algorithm.variants(simplified(problem)) : Variants())
      numbers[py::str(variant)] = number;
    return numbers;
  });
  module.def("details", [](const std::string& name, const ConvProblem& problem) -> py::object {
    const Algorithm& algorithm = algorithm_named(name);
    return algorithm.details ? py::object(py::str(algorithm.details(simplified(problem)))) : py::none();
  });
  module.def("expected_error", [](const std::string& name, const ConvProblem& problem) -> py::object {
    const Algorithm& algorithm = algorithm_named(name);
    return algorithm.expected_error ? py::object(py::float_(algorithm.expected_error(simplified(problem))))
                                    : py::none();
  });
  module.def("multiply_adds", [](const std::string& name, const ConvProblem& problem) {
    const Algorithm& algorithm = algorithm_named(name);
    return algorithm.multiply_adds ? algorithm.multiply_adds(simplified(problem)) : problem.multiply_adds();
  });
  module.def(
      "cost",
      [](const std::string& name, const ConvProblem& problem, bool prepared) {
        return cost(algorithm_named(name), problem, prepared);
      },
      py::arg("algorithm"), py::arg("problem"), py::arg("prepared") = true, py::call_guard<InContext>());
  module.def(
      "packed_bytes",
      [](const std::string& name, const ConvProblem& problem) { return packed_bytes(algorithm_named(name), problem); },
      py::call_guard<InContext>());
  module.def(
      "workspace_bytes",
      [](const std::string& name, const ConvProblem& problem) {
        return workspace_bytes(algorithm_named(name), problem);
      },
      py::call_guard<InContext>());
}

}  // namespace fastconv::python
