// Scratch memory of a call. Asking the system for it anew costs page faults (about 0.1 ms per MiB), so each thread
// keeps what it last used, up to a bound; more than that is given back when the call ends.
#pragma once

#include "base/aligned_buffer.hpp"

namespace fastconv {

class Workspace {
 public:
  explicit Workspace(std::size_t bytes) {
    // A signal handler that runs between two tasks may itself call: the buffer of the call it interrupted is not free
    // then.
    if (bytes > most_kept || kept().taken) {
      own_ = AlignedBuffer(bytes);
      data_ = own_.data();
      return;
    }
    if (bytes > kept().buffer.bytes()) {
      kept().buffer = AlignedBuffer();  // first give back, then take
      kept().buffer = AlignedBuffer(bytes);
    }
    data_ = kept().buffer.data();
    kept().taken = uses_kept_ = true;
  }
  ~Workspace() {
    if (uses_kept_) kept().taken = false;
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  std::byte* data() const { return data_; }

 private:
  static constexpr std::size_t most_kept = 16 * 1024 * 1024;
  struct Kept {
    AlignedBuffer buffer;
    bool taken = false;
  };
  static Kept& kept() {
    thread_local Kept kept;
    return kept;
  }

  AlignedBuffer own_;
  std::byte* data_ = nullptr;
  bool uses_kept_ = false;
};

}  // namespace fastconv
