// Memory that calls leave for the next ones. Scratch memory is a call's own while it runs; then it lies idle, for a
// call of any thread.
#pragma once

#include <cstddef>

namespace fastconv {

std::size_t idle_bytes();
// Never more than this: 16 MiB for each CPU that the process may use, and at least 48.
std::size_t most_idle_bytes();
// Frees what is idle and returns its bytes. Other threads may be in calls: what they use is theirs.
std::size_t release_memory();

}  // namespace fastconv
