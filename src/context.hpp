// The settings of the context that calls. `with num_threads(n)` and `with use_isa(name)` belong to a context of
// Python's contextvars, a thread or an asyncio task, so a call reads them where it enters the core, and hands them to
// all that it is made of as scopes of its thread.
#pragma once

#include "fastconv/isa.hpp"
#include "fastconv/threads.hpp"

namespace fastconv::python {

// Holding the GIL: the threads (0: the process's) and the place of the ISA in compiled_isas() (-1: the process's).
struct ContextNumbers {
  int threads = 0, isa = -1;

  static ContextNumbers read();
};

// Every function of the module that computes, packs, estimates or tells of settings runs within one: a call guard of
// pybind11's, or made first in functions that are none of its.
class InContext {
 public:
  InContext() : InContext(ContextNumbers::read()) {}

 private:
  explicit InContext(const ContextNumbers& numbers) : threads_(numbers.threads), isa_(numbers.isa) {}

  ThreadsScope threads_;
  IsaScope isa_;
};

}  // namespace fastconv::python
