#include "base/parallel_for.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "base/aligned_buffer.hpp"
#include "fastconv/threads.hpp"

#if defined(__unix__) || defined(__APPLE__)
#define FASTCONV_POSIX_THREADS 1
#include <pthread.h>
#include <signal.h>
#endif

namespace fastconv {
namespace {

using Clock = std::chrono::steady_clock;

// Until both threads are at work takes 0.2 to 0.8 us with a spinning worker, 30 to 50 us with a sleeping one (2-core
// EPYC guest, medians). A worker spins for as long as what lies between two layers of a network run from Python may
// take; the caller, which has nothing better to do, until a wake-up adds a tenth at most. Both become polite after a
// while: another thread, the other one of the two perhaps, may need this very CPU.
constexpr auto polite_after = std::chrono::microseconds(30);
constexpr auto worker_spin = std::chrono::microseconds(1000);
constexpr auto caller_spin = std::chrono::microseconds(500);
constexpr auto ask_interval = std::chrono::milliseconds(20);

constinit thread_local InterruptScope* current_scope = nullptr;
constinit thread_local bool inside_task = false;

void pause_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#else
  std::this_thread::yield();
#endif
}

template <class Done>
bool spin_until(Done done, Clock::duration limit) {
  if (done()) return true;
  const auto start = Clock::now();
  for (auto spun = Clock::duration::zero(); spun < limit; spun = Clock::now() - start) {
    if (spun > polite_after) std::this_thread::yield();
    for (int i = 0; i < 16; ++i, pause_cpu())
      if (done()) return true;
  }
  return false;
}

// Lives on the caller's stack.
struct Job {
  const std::ptrdiff_t tasks;
  const detail::TaskBody body;
  void* const context;
  bool abandoned = false;  // this and ask(): by the caller only
  alignas(cache_line) std::atomic<std::ptrdiff_t> next{0};

  void run(int thread, bool asks) {
    for (;;) {
      const std::ptrdiff_t task = next.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks) return;
      body(context, task, thread);
      if (asks) ask();
    }
  }

  // The interrupt check that said stop may have raised an exception: it is not asked again.
  void ask() {
    if (abandoned || !InterruptScope::interrupted()) return;
    abandoned = true;
    next.store(tasks, std::memory_order_relaxed);
  }
};

// A worker touches the job only while `running` or `awaited`; it alone enters and leaves these states, apart from the
// caller's turning the first into the second. A call that the worker has not taken up is revoked, not waited for: a
// short job does not pay for a sleeping worker.
class alignas(cache_line) Worker {
 public:
  explicit Worker(int thread) : thread_(thread) {}

  void call(Job& job) {
    job_ = &job;
    if (state_.exchange(State::called, std::memory_order_acq_rel) == State::asleep) notify();
  }

  // Returns when the worker has left its job; ask() is called now and then until it has. It may come to wait for the
  // same worker itself, and find it awaited.
  template <class Ask>
  void await(Ask&& ask) {
    const auto has_left = [this] {
      const State state = state_.load(std::memory_order_acquire);
      return state == State::idle || state == State::asleep;
    };
    if (change(State::called, State::idle) || spin_until(has_left, caller_spin)) return;
    if (!change(State::running, State::awaited) && has_left()) return;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, ask_interval, has_left)) {
      lock.unlock();
      ask();
      if (has_left()) return;  // before the lock: in a child it may be a lost worker's
      lock.lock();
    }
  }

  [[noreturn]] void loop() {
    inside_task = true;
    for (;;) {
      const auto is_called = [this] { return state_.load(std::memory_order_acquire) == State::called; };
      if (!spin_until(is_called, worker_spin)) sleep();
      if (!change(State::called, State::running)) continue;  // revoked
      job_->run(thread_, false);
      if (state_.exchange(State::idle, std::memory_order_acq_rel) == State::awaited) notify();
    }
  }

 private:
  enum class State { idle, asleep, called, running, awaited };

  bool change(State from, State to) { return state_.compare_exchange_strong(from, to, std::memory_order_acq_rel); }

  void sleep() {
    if (!change(State::idle, State::asleep)) return;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return state_.load(std::memory_order_acquire) != State::asleep; });
  }

  // States change outside the lock; taking it here means that the sleeper either saw the new state or is waiting.
  void notify() {
    {
      const std::lock_guard lock(mutex_);
    }
    changed_.notify_one();
  }

  std::atomic<State> state_{State::idle};
  Job* job_ = nullptr;
  const int thread_;
  alignas(cache_line) std::mutex mutex_;
  std::condition_variable changed_;
};

// Signals belong to the application's threads; only what a thread brings upon itself, and profiling, is left.
class SignalsBlocked {
 public:
#ifdef FASTCONV_POSIX_THREADS
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int kept : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF}) sigdelset(&blocked, kept);
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
#endif
};

// Never destroyed: workers may still spin while the process runs its static destructors.
class Pool {
 public:
  // The pool if no other caller holds it; null otherwise.
  static Pool* try_acquire() {
    Pool* pool = current_.load(std::memory_order_acquire);
    if (pool == nullptr) {
      std::unique_ptr<Pool> fresh(new (std::nothrow) Pool);
      if (fresh == nullptr) return nullptr;
      if (current_.compare_exchange_strong(pool, fresh.get(), std::memory_order_acq_rel)) pool = fresh.release();
    }
    return pool->held_.exchange(true, std::memory_order_acquire) ? nullptr : pool;
  }

  void release() { held_.store(false, std::memory_order_release); }

  void run(Job& job, int helpers);

  static void before_fork();
  static void in_parent();
  static void in_child();

 private:
  Worker& worker(int i) { return *workers_[static_cast<std::size_t>(i)]; }

  bool start_worker() {
    try {
      auto fresh = std::make_unique<Worker>(started_ + 1);
      [[maybe_unused]] const SignalsBlocked guard;
      std::thread([w = fresh.get()] { w->loop(); }).detach();
      workers_[static_cast<std::size_t>(started_++)] = std::move(fresh);
      return true;
    } catch (const std::exception&) {  // no memory, or a limit on threads: the job runs with those there are
      return false;
    }
  }

  // A job of this pool, and the workers that were called to it, on the stack of its caller.
  struct Call {
    Pool& pool;
    Job& job;
    Call* const outer;  // of the same thread, on other pools: its interrupt check made this one
    int called = 0;
    std::ptrdiff_t next = 0;  // the job's, during a fork

    void call_workers() {
      for (int i = 0; i < called; ++i) pool.worker(i).call(job);
    }
  };

  static constinit std::atomic<Pool*> current_;
  static constinit thread_local Call* calls_;

  std::atomic<bool> held_{false};
  int started_ = 0;  // this and workers_: by the holder only
  std::array<std::unique_ptr<Worker>, max_threads - 1> workers_;
};

constinit std::atomic<Pool*> Pool::current_{nullptr};
constinit thread_local Pool::Call* Pool::calls_ = nullptr;

void Pool::run(Job& job, int helpers) {
  Call call{*this, job, calls_};
  for (; call.called < helpers && (call.called < started_ || start_worker()); ++call.called)
    worker(call.called).call(job);
  calls_ = &call;
  job.run(0, true);
  for (int i = 0; i < call.called; ++i) worker(i).await([&] { job.ask(); });
  calls_ = call.outer;
}

// An interrupt check may fork. In the child there are no workers, and nobody to end the tasks that they were at: so
// they end them before, and take no others. Then there is nothing to wait for in the child, which does what is left
// alone, on the stack that it has inherited.
void Pool::before_fork() {
  for (Call* call = calls_; call != nullptr; call = call->outer) {
    call->next = call->job.next.exchange(call->job.tasks, std::memory_order_relaxed);
    for (int i = 0; i < call->called; ++i) call->pool.worker(i).await([] {});
  }
}

void Pool::in_parent() {
  for (Call* call = calls_; call != nullptr; call = call->outer) {
    call->job.next.store(call->next, std::memory_order_relaxed);
    if (call->next < call->job.tasks) call->call_workers();
  }
}

// Another thread may have held the pool: begin anew.
void Pool::in_child() {
  current_.store(nullptr, std::memory_order_release);
  for (Call* call = calls_; call != nullptr; call = call->outer) {
    call->job.next.store(call->next, std::memory_order_relaxed);
    call->called = 0;
  }
}

#ifdef FASTCONV_POSIX_THREADS
// At load time rather than at first use: a once-flag could itself be caught half-way by fork().
[[maybe_unused]] const int fork_handlers = pthread_atfork(Pool::before_fork, Pool::in_parent, Pool::in_child);
#endif

}  // namespace

InterruptScope::InterruptScope(Stop stop, void* context)
    : stop_(stop), context_(context), outer_(std::exchange(current_scope, this)), asked_at_(Clock::now()) {}
InterruptScope::~InterruptScope() { current_scope = outer_; }

bool InterruptScope::interrupted() {
  InterruptScope* const scope = current_scope;
  if (scope == nullptr || Clock::now() - scope->asked_at_ < ask_interval) return false;
  // A call that the check makes is no part of the job that asks: it may have scopes of its own, and if it has none, it
  // is not to take the answer that belongs to this one.
  current_scope = nullptr;
  const bool was_inside = std::exchange(inside_task, false);
  const bool stop = scope->stop_(scope->context_);
  inside_task = was_inside;
  current_scope = scope;
  scope->asked_at_ = Clock::now();  // after the check: it may have waited for a lock
  return stop;
}

bool detail::run_tasks(std::ptrdiff_t tasks, int threads, TaskBody body, void* context) {
  Job job{.tasks = tasks, .body = body, .context = context};
  if (inside_task) {
    // Without asking: the answer belongs to the outer job.
    job.run(0, false);
    return true;
  }
  const auto useful = std::min<std::ptrdiff_t>({threads, tasks, max_threads});
  Pool* const pool = useful > 1 ? Pool::try_acquire() : nullptr;
  inside_task = true;
  if (pool != nullptr) {
    pool->run(job, static_cast<int>(useful) - 1);
    pool->release();
  } else {
    job.run(0, true);
  }
  inside_task = false;
  return !job.abandoned;
}

}  // namespace fastconv
