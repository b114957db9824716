#include "fastconv/threads.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/cpu.hpp"

namespace fastconv {
namespace {

// A positive number, alone or first in a list ("4,2": OpenMP's nesting levels); 0 if the variable says anything else.
int threads_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return 0;
  text += std::strspn(text, " \t");
  int n = 0;
  const auto [rest, error] = std::from_chars(text, text + std::strlen(text), n);
  const char next = rest[std::strspn(rest, " \t")];
  if (error != std::errc{} || n < 1 || (next != '\0' && next != ',')) return 0;
  return n;
}

int read_default() {
  for (const char* name : {"FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"})
    if (const int n = threads_from_environment(name); n > 0) return std::min(n, max_threads);
  return std::min(usable_cpus(), max_threads);
}

// 0: not read, not set. Atomics rather than a static local, whose guard a fork() at the wrong moment leaves locked.
constinit std::atomic<int> default_count{0};
constinit std::atomic<int> chosen_count{0};

}  // namespace

int default_num_threads() {
  int n = default_count.load(std::memory_order_relaxed);
  if (n > 0) return n;
  const int read = read_default();
  return default_count.compare_exchange_strong(n, read, std::memory_order_relaxed) ? read : n;
}

int num_threads() {
  const int n = chosen_count.load(std::memory_order_relaxed);
  return n > 0 ? n : default_num_threads();
}

void set_num_threads(int n) { chosen_count.store(std::clamp(n, 1, max_threads), std::memory_order_relaxed); }

}  // namespace fastconv
