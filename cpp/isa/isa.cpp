// Which units were compiled, which of them this CPU runs, and which one is active. To add an ISA, add a row.
#include "fastconv/isa.hpp"

#include <atomic>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/cpu.hpp"
#include "kernels/kernels.hpp"

namespace fastconv {

// What the units of an ISA export: a table for each family and element type (isa/unit.cpp.in), and the kernels for
// bytes. The tables are brought together here, when the library is loaded, in a unit that every CPU runs: an ISA's own
// must not run code before it is chosen.
#define FASTCONV_DECLARE(family, Table)     \
  extern const Table<float> family##_float; \
  extern const Table<double> family##_double;
#define FASTCONV_FLOAT(family, Table) family##_float,
#define FASTCONV_DOUBLE(family, Table) family##_double,
#ifdef __APPLE__
#define FASTCONV_FIRST
#else
#define FASTCONV_FIRST __attribute__((init_priority(101)))  // a program's static objects may convolve already
#endif
#define FASTCONV_ISA_KERNELS(isa)                                                                           \
  namespace isa {                                                                                           \
  FASTCONV_FAMILIES(FASTCONV_DECLARE)                                                                       \
  FASTCONV_FIRST static const Kernels kernels = {#isa, KernelSet<float>{FASTCONV_FAMILIES(FASTCONV_FLOAT)}, \
                                                 KernelSet<double>{FASTCONV_FAMILIES(FASTCONV_DOUBLE)}};    \
  }
#define FASTCONV_DOT_KERNELS(isa)  \
  namespace isa {                  \
  extern const DotKernels kernels; \
  }

FASTCONV_ISA_KERNELS(scalar)
FASTCONV_DOT_KERNELS(dot_scalar)
#ifdef FASTCONV_HAVE_AVX2
FASTCONV_ISA_KERNELS(avx2)
FASTCONV_DOT_KERNELS(dot_avx2)
#endif
#ifdef FASTCONV_HAVE_AVX512
FASTCONV_ISA_KERNELS(avx512)
FASTCONV_DOT_KERNELS(dot_vnni)
#endif

namespace {

struct Row {
  const Kernels* kernels;
  bool (*usable)();
  const DotKernels* (*dot)();
};

constexpr Row rows[] = {
    // slowest first
    {&scalar::kernels, [] { return true; }, [] { return &dot_scalar::kernels; }},
#ifdef FASTCONV_HAVE_AVX2
    {&avx2::kernels, [] { return cpu_info().avx2; }, [] { return &dot_avx2::kernels; }},
#endif
#ifdef FASTCONV_HAVE_AVX512
    {&avx512::kernels, [] { return cpu_info().avx512; },
     [] { return cpu_info().vnni ? &dot_vnni::kernels : &dot_avx2::kernels; }},
#endif
};

const Kernels* find(const std::string& name) {
  for (const Row& row : rows)
    if (row.usable() && name == row.kernels->isa) return row.kernels;
  return nullptr;
}

// FASTCONV_ISA if it names one that runs here, else the best.
const Kernels* initial() {
  if (const char* wanted = std::getenv("FASTCONV_ISA"))
    if (const Kernels* kernels = find(wanted)) return kernels;
  const Kernels* best = nullptr;
  for (const Row& row : rows)
    if (row.usable()) best = row.kernels;
  return best;
}

// Null: not read, not set. Atomics rather than a static local, whose guard a fork() at the wrong moment leaves locked.
constinit std::atomic<const Kernels*> default_kernels{nullptr};
constinit std::atomic<const Kernels*> chosen_kernels{nullptr};

constinit thread_local const Kernels* scope_kernels = nullptr;

const Kernels* process_kernels() {
  if (const Kernels* kernels = chosen_kernels.load(std::memory_order_acquire)) return kernels;
  if (const Kernels* kernels = default_kernels.load(std::memory_order_acquire)) return kernels;
  const Kernels* const kernels = initial();
  default_kernels.store(kernels, std::memory_order_release);
  return kernels;
}

}  // namespace

const Kernels& active_kernels() { return scope_kernels ? *scope_kernels : *process_kernels(); }
const DotKernels& active_dot_kernels() {
  const Kernels& kernels = active_kernels();
  for (const Row& row : rows)
    if (row.kernels == &kernels) return *row.dot();
  return dot_scalar::kernels;
}
const char* active_isa() { return active_kernels().isa; }

std::vector<const char*> compiled_isas() {
  std::vector<const char*> names;
  for (const Row& row : rows) names.push_back(row.kernels->isa);
  return names;
}

std::vector<const char*> available_isas() {
  std::vector<const char*> names;
  for (const Row& row : rows)
    if (row.usable()) names.push_back(row.kernels->isa);
  return names;
}

std::string set_isa(const std::string& name) {
  const Kernels* kernels = find(name);
  if (!kernels) {
    std::string message = "isa: got '" + name + "', expected one this CPU runs:";
    for (const char* available : available_isas()) message += std::string(" ") + available;
    return message;
  }
  chosen_kernels.store(kernels, std::memory_order_release);
  return {};
}

IsaScope::IsaScope(int place)
    : outer_(std::exchange(scope_kernels,
                           place >= 0 && place < int(std::size(rows)) ? rows[place].kernels : process_kernels())) {}
IsaScope::~IsaScope() { scope_kernels = static_cast<const Kernels*>(outer_); }

}  // namespace fastconv
