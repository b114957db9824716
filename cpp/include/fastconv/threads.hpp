// The number of threads a call may use. Threads are started at first use, never at load time.
#pragma once

namespace fastconv {

inline constexpr int max_threads = 256;

// FASTCONV_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs that affinity and the cgroup quota leave to this process.
int default_num_threads();

// What a call on this thread may use: a scope's number, else what was set, else the default.
int num_threads();

void set_num_threads(int n);  // for the whole process, clamped to 1 .. max_threads

// While it lives, num_threads() is `n` on the thread that made it, or with 0 what holds for the process now, whatever
// others set meanwhile. A scope belongs to the innermost block.
class ThreadsScope {
 public:
  explicit ThreadsScope(int n);  // clamped to 0 .. max_threads
  ~ThreadsScope();
  ThreadsScope(const ThreadsScope&) = delete;
  ThreadsScope& operator=(const ThreadsScope&) = delete;

 private:
  const int outer_;
};

// The number that an environment variable says, alone or first in a list ("4,2": OpenMP's nesting levels); 0 if it is
// not set or says anything else.
int threads_in_environment(const char* name);

}  // namespace fastconv
