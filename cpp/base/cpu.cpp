#include "base/cpu.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define FASTCONV_CPUID 1
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <unistd.h>
#endif

namespace fastconv {
namespace {

#ifdef FASTCONV_CPUID

enum Register { eax, ebx, ecx, edx };
using Registers = std::array<std::uint32_t, 4>;

// All zero where the CPU does not have the leaf.
Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  Registers r{};
  if (__get_cpuid_count(leaf, subleaf, &r[eax], &r[ebx], &r[ecx], &r[edx]) == 0) r.fill(0);
  return r;
}

// XCR0: which registers the operating system saves for a thread. The instruction itself faults where it saves none.
std::uint32_t saved_state() {
  constexpr std::uint32_t osxsave = 1u << 27;
  if ((cpuid(1)[ecx] & osxsave) == 0) return 0;
  std::uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

struct Feature {
  const char* name;
  std::uint32_t leaf, subleaf;
  Register reg;
  int bit;
  std::uint32_t needs;  // bits of XCR0
};

constexpr std::uint32_t ymm = 0x06, zmm = 0xe6;

// Bits: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
constexpr Feature known_features[] = {
    {"sse4_2", 1, 0, ecx, 20, 0},     {"avx", 1, 0, ecx, 28, ymm},         {"f16c", 1, 0, ecx, 29, ymm},
    {"fma", 1, 0, ecx, 12, ymm},      {"avx2", 7, 0, ebx, 5, ymm},         {"avx_vnni", 7, 1, eax, 4, ymm},
    {"avx512f", 7, 0, ebx, 16, zmm},  {"avx512bw", 7, 0, ebx, 30, zmm},    {"avx512dq", 7, 0, ebx, 17, zmm},
    {"avx512vl", 7, 0, ebx, 31, zmm}, {"avx512_vnni", 7, 0, ecx, 11, zmm}, {"avx512_bf16", 7, 1, eax, 5, zmm},
};

std::string vendor_string() {
  const Registers r = cpuid(0);
  const std::uint32_t words[] = {r[ebx], r[edx], r[ecx]};
  char text[sizeof words + 1] = {};
  std::memcpy(text, words, sizeof words);
  return text;
}

std::string brand_string() {
  char text[49] = {};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002u + i);
    std::memcpy(text + 16 * i, r.data(), 16);
  }
  const std::string brand = text;
  const std::size_t first = brand.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return brand.substr(first, brand.find_last_not_of(' ') + 1 - first);
}

void read_identity(CpuInfo& info) {
  info.vendor = vendor_string();
  info.brand = brand_string();
  const std::uint32_t saved = saved_state();
  for (const Feature& f : known_features) {
    const bool present = (cpuid(f.leaf, f.subleaf)[f.reg] >> f.bit & 1u) != 0;
    if (present && (saved & f.needs) == f.needs) info.features.emplace_back(f.name);
  }
}

#else

void read_identity(CpuInfo&) {}

#endif

#if defined(__linux__)

// /sys first: sysconf of glibc 2.36 gives 320 MiB for the L3 of an AMD guest that has 32 MiB.
void read_sysconf_caches(CpuInfo& info) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  const auto read = [](int name, std::size_t& bytes) {
    if (const long value = sysconf(name); value > 0) bytes = static_cast<std::size_t>(value);
  };
  read(_SC_LEVEL1_DCACHE_SIZE, info.l1d_bytes);
  read(_SC_LEVEL2_CACHE_SIZE, info.l2_bytes);
  read(_SC_LEVEL3_CACHE_SIZE, info.l3_bytes);
#else
  static_cast<void>(info);
#endif
}

void read_caches(CpuInfo& info) {
  read_sysconf_caches(info);
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    int level = 0;
    std::size_t size = 0;
    char unit = ' ';
    std::string type;
    std::ifstream(folder + "/level") >> level;
    std::ifstream(folder + "/type") >> type;
    std::ifstream(folder + "/size") >> size >> unit;  // "32K"
    if (unit == 'K') size <<= 10;
    if (unit == 'M') size <<= 20;
    if (size == 0 || type == "Instruction") continue;
    if (level == 1) info.l1d_bytes = size;
    if (level == 2) info.l2_bytes = size;
    if (level == 3) info.l3_bytes = size;
  }
}

#else

void read_caches(CpuInfo&) {}

#endif

CpuInfo read_cpu_info() {
  CpuInfo info;
  read_identity(info);
  read_caches(info);
  const auto has = [&info](const char* name) {
    return std::find(info.features.begin(), info.features.end(), name) != info.features.end();
  };
  info.avx2 = has("avx2") && has("fma");
  info.avx512 = has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl");
  info.vnni = info.avx512 && has("avx512_vnni");
  return info;
}

}  // namespace

const CpuInfo& cpu_info() {
  static const CpuInfo info = read_cpu_info();
  return info;
}

}  // namespace fastconv
