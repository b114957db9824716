// The library's own thread pool. OpenMP is not used: a second OpenMP runtime in one process is a known source of 2-4x
// slowdowns, and GNU OpenMP does not survive fork().
//
// The caller takes part. Workers start at first use, spin for a millisecond after a job and then sleep.
// After fork() the child begins with an empty pool; a job whose own interrupt check forks is ended by the caller alone
// there. If another caller holds the pool, the job runs inline on the calling thread: concurrent callers are safe and
// never wait for one another.
#pragma once

#include <chrono>
#include <cstddef>
#include <type_traits>

namespace fastconv {

// While it lives, `stop(context)` is asked now and then (about every 20 ms) on the thread that made it, whenever a job
// of that thread runs; true abandons the rest of the job, and is not asked again in it. The bindings let Ctrl-C through
// by it. The first 20 ms count from here on, so that a call made of many short jobs is asked too.
//
// What `stop` runs, a signal handler say, may make calls and scopes of its own, and may fork. It must not throw.
class InterruptScope {
 public:
  using Stop = bool (*)(void* context);

  InterruptScope(Stop stop, void* context);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  static bool interrupted();  // asks the scope in force if it is time to

 private:
  using Clock = std::chrono::steady_clock;

  const Stop stop_;
  void* const context_;
  InterruptScope* const outer_;
  Clock::time_point asked_at_;
};

namespace detail {
using TaskBody = void (*)(void* context, std::ptrdiff_t task, int thread);
bool run_tasks(std::ptrdiff_t tasks, int threads, TaskBody body, void* context);
}  // namespace detail

// Calls body(task, thread) once for each task in [0, tasks), with thread in [0, threads) naming the workspace slice
// that is the caller's alone meanwhile. Tasks must not depend on one another: which thread runs which is not fixed, and
// results are the same bits for any number of threads only because a task's work does not depend on `thread`. A body
// must not throw or fork; a parallel_for inside a body runs inline, as thread 0.
// Returns false if the job was abandoned by the interrupt check: the output is then incomplete.
template <class Body>
bool parallel_for(std::ptrdiff_t tasks, int threads, Body&& body) {
  using B = std::remove_reference_t<Body>;
  return detail::run_tasks(
      tasks, threads, [](void* context, std::ptrdiff_t task, int thread) { (*static_cast<B*>(context))(task, thread); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace fastconv
