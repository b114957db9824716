// There is no memory for something whose size follows from a layer: packed weights, workspace, copies.
#pragma once

#include <cstddef>
#include <new>

namespace fastconv {

class NoMemory : public std::bad_alloc {
 public:
  explicit NoMemory(std::size_t bytes) : bytes_(bytes) {}
  std::size_t bytes() const { return bytes_; }  // that were asked for
  const char* what() const noexcept override { return "no memory for packed weights or workspace"; }

 private:
  std::size_t bytes_;
};

}  // namespace fastconv
