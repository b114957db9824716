// Preloaded into a process: the n-th allocation that fastconv's core makes, or a thread that it wants, is refused.
//
// What counts comes from the core or from the C++ runtime on its behalf; Python's and NumPy's own allocations go their
// way. Nothing counts before fail_arm.
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <new>
#include <stdexcept>

extern "C" void* __libc_malloc(size_t);
extern "C" void* __libc_calloc(size_t, size_t);
extern "C" void* __libc_memalign(size_t, size_t);

namespace {

struct Range {
  uintptr_t begin, end;
  bool has(const void* address) const { return uintptr_t(address) - begin < end - begin; }
};
Range core{}, runtime{};

constexpr long never = -1;
std::atomic<bool> armed{false};
std::atomic<long> made{0};
long first_refused = never, last_refused = never;
bool as_length_error = false;

int find(dl_phdr_info* info, size_t, void*) {
  const bool is_core = strstr(info->dlpi_name, "/fastconv/_core") != nullptr;
  const bool is_runtime = strstr(info->dlpi_name, "libstdc++") != nullptr;
  if (!is_core && !is_runtime) return 0;
  Range range{UINTPTR_MAX, 0};
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    const uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    if (begin < range.begin) range.begin = begin;
    if (begin + header.p_memsz > range.end) range.end = begin + header.p_memsz;
  }
  (is_core ? core : runtime) = range;
  return 0;
}

// Whether this one is refused.
bool refuse() {
  const long i = made.fetch_add(1);
  return i >= first_refused && i <= last_refused;
}
bool counts(const void* caller) {
  return armed.load(std::memory_order_relaxed) && (core.has(caller) || runtime.has(caller));
}
// Calls of malloc and its like: only the core's own, as the runtime's make exceptions.
bool counts_in_core(const void* caller) { return armed.load(std::memory_order_relaxed) && core.has(caller); }

void* allocate(size_t bytes, size_t alignment, const void* caller, bool may_throw) {
  void* memory = nullptr;
  if (!counts(caller) || !refuse())
    memory = alignment ? __libc_memalign(alignment, bytes) : __libc_malloc(bytes ? bytes : 1);
  if (memory || !may_throw) return memory;
  if (as_length_error) throw std::length_error("a list that is too long");
  throw std::bad_alloc();
}

}  // namespace

#define CALLER __builtin_return_address(0)

extern "C" {

// Refuses allocations first to last, counted from 0; none if first is -1. Null if the core is not there yet.
int fail_arm(long first, long last, int length_error) {
  dl_iterate_phdr(&find, nullptr);
  first_refused = first, last_refused = last, as_length_error = length_error != 0;
  made = 0;
  armed = core.end != 0 && runtime.end != 0;
  return armed;
}

// How many were made or refused.
long fail_disarm() {
  armed = false;
  return made;
}

void* malloc(size_t bytes) {
  if (counts_in_core(CALLER) && refuse()) return nullptr;
  return __libc_malloc(bytes);
}
void* calloc(size_t items, size_t bytes) {
  if (counts_in_core(CALLER) && refuse()) return nullptr;
  return __libc_calloc(items, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  if (counts_in_core(CALLER) && refuse()) return nullptr;
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  if (counts_in_core(CALLER) && refuse()) return ENOMEM;
  *memory = __libc_memalign(alignment, bytes);
  return *memory ? 0 : ENOMEM;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  if (counts(CALLER) && refuse()) return EAGAIN;
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, run, argument);
}

}  // extern "C"

void* operator new(size_t n) { return allocate(n, 0, CALLER, true); }
void* operator new[](size_t n) { return allocate(n, 0, CALLER, true); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return allocate(n, 0, CALLER, false); }
void* operator new[](size_t n, const std::nothrow_t&) noexcept { return allocate(n, 0, CALLER, false); }
void* operator new(size_t n, std::align_val_t a) { return allocate(n, size_t(a), CALLER, true); }
void* operator new[](size_t n, std::align_val_t a) { return allocate(n, size_t(a), CALLER, true); }
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(n, size_t(a), CALLER, false);
}
void* operator new[](size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(n, size_t(a), CALLER, false);
}
void operator delete(void* p) noexcept { free(p); }
void operator delete[](void* p) noexcept { free(p); }
void operator delete(void* p, size_t) noexcept { free(p); }
void operator delete[](void* p, size_t) noexcept { free(p); }
void operator delete(void* p, std::align_val_t) noexcept { free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { free(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { free(p); }
