"""Peak memory of a piece of work, as the operating system sees it, in a fresh process.

What is counted: pages of memory that this process holds (resident set), above what it held when the stage began. The
peak is the kernel's own high-water mark (`VmHWM`, set back before each stage through /proc/self/clear_refs), so that
nothing between two looks is missed. Transparent huge pages are off in the measured process, so that a buffer counts by
the 4 KiB pages that were touched and not by 2 MiB. Where the mark cannot be set back (macOS, some containers),
getrusage's lifetime maximum is used instead: it misses growth that stays below an earlier peak. The kernel's counters
may lag by some pages per thread, and a workspace below malloc's mmap threshold may come from memory that the process
already held: take figures below about a quarter of a MiB as zero.

Source: proc_pid_status(5), proc_pid_clear_refs(5).
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_PR_SET_THP_DISABLE = 41
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Growth:
    """Bytes by which the resident set grew at most.

    Attributes:
        stages: Per stage, over the state at that stage's begin.
        peak: Over all stages, over the state at the first one's begin.
        method: "VmHWM" or "getrusage".
    """

    stages: tuple[int, ...]
    peak: int
    method: str


def measure_growth(work: Callable[..., Iterator[None]], *args: object, timeout: float = 120.0) -> Growth:
    """Run a staged piece of work in a fresh process and measure each stage's peak memory.

    Args:
        work: A generator function, importable by name. What it does before its first ``yield`` is the set-up and is not
            counted; what follows, cut by further ``yield``s, are the stages.
        args: Its arguments; picklable.
        timeout: Seconds until the process is ended.
    Returns:
        The growth per stage and over all of them.
    Raises:
        TimeoutError: If the work took longer than `timeout`.
        RuntimeError: If the process failed; the text says how.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, work, args), daemon=True)
    try:
        start(process)
        sender.close()
        if not receiver.poll(timeout):
            raise TimeoutError(f"memory measurement took longer than {timeout:g} s")
        answer = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"memory measurement ended with exit code {process.exitcode}") from None
    finally:
        receiver.close()
        if process.pid is not None:
            process.kill()  # once it has answered, its own ending is only lost time
            process.join()
    if isinstance(answer, Growth):
        return answer
    raise RuntimeError(f"memory measurement failed: {answer}")


def start(process: BaseProcess) -> None:
    """Start a process that Ctrl-C does not reach before it has said what it does with it: it would print a traceback.

    It begins with SIGINT blocked, as does a fork server that is started on the way. This process gets its SIGINT after.
    """
    resource_tracker.ensure_running()  # or it would be started on the way, and let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heed_ctrl_c() -> None:
    """Of a process begun by :func:`start`: Ctrl-C ends it without a traceback of its own."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def preload(*modules: str) -> None:
    """Have fresh processes start with these modules imported. Counts before the first measurement only."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        multiprocessing.set_forkserver_preload([__name__, *modules])


def _context() -> Any:
    # A fork server forks from a process that has imported NumPy but run nothing: as fresh as a new interpreter (no
    # threads, no workspace) without its 0.2 s of imports.
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def _child(sender: Connection, work: Callable[..., Iterator[None]], args: tuple[object, ...]) -> None:
    heed_ctrl_c()
    answer: Growth | str
    try:
        answer = _growth(work(*args))
    except Exception as error:  # whatever it is, the measuring process reports it
        answer = f"{type(error).__name__}: {error}"
    with suppress(BrokenPipeError):  # it was interrupted, and waits no longer
        sender.send(answer)


def _growth(stages: Iterator[None]) -> Growth:
    _small_pages()
    next(stages)
    resettable = _reset_peak()
    read = _read_status if resettable else _read_rusage
    begin = read()[0]
    growth: list[int] = []
    highest = begin
    while True:
        if resettable:
            _reset_peak()
        before = read()[0]
        done = next(stages, _END)
        _, peak = read()
        growth.append(max(0, peak - before))
        highest = max(highest, peak)
        if done is _END:
            return Growth(tuple(growth), highest - begin, "VmHWM" if resettable else "getrusage")


_END = object()


def _small_pages() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _reset_peak() -> bool:
    try:
        _CLEAR_REFS.write_text("5")
        now, peak = _read_status()
    except (OSError, KeyError):
        return False
    return peak - now < 1 << 20


def _read_status() -> tuple[int, int]:
    """Resident bytes now, and at most since the mark was set back."""
    fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) * 1024, int(fields["VmHWM"].split()[0]) * 1024


def _read_rusage() -> tuple[int, int]:
    """The lifetime maximum, for want of anything better, as both."""
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak, peak
