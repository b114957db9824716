// Scratch memory of a call. Asking the system for it anew costs page faults (about 0.1 ms per MiB), so each thread
// keeps what it last used, up to a bound; more than that is given back when the call ends. Three are kept: a plan that
// is made of plans needs one for itself, and may be part of another.
#pragma once

#include "base/aligned_buffer.hpp"

namespace fastconv {

class Workspace {
 public:
  explicit Workspace(std::size_t bytes) {
    // A signal handler that runs between two tasks may itself call: the buffers of the call it interrupted are not free
    // then.
    Kept* const kept = bytes > most_kept ? nullptr : find_free();
    if (!kept) {
      own_ = AlignedBuffer(bytes);
      data_ = own_.data();
      return;
    }
    if (bytes > kept->buffer.bytes()) {
      kept->buffer = AlignedBuffer();  // first give back, then take
      kept->buffer = AlignedBuffer(bytes);
    }
    data_ = kept->buffer.data();
    kept->taken = true;
    kept_ = kept;
  }
  ~Workspace() {
    if (kept_) kept_->taken = false;
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
  static Kept* find_free() {
    thread_local Kept kept[3];
    for (Kept& one : kept)
      if (!one.taken) return &one;
    return nullptr;
  }

  AlignedBuffer own_;
  std::byte* data_ = nullptr;
  Kept* kept_ = nullptr;
};

}  // namespace fastconv
