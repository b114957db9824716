"""One layer, every engine: tried in another process, checked against float64, then timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from fastconv.arguments import Array
from fastconv.bench.measure import Timing, measure
from fastconv.bench.peak import Bandwidth, PeakProbe
from fastconv.bench.peers.case import Case
from fastconv.bench.peers.engine import Call, Engine, describe
from fastconv.bench.peers.limits import limit
from fastconv.bench.peers.memory import peak_memory
from fastconv.bench.peers.outcome import Entry, Outcome
from fastconv.bench.peers.own import FastConv
from fastconv.bench.peers.probe import Probe
from fastconv.bench.peers.quiet import wait_until_quiet

INACCURATE = {"float32": 1e-4, "float64": 1e-10}
"""A largest error over the largest output above this rules an engine out as the best peer; it is timed all the same."""

WRONG = 0.02
"""Above this a result is no approximation but another one: a failure, not timed. MNN's Winograd reaches 3e-3."""

TOO_MANY_CPUS = 1.15
"""CPU seconds per second, over the threads asked for, above which an engine used more of them than it was allowed."""

_PEAK = "peak"


def contest(
    case: Case,
    engines: Mapping[str, Engine],
    *,
    probe: Probe | None,
    levels: list[Bandwidth],
    seconds: float,
    rounds: int = 15,
    memory: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Outcome:
    """Compare engines on one layer.

    Args:
        case: The layer, and how it is computed.
        engines: By name, all of them installed.
        probe: Calls each engine first, so that a crash is survived; None to go without.
        levels: Bandwidths with the case's threads.
        seconds, rounds: As `min_time` and `rounds` of :func:`fastconv.bench.measure.measure`.
        memory: Whether each engine's peak memory is measured, too, in a fresh process.
        on_step: Told what is going on, now and then.
    Returns:
        An entry per engine, in the order given.
    """
    layer = case.layer
    on_step(f"{layer}: float64")
    x, exact = case.images, case.exact()
    entries: dict[str, Entry] = {}
    calls: dict[str, Callable[[], object]] = {}
    for name, engine in engines.items():
        on_step(f"{layer}: first call of {name}")
        entries[name], call = _admit(name, engine, case, x, exact, probe)
        if call is not None:
            calls[name] = partial(call, x)
    peak = PeakProbe(case.dtype)
    timings = measure(
        calls | {_PEAK: peak},
        min_time=seconds,
        rounds=rounds,
        before_sample=wait_until_quiet,
        on_sample=lambda name: on_step(f"{layer}: {name}"),
    )
    for name in calls:
        entries[name] = judged(entries[name], timings[name], case)
        if memory:
            on_step(f"{layer}: memory of {name}")
            entries[name] = replace(entries[name], peak_memory_bytes=peak_memory(engines[name], case))
    return Outcome(case, peak.best, limit(layer, case.dtype, peak.best, levels, case.threads), entries)


def _admit(
    name: str, engine: Engine, case: Case, x: Array, exact: npt.NDArray[np.float64], probe: Probe | None
) -> tuple[Entry, Call | None]:
    """Try and check an engine; what is to be timed comes with a call."""
    if (reason := case.refused_by(engine)) is not None:
        return Entry(name, "refused", reason), None
    if probe is not None and (reason := probe.failure(name, case)) is not None:
        return Entry(name, "failed", reason), None
    try:
        call = case.prepare(engine)
        y = call(x)
    except Exception as error:  # whatever an engine throws is its failure, and a row in the table
        return Entry(name, "failed", describe(error)), None
    if y.shape != exact.shape or y.dtype != x.dtype:
        return Entry(name, "failed", f"returned {y.dtype} {y.shape}, expected {x.dtype} {exact.shape}"), None
    deviation = max_error(y, exact)
    if not deviation <= WRONG:  # NaN is wrong, too
        return Entry(name, "failed", f"wrong result, error {deviation:.1e}", error=deviation), None
    entry = Entry(name, error=deviation)
    if isinstance(engine, FastConv):
        of = case.layer, case.dtype, case.layout
        entry = replace(entry, detail=engine.detail(*of), stated_memory_bytes=engine.stated_memory(*of))
    return entry, call


def judged(entry: Entry, timing: Timing, case: Case) -> Entry:
    """The entry with its timing, and whether it may be the best peer."""
    reason = None
    if entry.error is None or entry.error > INACCURATE[case.dtype]:
        reason = f"error {entry.error:.1e}"
    elif timing.cpu_seconds > TOO_MANY_CPUS * case.threads:
        reason = f"used {timing.cpu_seconds:.2f} CPUs"
    return replace(entry, reason=reason, eligible=reason is None, timing=timing)


def max_error(y: Array, exact: npt.NDArray[np.float64]) -> float:
    """Largest absolute error over the largest absolute output; NaN if there is one in `y`."""
    largest = float(np.max(np.abs(exact), initial=0.0)) or 1.0
    return float(np.max(np.abs(y - exact), initial=0.0)) / largest
