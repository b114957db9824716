// Memory for packed weights and workspace: aligned to cache lines, large buffers to 2 MiB pages (Winograd's transformed
// image has 36 planes: with 4 KiB pages its walk misses the TLB).
#pragma once

#include <cstddef>
#include <utility>

namespace fastconv {

inline constexpr std::size_t cache_line = 64;

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

// Bytes of `values` elements, in whole cache lines.
template <class T>
std::size_t bytes_of(std::ptrdiff_t values) {
  return round_up(std::size_t(values) * sizeof(T), cache_line);
}

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t bytes);  // NoMemory if there is none; contents are not set
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~AlignedBuffer();

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace fastconv
