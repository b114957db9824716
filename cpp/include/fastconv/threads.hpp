// The number of threads a call may use. Threads are started at first use, never at load time.
#pragma once

namespace fastconv {

inline constexpr int max_threads = 256;

// FASTCONV_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs that affinity and the cgroup quota leave to this process.
int default_num_threads();
int num_threads();
void set_num_threads(int n);  // clamped to 1 .. max_threads

}  // namespace fastconv
