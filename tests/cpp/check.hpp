// The C++ tests' own assertions: they count failures, so that one run shows them all. (doctest and Catch2 are not to be
// had by pip, and the tests need nothing but Python and a compiler.)
#pragma once

#include <atomic>
#include <cstdio>
#include <string>

inline std::atomic<int> failures{0};

#define CHECK(condition)                                                           \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                                  \
    }                                                                              \
  } while (false)

// `context` is a string that says which of many cases this is.
#define CHECK_IN(context, condition)                                                                         \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      std::fprintf(stderr, "%s:%d: failed for %s: %s\n", __FILE__, __LINE__, (context).c_str(), #condition); \
      ++failures;                                                                                            \
    }                                                                                                        \
  } while (false)
