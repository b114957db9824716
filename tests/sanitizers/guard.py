"""Refuses the import of a sanitizer's build whose runtime is not loaded; tests/sanitizers/run adds it as `_sanitizer`.

Left alone, AddressSanitizer would end the process, and ThreadSanitizer's library would not fit in static TLS.
"""

import ctypes

RUNTIMES = {"address": ("AddressSanitizer", "__asan_init"), "thread": ("ThreadSanitizer", "__tsan_init")}


def check(kind: str) -> None:
    """ImportError if the process began without the runtime of this sanitizer."""
    name, symbol = RUNTIMES[kind]
    if not hasattr(ctypes.CDLL(None), symbol):
        raise ImportError(
            f"this build of fastconv is instrumented for {name}, whose runtime was not there when Python started: "
            f"run tests/sanitizers/run {kind}, which loads it with LD_PRELOAD"
        )
