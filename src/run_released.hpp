// Computing without the GIL, and Ctrl-C while it lasts.
#pragma once

#include <pybind11/pybind11.h>

#include "base/parallel_for.hpp"

namespace fastconv::python {

// Asked about every 20 ms by the calling thread. Python runs signal handlers on the main thread only: on any other this
// finds nothing.
inline bool signal_arrived() {
  pybind11::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
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
  bool finished;
  {
    pybind11::gil_scoped_release release;
    set_interrupt_check(signal_arrived);
    finished = work();
    set_interrupt_check(nullptr);
  }
  if (!finished) throw pybind11::error_already_set();
}

}  // namespace fastconv::python
