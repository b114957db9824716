#include "base/aligned_buffer.hpp"

#include <algorithm>
#include <cstdint>
#include <new>

#include "fastconv/no_memory.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fastconv {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t huge_from = std::size_t{1} << 20;

// From half a huge page on, one is taken whole: also at the end of a buffer, where a shorter rest stays on small pages.
// So at most 1 MiB beyond what was asked ever becomes resident.
constexpr std::size_t huge_bytes(std::size_t bytes) { return round_up(bytes - huge_from + 1, huge_page); }

constexpr std::align_val_t alignment(std::size_t bytes) {
  return std::align_val_t{bytes >= huge_from ? huge_page : cache_line};
}

static_assert(huge_bytes(huge_from) == huge_page && huge_bytes(huge_page + huge_from - 1) == huge_page);
static_assert(huge_bytes(huge_page + huge_from) == 2 * huge_page);

}  // namespace

AlignedBuffer::AlignedBuffer(std::size_t bytes) {
  if (bytes == 0) return;
  if (bytes > PTRDIFF_MAX - 2 * huge_page) throw NoMemory(bytes);
  const std::size_t reserved = bytes >= huge_from ? std::max(bytes, huge_bytes(bytes)) : bytes;
  data_ = static_cast<std::byte*>(::operator new(reserved, alignment(bytes), std::nothrow));
  if (!data_) throw NoMemory(bytes);
  bytes_ = bytes;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  // Only advice: where it is refused, the buffer is as good on small pages.
  if (bytes >= huge_from) madvise(data_, huge_bytes(bytes), MADV_HUGEPAGE);
#endif
}

AlignedBuffer::~AlignedBuffer() {
#if defined(__linux__)
  // To the system at once: the C library keeps freed blocks of up to 32 MiB resident, in as many lists as there are
  // threads.
  if (bytes_ >= huge_from) madvise(data_, huge_bytes(bytes_) / huge_page * huge_page, MADV_DONTNEED);
#endif
  ::operator delete(data_, alignment(bytes_));
}

}  // namespace fastconv
