// The base layer without Python: the pool, thread counts, CPU detection, buffers. Meant for the sanitizers too.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/cpu.hpp"
#include "base/parallel_for.hpp"
#include "check.hpp"
#include "fastconv/threads.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#define HAS_FORK 1
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Bounded, so that a fault fails a check rather than hangs.
void wait_until(auto done) {
  const auto deadline = steady_clock::now() + std::chrono::seconds(20);
  while (!done() && steady_clock::now() < deadline) std::this_thread::yield();
}

void sleep_ms(int n) { std::this_thread::sleep_for(milliseconds(n)); }

// The counts are plain ints: that the caller may read them is the pool's promise, and the thread sanitizer's to check.
void each_task_runs_once(std::ptrdiff_t tasks, int threads) {
  std::vector<int> runs(static_cast<std::size_t>(tasks), 0);
  std::atomic<bool> thread_in_range{true};
  CHECK(fastconv::parallel_for(tasks, threads, [&](std::ptrdiff_t task, int thread) {
    ++runs[static_cast<std::size_t>(task)];
    if (thread < 0 || thread >= std::max(threads, 1)) thread_in_range = false;
  }));
  CHECK(thread_in_range);
  for (const int n : runs) CHECK(n == 1);
}

void test_each_task_runs_once() {
  for (const int threads : {-1, 0, 1, 2, 3, 8, 33, 1000})
    for (const std::ptrdiff_t tasks : {0, 1, 2, 3, 7, 64, 1000}) each_task_runs_once(tasks, threads);
  for (int i = 0; i < 20; ++i) {  // the workers asleep, spinning, and in between
    std::this_thread::sleep_for(std::chrono::microseconds(10 * i));
    each_task_runs_once(5, 2);
  }
}

// Two tasks that can only end together: they do not if the job runs on one thread.
void test_two_threads_at_once() {
  std::atomic<int> arrived{0};
  std::atomic<int> threads_seen{0};
  CHECK(fastconv::parallel_for(2, 2, [&](std::ptrdiff_t, int thread) {
    ++arrived;
    threads_seen |= 1 << thread;
    wait_until([&arrived] { return arrived == 2; });
  }));
  CHECK(arrived == 2 && threads_seen == 3);
}

// A thread index names a workspace slice: no two tasks may hold the same one at once.
void test_thread_index_is_exclusive() {
  std::atomic<int> holders[4] = {};
  std::atomic<bool> exclusive{true};
  fastconv::parallel_for(2000, 4, [&](std::ptrdiff_t, int thread) {
    if (holders[thread].fetch_add(1) != 0) exclusive = false;
    std::this_thread::yield();
    holders[thread].fetch_sub(1);
  });
  CHECK(exclusive);
}

void test_concurrent_callers() {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller)
    callers.emplace_back([caller] {
      for (int job = 0; job < 300; ++job) {
        std::vector<std::int64_t> squares(static_cast<std::size_t>(1 + (caller + job) % 40), -1);
        const auto n = static_cast<std::int64_t>(squares.size());
        CHECK(fastconv::parallel_for(n, 4, [&](std::ptrdiff_t task, int) {
          if (task % 4 == 1) std::this_thread::yield();  // long enough for a worker to join
          squares[static_cast<std::size_t>(task)] = task * task;
        }));
        CHECK(std::accumulate(squares.begin(), squares.end(), std::int64_t{0}) == (n - 1) * n * (2 * n - 1) / 6);
      }
    });
  for (std::thread& caller : callers) caller.join();
}

void nested_call_runs_inline(int outer_threads) {
  std::atomic<int> inner_runs{0};
  std::atomic<bool> as_thread_0{true};
  fastconv::parallel_for(8, outer_threads, [&](std::ptrdiff_t, int) {
    const std::thread::id here = std::this_thread::get_id();
    fastconv::parallel_for(10, 4, [&](std::ptrdiff_t, int thread) {
      ++inner_runs;
      sleep_ms(1);
      if (thread != 0 || std::this_thread::get_id() != here) as_thread_0 = false;
    });
  });
  CHECK(inner_runs == 80);
  CHECK(as_thread_0);
}

std::atomic<int> times_asked{0};

bool stop_at_once(void*) {
  ++times_asked;
  return true;
}

bool go_on(void*) {
  ++times_asked;
  return false;
}

void test_interrupt_abandons() {
  for (const int threads : {1, 2}) {
    times_asked = 0;
    std::atomic<int> runs{0};
    const fastconv::InterruptScope scope(stop_at_once, nullptr);
    CHECK(!fastconv::parallel_for(1000, threads, [&](std::ptrdiff_t, int) {
      ++runs;
      sleep_ms(5);
    }));
    CHECK(runs >= 1 && runs < 1000);
    CHECK(times_asked == 1);
    const fastconv::InterruptScope again(go_on, nullptr);
    each_task_runs_once(10, threads);  // nothing of it is left for the next job
  }
}

// The caller has run out of tasks and waits for a worker: it asks all the same, and waits for the running task.
void test_interrupt_while_waiting() {
  times_asked = 0;
  std::atomic<int> ended{0};
  std::atomic<bool> worker_started{false};
  const fastconv::InterruptScope scope(stop_at_once, nullptr);
  CHECK(!fastconv::parallel_for(2, 2, [&](std::ptrdiff_t, int thread) {
    if (thread == 0) {
      wait_until([&worker_started] { return worker_started.load(); });
    } else {
      worker_started = true;
      sleep_ms(200);
    }
    ++ended;
  }));
  CHECK(ended == 2);
  CHECK(times_asked == 1);
}

void test_interrupt_is_asked_seldom() {
  times_asked = 0;
  const fastconv::InterruptScope scope(go_on, nullptr);
  const auto start = steady_clock::now();
  for (int job = 0; job < 100; ++job) CHECK(fastconv::parallel_for(2, 2, [](std::ptrdiff_t, int) { sleep_ms(1); }));
  const auto elapsed = steady_clock::now() - start;
  CHECK(times_asked >= 1);  // although no single job lasts 20 ms
  CHECK(times_asked <= elapsed / milliseconds(20));
}

// A check may make calls: they are jobs of their own, not asked by it, and what they ask leaves the outer job's check
// as it was.
bool call_and_go_on(void* context) {
  ++times_asked;
  auto& inner_asked = *static_cast<std::atomic<int>*>(context);
  const auto inner = [](std::ptrdiff_t, int) { sleep_ms(5); };
  CHECK(fastconv::parallel_for(10, 2, inner));
  const fastconv::InterruptScope scope(
      [](void* count) {
        ++*static_cast<std::atomic<int>*>(count);
        return true;
      },
      context);
  CHECK(!fastconv::parallel_for(1000, 2, inner));
  CHECK(inner_asked == times_asked);
  return times_asked == 3;
}

void test_interrupt_check_makes_calls() {
  for (const int threads : {1, 2}) {
    times_asked = 0;
    std::atomic<int> inner_asked{0};
    const fastconv::InterruptScope scope(call_and_go_on, &inner_asked);
    CHECK(!fastconv::parallel_for(10000, threads, [&](std::ptrdiff_t, int) { sleep_ms(5); }));
    CHECK(times_asked == 3);
  }
}

void test_thread_count() {
  CHECK(fastconv::default_num_threads() == 3);  // of "3,2": see main
  CHECK(fastconv::num_threads() == 3);
  fastconv::set_num_threads(2);
  CHECK(fastconv::num_threads() == 2);
  fastconv::set_num_threads(0);
  CHECK(fastconv::num_threads() == 1);
  fastconv::set_num_threads(1 << 30);
  CHECK(fastconv::num_threads() == fastconv::max_threads);
  CHECK(fastconv::default_num_threads() == 3);
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

void test_cgroup_quota() {
  namespace fs = std::filesystem;
  const auto unique = std::to_string(steady_clock::now().time_since_epoch().count());
  const fs::path root = fs::temp_directory_path() / ("fastconv_pool_smoke_" + unique);
  const std::string unified_mount = "31 23 0:28 / /cg rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
  const auto limit = [&] { return fastconv::detail::cgroup_cpus(root.string()); };

  CHECK(limit() == INT_MAX);
  write(root / "proc/self/cgroup", "0::/a/b\n");
  write(root / "proc/self/mountinfo", "24 23 0:5 / /dev rw - devtmpfs udev rw\n" + unified_mount);
  CHECK(limit() == INT_MAX);
  write(root / "cg/a/b/cpu.max", "max 100000\n");
  CHECK(limit() == INT_MAX);
  write(root / "cg/a/cpu.max", "250000 100000\n");  // the parent's
  CHECK(limit() == 3);
  write(root / "cg/a/b/cpu.max", "20000 100000\n");
  CHECK(limit() == 1);

  // v1, told a path that starts above what the container has mounted.
  write(root / "proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/docker/x/inner\n0::/\n");
  write(root / "proc/self/mountinfo", "33 31 0:30 /docker/x /cpu rw - cgroup cgroup rw,cpu,cpuacct\n" + unified_mount);
  CHECK(limit() == INT_MAX);
  write(root / "cpu/cpu.cfs_period_us", "50000\n");
  write(root / "cpu/cpu.cfs_quota_us", "-1\n");
  CHECK(limit() == INT_MAX);
  write(root / "cpu/cpu.cfs_quota_us", "200000\n");
  CHECK(limit() == 4);
  write(root / "cpu/inner/cpu.cfs_period_us", "100000\n");
  write(root / "cpu/inner/cpu.cfs_quota_us", "110000\n");
  CHECK(limit() == 2);
  fs::remove_all(root);
}

void test_cpu() {
  CHECK(fastconv::usable_cpus() >= 1);
  CHECK(fastconv::usable_cpus() <= static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  const fastconv::CpuInfo& cpu = fastconv::cpu_info();
  CHECK(cpu.l1d_bytes >= 4096 && cpu.l1d_bytes <= cpu.l2_bytes);
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
  CHECK(cpu.vendor.size() == 12);
  CHECK(cpu.avx2 == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
  CHECK(cpu.avx512 == (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")));
#endif
}

void test_aligned_buffer() {
  constexpr std::size_t mib = std::size_t{1} << 20;
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{100}, mib - 1, mib, 2 * mib + 1, 3 * mib, 5 * mib + 7}) {
    fastconv::AlignedBuffer buffer(bytes);
    CHECK(buffer.bytes() == bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % (bytes < mib ? 64 : 2 * mib) == 0);
    buffer.data()[0] = buffer.data()[bytes - 1] = std::byte{1};
    std::byte* const data = buffer.data();
    fastconv::AlignedBuffer moved(std::move(buffer));
    fastconv::AlignedBuffer assigned;
    assigned = std::move(moved);
    CHECK(assigned.data() == data && assigned.bytes() == bytes);
  }
  CHECK(fastconv::AlignedBuffer(0).data() == nullptr);
  for (const std::size_t bytes : {SIZE_MAX, SIZE_MAX / 2 + 1}) {
    bool refused = false;
    try {
      fastconv::AlignedBuffer too_large(bytes);
    } catch (const std::bad_alloc&) {
      refused = true;
    }
    CHECK(refused);
  }
}

#if defined(HAS_FORK) && !defined(__SANITIZE_THREAD__)

bool child_succeeds(int (*child)()) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(20);
    _exit(child());
  }
  int status = -1;
  return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int use_pool() {
  failures = 0;
  each_task_runs_once(100, 2);
  test_two_threads_at_once();
  return failures;
}

void test_fork() {
  each_task_runs_once(100, 2);
  CHECK(child_succeeds(use_pool));
  CHECK(child_succeeds([] { return use_pool() + (child_succeeds(use_pool) ? 0 : 1); }));  // a child's child

  // Another thread holds the pool, or is about to, at the moment of the fork. It allocates nothing: the address
  // sanitizer's allocator (GCC 12) does not survive being forked under its lock.
  std::atomic<bool> stop{false};
  std::thread busy([&stop] {
    while (!stop) fastconv::parallel_for(8, 3, [](std::ptrdiff_t, int) {});
  });
  for (int i = 0; i < 20; ++i) CHECK(child_succeeds(use_pool));
  stop = true;
  busy.join();
  test_two_threads_at_once();  // the parent's workers are still there
}

// The check forks while workers are at tasks. Each task runs once in the parent, and in the child, whose memory has
// those that ran before; the check and the child make calls of their own. The child ends by the caller alone.
bool child_of_job = false;

bool fork_once(void* context) {
  pid_t& pid = *static_cast<pid_t*>(context);
  if (pid != -1) return false;
  pid = fork();
  if (pid == 0) {
    alarm(20);
    child_of_job = true;
    if (use_pool() != 0) _exit(2);
  }
  return false;
}

void test_fork_in_a_job() {
  for (const int threads : {1, 2, 4})
    for (const std::ptrdiff_t tasks : {std::ptrdiff_t(threads), std::ptrdiff_t{40}}) {
      pid_t pid = -1;
      std::vector<int> runs(static_cast<std::size_t>(tasks), 0);
      {
        const fastconv::InterruptScope scope(fork_once, &pid);
        CHECK(fastconv::parallel_for(tasks, threads, [&](std::ptrdiff_t task, int thread) {
          sleep_ms(thread == 0 ? 25 : 60);  // the caller asks while workers are at work, in its tasks or waiting
          ++runs[static_cast<std::size_t>(task)];
        }));
      }
      const bool each_once = std::all_of(runs.begin(), runs.end(), [](int n) { return n == 1; });
      if (child_of_job) _exit(each_once && use_pool() == 0 ? 0 : 1);
      CHECK(each_once);
      int status = -1;
      CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

#endif

}  // namespace

int main() {
#if defined(HAS_FORK)
  setenv("FASTCONV_NUM_THREADS", "many", 1);  // not a number: the next variable counts
  setenv("OMP_NUM_THREADS", " 3,2", 1);
#endif
  test_each_task_runs_once();
  test_two_threads_at_once();
  test_thread_index_is_exclusive();
  test_concurrent_callers();
  for (const int outer_threads : {1, 4}) nested_call_runs_inline(outer_threads);
  test_interrupt_abandons();
  test_interrupt_while_waiting();
  test_interrupt_is_asked_seldom();
  test_interrupt_check_makes_calls();
  test_thread_count();
  test_cgroup_quota();
  test_cpu();
  test_aligned_buffer();
#if defined(HAS_FORK) && !defined(__SANITIZE_THREAD__)
  test_fork();
  test_fork_in_a_job();
#endif
  each_task_runs_once(4, 2);  // and out, with a worker still spinning
  return failures == 0 ? 0 : 1;
}
