// ISA, threads, the CPU, and measurements of what the machine can do.
#include <pybind11/stl.h>

#include "base/cpu.hpp"
#include "base/fingerprint.hpp"
#include "call.hpp"
#include "context.hpp"
#include "fastconv/isa.hpp"
#include "fastconv/machine.hpp"
#include "fastconv/memory.hpp"
#include "fastconv/threads.hpp"
#include "run_released.hpp"

#ifndef FASTCONV_VERSION
#define FASTCONV_VERSION "unknown"
#endif

namespace fastconv::python {

namespace {

py::tuple names(const std::vector<const char*>& list) {
  py::tuple result(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) result[i] = py::str(list[i]);
  return result;
}

py::array gemm(const py::array& a, const py::array& b, const py::object& out) {
  DType dtype{};
  if (!dtype_of_array(a, dtype)) throw py::type_error("a: expected float32 or float64");
  if (a.ndim() != 2 || b.ndim() != 2) throw py::value_error("a, b: expected two axes each");
  const Extent M = a.shape(0), K = a.shape(1), N = b.shape(1);
  require(a, "a", dtype, std::array{M, K});
  require(b, "b", dtype, std::array{K, N});
  if (M == 0 || N == 0 || K == 0) throw py::value_error("a, b: expected no empty axis");
  py::array c = out.is_none() ? py::array(numpy_dtype(dtype), {M, N}) : out.cast<py::array>();
  require(c, "out", dtype, std::array{M, N});
  require_writable(c, "out");
  require_apart(c, a, "a");
  require_apart(c, b, "b");
  const void *pa = a.data(), *pb = b.data();
  void* pc = c.mutable_data();
  run_released(false, [&] { return matrix_product(dtype, M, N, K, pa, pb, pc); });
  return c;
}

double peak(const std::string& dtype, double seconds) {
  if (dtype != "float32" && dtype != "float64")
    throw py::value_error("dtype: got '" + dtype + "', expected float32 or float64");
  const DType type = dtype == "float32" ? DType::float32 : DType::float64;
  return without_gil([&](PyThreadState*) { return fma_peak(type, seconds); });
}

double measured_bandwidth(const std::string& kind, std::size_t bytes, double seconds) {
  if (kind != "read" && kind != "write" && kind != "copy")
    throw py::value_error("kind: got '" + kind + "', expected 'read', 'write' or 'copy'");
  if (bytes < 4096) throw py::value_error("bytes: got " + std::to_string(bytes) + ", expected at least 4096");
  const Traffic traffic = kind == "read" ? Traffic::read : kind == "write" ? Traffic::write : Traffic::copy;
  return without_gil([&](PyThreadState*) { return bandwidth(traffic, bytes, seconds); });
}

std::uint64_t fingerprint_at(std::uintptr_t address, std::size_t bytes) {
  const auto* const data = reinterpret_cast<const void*>(address);
  constexpr std::size_t brief = 64 * 1024;  // some microseconds
  if (bytes <= brief) return fingerprint(data, bytes);
  return without_gil([&](PyThreadState*) { return fingerprint(data, bytes); });
}

}  // namespace

void bind_machine(py::module_& module) {
  active_isa();  // looks at the CPU now: a fork() of another thread must not catch the first call at it
  module.def("available_isas", [] { return names(available_isas()); });
  module.def("compiled_isas", [] { return names(compiled_isas()); });
  module.def("get_isa", &active_isa, py::call_guard<InContext>());
  module.def("set_isa", [](const std::string& name) {
    const std::string reason = set_isa(name);
    if (!reason.empty()) throw py::value_error(reason);
  });
  module.def("get_num_threads", &num_threads, py::call_guard<InContext>());
  module.def("set_num_threads", [](int n) {
    if (n < 1 || n > max_threads)
      throw py::value_error("n: got " + std::to_string(n) + ", expected 1 to " + std::to_string(max_threads));
    set_num_threads(n);
  });
  module.def("default_num_threads", &default_num_threads);
  module.def("threads_in_environment", [](const std::string& name) { return threads_in_environment(name.c_str()); });
  module.def("idle_bytes", &idle_bytes);
  module.def("most_idle_bytes", &most_idle_bytes);
  module.def("fingerprint", &fingerprint_at, py::arg("address"), py::arg("bytes"));
  module.def("release_memory", [] { return without_gil([](PyThreadState*) { return release_memory(); }); });
  module.def("cpu_info", [] {
    const CpuInfo& cpu = cpu_info();
    py::dict info;
    info["vendor"] = cpu.vendor;
    info["brand"] = cpu.brand;
    info["features"] = cpu.features;
    info["l1d_bytes"] = cpu.l1d_bytes;
    info["l2_bytes"] = cpu.l2_bytes;
    info["l3_bytes"] = cpu.l3_bytes;
    info["usable_cpus"] = usable_cpus();
    return info;
  });
  module.def("build_info", [] {
    py::dict info;
    info["version"] = FASTCONV_VERSION;
#if defined(__clang__)
    info["compiler"] = "Clang " __clang_version__;
#elif defined(__GNUC__)
    info["compiler"] = "GCC " __VERSION__;
#else
    info["compiler"] = "unknown";
#endif
    info["build_type"] = FASTCONV_BUILD_TYPE;
    return info;
  });
  module.def("gemm", &gemm, py::arg("a"), py::arg("b"), py::arg("out") = py::none(), py::call_guard<InContext>());
  module.def("fma_peak", &peak, py::call_guard<InContext>());
  module.def("bandwidth", &measured_bandwidth, py::call_guard<InContext>());
}

}  // namespace fastconv::python
