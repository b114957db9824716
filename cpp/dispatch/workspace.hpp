// Scratch memory of a call. Asking the system for it anew costs page faults (about 0.1 ms per MiB), so each thread
// keeps what it last used, up to a bound; more than that is given back when the call ends.
#pragma once

#include "base/aligned_buffer.hpp"

namespace fastconv {

class Workspace {
 public:
  explicit Workspace(std::size_t bytes) {
    if (bytes <= kept().bytes()) {
      data_ = kept().data();
    } else if (bytes <= most_kept) {
      kept() = AlignedBuffer();  // first give back, then take
      kept() = AlignedBuffer(bytes);
      data_ = kept().data();
    } else {
      own_ = AlignedBuffer(bytes);
      data_ = own_.data();
    }
  }
  std::byte* data() const { return data_; }

 private:
  static constexpr std::size_t most_kept = 16 * 1024 * 1024;
  static AlignedBuffer& kept() {
    thread_local AlignedBuffer buffer;
    return buffer;
  }

  AlignedBuffer own_;
  std::byte* data_ = nullptr;
};

}  // namespace fastconv
