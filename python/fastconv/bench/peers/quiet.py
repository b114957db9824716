"""Waiting until no thread of the process is at work."""

from __future__ import annotations

import time

_SLICE = 0.001
_LONGEST = 0.05
_BUSY = 0.1
"""Of a slice: more CPU time than this, and somebody still spins."""


def wait_until_quiet() -> float:
    """Sleep until the process uses no CPU time: thread pools of the engine before spin on for a while, for work to
    come, and would take a core from the engine that follows. At least 1 ms; 50 ms at most.

    Returns:
        Seconds slept.
    """
    begin = time.perf_counter()
    while True:
        cpu, wall = time.process_time(), time.perf_counter()
        time.sleep(_SLICE)
        now = time.perf_counter()
        if time.process_time() - cpu < _BUSY * (now - wall) or now - begin > _LONGEST:
            return now - begin
