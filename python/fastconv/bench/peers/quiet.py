"""Waiting until no thread of the process but the caller is at work."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

_TASKS = Path("/proc/self/task")
_SLICE = 0.0005
_LONGEST = 0.2


def wait_until_quiet() -> float:
    """Sleep until all other threads of the process sleep too.

    Thread pools spin on after a call, waiting for work: OpenMP's for some milliseconds, ONNX Runtime's for 40. They
    would take a core from the engine that follows. To switch the spinning off would make those engines slower. CPU
    clocks do not show it, as a running thread's time is added to them at the scheduler's ticks only; its state does.

    Returns:
        Seconds slept: 0.2 at most, and 0 where the states cannot be read.
    """
    begin = time.perf_counter()
    while _others_run() and time.perf_counter() - begin < _LONGEST:
        time.sleep(_SLICE)
    return time.perf_counter() - begin


def _others_run() -> bool:
    own = str(threading.get_native_id())
    try:
        return any(_runs(name) for name in os.listdir(_TASKS) if name != own)  # noqa: PTH208 - ten times as fast
    except OSError:
        return False


def _runs(thread: str) -> bool:
    try:
        text = (_TASKS / thread / "stat").read_bytes()
    except OSError:  # it has ended
        return False
    return text[text.rindex(b")") + 2 : text.rindex(b")") + 3] == b"R"
