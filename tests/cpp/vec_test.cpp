// The first light for an ISA: each operation of its Vec against scalars (vec_test-inl.hpp), before any kernel runs.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "check.hpp"
#include "fastconv/isa.hpp"

using Report = void (*)(const char*, const char*, bool);
#define FASTCONV_ISA_TEST(isa) extern "C" void test_vec_##isa(Report, char*, char*);
FASTCONV_ISA_TESTS
#undef FASTCONV_ISA_TEST

namespace {

int checks = 0;
std::string isa;

void report(const char* type, const char* what, bool holds) {
  ++checks;
  CHECK_IN(isa + ", " + type + ": " + what, holds);
}

void run(const char* name, void (*test)(Report, char*, char*)) {
  const auto available = fastconv::available_isas();
  if (std::none_of(available.begin(), available.end(), [&](const char* other) { return name == std::string(other); })) {
    std::printf("%s: this CPU does not run it\n", name);
    return;
  }
  // A page between two that may not be touched.
  const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE));
  void* const pages = mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char* const low = static_cast<char*>(pages) + page;
  CHECK(pages != MAP_FAILED && mprotect(low, page, PROT_READ | PROT_WRITE) == 0);
  isa = name;
  checks = 0;
  test(report, low, low + page);
  std::printf("%s: %d checks\n", name, checks);
  munmap(pages, 3 * page);
}

}  // namespace

int main() {
#define FASTCONV_ISA_TEST(isa) run(#isa, test_vec_##isa);
  FASTCONV_ISA_TESTS
#undef FASTCONV_ISA_TEST
  return failures != 0;
}
