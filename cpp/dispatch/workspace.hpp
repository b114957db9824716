// Scratch memory of a call. Asking the system for it anew costs page faults (about 0.1 ms per MiB), so what a call
// gives back stays idle for the next one, of any thread, up to the bound of fastconv/memory.hpp: a hundred threads that
// call in turn keep no more than one. A plan that is made of plans takes one workspace and they take theirs; so does a
// signal handler that calls between two tasks.
#pragma once

#include "base/aligned_buffer.hpp"

namespace fastconv {

class Workspace {
 public:
  explicit Workspace(std::size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  std::byte* data() const { return buffer_.data(); }

 private:
  AlignedBuffer buffer_;
};

}  // namespace fastconv
