// Preloaded by guarded.py: memory that a C++ library asks for with an alignment (packed weights, workspace) lies
// against a page without access, begins as NaN (all bits set), and ends the process if it was written to behind its
// end.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>

namespace {

std::atomic<bool> ends{true};  // whether memory ends at the page without access, else it begins behind one
std::atomic<long> count{0};

struct Mapping {
  char* base;
  std::size_t bytes, asked;
};
std::mutex mutex;
std::unordered_map<void*, Mapping>& mappings() {
  static auto* const all = new std::unordered_map<void*, Mapping>;  // outlives threads that end late
  return *all;
}

void* take(std::size_t bytes, std::size_t alignment) {
  const auto page = std::size_t(sysconf(_SC_PAGESIZE));
  // The library's alignment to huge pages is for speed alone; what it needs is that to cache lines.
  const std::size_t unit = std::min<std::size_t>(alignment, 64), rounded = (bytes + unit - 1) / unit * unit;
  const std::size_t pages = std::max<std::size_t>(1, (rounded + page - 1) / page) * page, all = pages + 2 * page;
  void* const mapped = mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* const base = static_cast<char*>(mapped);
  if (mprotect(base + page, pages, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  std::memset(base + page, 0xff, pages);
  void* const data = base + page + (ends ? pages - rounded : 0);
  const std::lock_guard lock(mutex);
  mappings()[data] = {base, all, bytes};
  ++count;
  return data;
}

void give_back(void* data) {
  if (!data) return;
  Mapping m{};
  {
    const std::lock_guard lock(mutex);
    m = mappings().at(data);
    mappings().erase(data);
  }
  const auto page = std::size_t(sysconf(_SC_PAGESIZE));
  for (const char* p = m.base + page; p < m.base + m.bytes - page; ++p) {
    if (p == data) p += m.asked;
    if (p < m.base + m.bytes - page && *p != char(0xff)) {
      std::fprintf(stderr, "guarded memory: byte %td of %zu was written to\n", p - static_cast<char*>(data), m.asked);
      std::abort();
    }
  }
  munmap(m.base, m.bytes);
}

}  // namespace

extern "C" void guarded_ends(int at_end) { ends = at_end != 0; }
extern "C" long guarded_count() { return count; }

void* operator new(std::size_t bytes, std::align_val_t alignment) { return take(bytes, std::size_t(alignment)); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return take(bytes, std::size_t(alignment)); }
void operator delete(void* data, std::align_val_t) noexcept { give_back(data); }
void operator delete[](void* data, std::align_val_t) noexcept { give_back(data); }
void operator delete(void* data, std::size_t, std::align_val_t) noexcept { give_back(data); }
void operator delete[](void* data, std::size_t, std::align_val_t) noexcept { give_back(data); }
