// What machine this is: features (as the operating system lets us use them), caches, and the CPUs this process may use.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace fastconv {

struct CpuInfo {
  std::string vendor, brand;  // "AuthenticAMD", "AMD EPYC ..."; empty if unknown
  std::vector<std::string> features;  // "avx2", "fma", "avx512f", ...: only those XCR0 enables
  std::size_t l1d_bytes = 32 * 1024;  // defaults where the system does not say
  std::size_t l2_bytes = 512 * 1024;
  std::size_t l3_bytes = 8 * 1024 * 1024;
  bool avx2 = false;  // AVX2 and FMA, usable
  bool avx512 = false;  // AVX-512 F, BW, DQ, VL, usable
  bool vnni = false;  // AVX-512 VNNI beside them
};

const CpuInfo& cpu_info();  // read once

// CPUs this process may use at this moment: affinity mask, then the cgroup (v1 and v2) quota rounded up; at least 1.
int usable_cpus();

namespace detail {
// The cgroup's part of it, INT_MAX if there is no quota. `root` goes before every path read: "" for this system.
int cgroup_cpus(const std::string& root);
}  // namespace detail

}  // namespace fastconv
