#include "dispatch/workspace.hpp"

#include <algorithm>
#include <atomic>
#include <new>
#include <thread>
#include <utility>

#include "base/cpu.hpp"
#include "fastconv/memory.hpp"

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace fastconv {

namespace {

// Buffers that no call uses, the one given back last at the end. Callers do not wait for one another: whoever finds the
// list taken goes without it, and allocates or frees. Nothing is allocated or freed while it is taken.
class Idle {
 public:
  // The smallest buffer that is large enough. If there is none, the largest is given up for a new one: it was this
  // thread's, most of the time, and calls have grown.
  AlignedBuffer take(std::size_t bytes) {
    AlignedBuffer found;
    if (try_lock()) {
      int best = -1;
      for (int i = count_ - 1; i >= 0; --i) {
        if (best < 0) {
          best = i;
          continue;
        }
        const bool fits = buffers_[i].bytes() >= bytes, smaller = buffers_[i].bytes() < buffers_[best].bytes();
        if (buffers_[best].bytes() < bytes ? !smaller : fits && smaller) best = i;
      }
      if (best >= 0) found = remove(best);
      unlock();
    }
    return found;
  }

  void give(AlignedBuffer buffer, std::size_t most) {
    if (buffer.bytes() == 0 || buffer.bytes() > most) return;
    for (bool kept = false; !kept;) {
      AlignedBuffer dropped;  // freed when the list is free again
      if (!try_lock()) return;
      kept = count_ < most_buffers && bytes_ + buffer.bytes() <= most;
      if (kept) {
        bytes_ += buffer.bytes();
        buffers_[count_++] = std::move(buffer);
      } else {
        dropped = remove(0);
      }
      unlock();
    }
  }

  std::size_t release() {
    for (std::size_t released = 0;;) {
      AlignedBuffer dropped;
      lock();
      const bool is_empty = count_ == 0;
      if (!is_empty) dropped = remove(count_ - 1);
      unlock();
      if (is_empty) return released;
      released += dropped.bytes();
    }
  }

  std::size_t bytes() {
    lock();
    const std::size_t all = bytes_;
    unlock();
    return all;
  }

  // In the child of fork() another thread may have held the list, and left it half changed.
  void begin_anew() {
    if (!taken_.test_and_set(std::memory_order_acquire)) return unlock();
    count_ = 0;
    bytes_ = 0;
    for (AlignedBuffer& buffer : buffers_) new (&buffer) AlignedBuffer();
    unlock();
  }

 private:
  static constexpr int most_buffers = 64;

  bool try_lock() {
    constexpr int tries = 200;  // some microseconds, where it is held for a tenth of one
    for (int i = 0; i < tries; ++i)
      if (!taken_.test_and_set(std::memory_order_acquire)) return true;
    return false;
  }
  void lock() {
    while (!try_lock()) std::this_thread::yield();
  }
  void unlock() { taken_.clear(std::memory_order_release); }

  AlignedBuffer remove(int index) {
    AlignedBuffer removed = std::move(buffers_[index]);
    bytes_ -= removed.bytes();
    --count_;
    for (int i = index; i < count_; ++i) std::swap(buffers_[i], buffers_[i + 1]);
    return removed;
  }

  std::atomic_flag taken_;
  int count_ = 0;
  std::size_t bytes_ = 0;
  AlignedBuffer buffers_[most_buffers];
};

// Never destroyed: a daemon thread may be in a call when the process ends.
union Forever {
  Idle idle;
  constexpr Forever() : idle() {}
  ~Forever() {}
};
constinit Forever forever;

#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] { forever.idle.begin_anew(); });
#endif

// 0: not read. An atomic rather than a static local, whose guard a fork() at the wrong moment leaves locked.
constinit std::atomic<std::size_t> bound{0};

}  // namespace

std::size_t most_idle_bytes() {
  std::size_t most = bound.load(std::memory_order_relaxed);
  if (most == 0) {
    most = std::size_t(std::max(usable_cpus(), 3)) * 16 * 1024 * 1024;
    bound.store(most, std::memory_order_relaxed);
  }
  return most;
}

std::size_t idle_bytes() { return forever.idle.bytes(); }

std::size_t release_memory() {
  const std::size_t released = forever.idle.release();
#if defined(__GLIBC__)
  malloc_trim(0);  // what was freed may lie in the C library's own lists
#endif
  return released;
}

Workspace::Workspace(std::size_t bytes) {
  if (bytes == 0) return;
  most_idle_bytes();  // asks what the machine has, once, for which there may be no memory: the destructor must not
                      // throw
  buffer_ = forever.idle.take(bytes);
  if (buffer_.bytes() >= bytes) return;
  buffer_ = AlignedBuffer();  // first give back, then take
  try {
    buffer_ = AlignedBuffer(bytes);
  } catch (const std::bad_alloc&) {
    forever.idle.release();
    buffer_ = AlignedBuffer(bytes);
  }
}

Workspace::~Workspace() {
  if (buffer_.bytes() != 0) forever.idle.give(std::move(buffer_), most_idle_bytes());
}

}  // namespace fastconv
