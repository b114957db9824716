#include "fastconv/threads.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/cpu.hpp"

namespace fastconv {
namespace {

int read_default() {
  for (const char* name : {"FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"})
    if (const int n = threads_in_environment(name); n > 0) return std::min(n, max_threads);
  return std::min(usable_cpus(), max_threads);
}

// 0: not read, not set. Atomics rather than a static local, whose guard a fork() at the wrong moment leaves locked.
constinit std::atomic<int> default_count{0};
constinit std::atomic<int> chosen_count{0};

constinit thread_local int scope_count = 0;  // 0: no scope

int process_num_threads() {
  const int n = chosen_count.load(std::memory_order_relaxed);
  return n > 0 ? n : default_num_threads();
}

}  // namespace

int threads_in_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return 0;
  text += std::strspn(text, " \t");
  int n = 0;
  const auto [rest, error] = std::from_chars(text, text + std::strlen(text), n);
  const char next = rest[std::strspn(rest, " \t")];
  if (error != std::errc{} || n < 1 || (next != '\0' && next != ',')) return 0;
  return n;
}

int default_num_threads() {
  int n = default_count.load(std::memory_order_relaxed);
  if (n > 0) return n;
  const int read = read_default();
  return default_count.compare_exchange_strong(n, read, std::memory_order_relaxed) ? read : n;
}

int num_threads() { return scope_count > 0 ? scope_count : process_num_threads(); }

void set_num_threads(int n) { chosen_count.store(std::clamp(n, 1, max_threads), std::memory_order_relaxed); }

ThreadsScope::ThreadsScope(int n)
    : outer_(std::exchange(scope_count, n > 0 ? std::min(n, max_threads) : process_num_threads())) {}
ThreadsScope::~ThreadsScope() { scope_count = outer_; }

}  // namespace fastconv
