// Computing without the GIL, and Ctrl-C while it lasts.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <exception>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/parallel_for.hpp"

namespace fastconv::python {

// Takes the GIL back. A daemon thread may ask for it when the interpreter has begun to end. Python then ends the thread
// by pthread_exit, until 3.13; with glibc that unwinds the stack, through destructors that drop references without the
// GIL, and aborts at the first function that is noexcept, as every destructor is. So the thread stays here until the
// process ends, which is what Python itself does from 3.14 on.
inline void take_gil(PyThreadState* state) {
  try {
    PyEval_RestoreThread(state);
  } catch (...) {  // nothing else comes this way; not to leave this block is what keeps the stack
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

// What work(state) returns, or the exception that it throws. `state` is the thread's, for take_gil.
//
// pybind11's scopes are of no use here: they take the GIL in destructors.
template <class Work>
auto without_gil(Work&& work) {
  std::optional<std::invoke_result_t<Work, PyThreadState*>> result;
  std::exception_ptr failure;
  PyThreadState* const state = PyEval_SaveThread();
  try {
    result.emplace(work(state));
  } catch (...) {
    failure = std::current_exception();
  }
  take_gil(state);
  if (failure) std::rethrow_exception(failure);
  return std::move(*result);
}

// Whether this is the thread that Python runs signal handlers on.
bool runs_signal_handlers();

// Asked about every 20 ms by the calling thread, if it is that one.
inline bool signal_arrived(void* state) {
  take_gil(static_cast<PyThreadState*>(state));
  const bool raised = PyErr_CheckSignals() != 0;
  PyEval_SaveThread();
  return raised;
}

// Calls work(), which returns false if it was interrupted; then the signal handler's exception is raised.
//
// Brief work keeps the GIL and is not interrupted. To give the GIL up and take it back costs 0.1 us if nobody wants it;
// if somebody does, a wait of up to 5 ms (sys.setswitchinterval) for work that is done in microseconds.
template <class Work>
void run_released(bool brief, Work&& work) {
  if (brief) {
    work();
    return;
  }
  const bool asks = runs_signal_handlers();
  const bool finished = without_gil([&](PyThreadState* state) {
    std::optional<InterruptScope> scope;
    if (asks) scope.emplace(signal_arrived, state);
    return work();
  });
  if (!finished) throw pybind11::error_already_set();
}

}  // namespace fastconv::python
