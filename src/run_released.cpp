#include "run_released.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define FASTCONV_POSIX_THREADS 1
#endif

namespace fastconv::python {

namespace {

enum class Role { unknown, handles_signals, does_not };
constinit thread_local Role role = Role::unknown;

#ifdef FASTCONV_POSIX_THREADS
// In the child of fork() the thread that forked is the main thread, whatever it was before.
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] { role = Role::unknown; });
#endif

// Who cannot be told may have to handle signals: to ask in vain does no harm.
bool is_main_thread() {
  try {
    const auto ident = pybind11::module_::import("threading").attr("main_thread")().attr("ident");
    return ident.cast<unsigned long>() == PyThread_get_thread_ident();
  } catch (const pybind11::error_already_set&) {
  } catch (const pybind11::cast_error&) {
  }
  return true;
}

}  // namespace

bool runs_signal_handlers() {
  if (role == Role::unknown) role = is_main_thread() ? Role::handles_signals : Role::does_not;
  return role == Role::handles_signals;
}

}  // namespace fastconv::python
