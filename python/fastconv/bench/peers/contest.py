"""One layer, every engine: probed, checked against float64, then timed in turns."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from fastconv.arguments import Array
from fastconv.bench.baselines import float64_result
from fastconv.bench.layers import NamedLayer
from fastconv.bench.measure import Timing, measure
from fastconv.bench.peak import Bandwidth, PeakProbe
from fastconv.bench.peers.engine import Call, Engine, describe, in_layout
from fastconv.bench.peers.limits import Limit, limit
from fastconv.bench.peers.own import FastConv
from fastconv.bench.peers.probe import Probe
from fastconv.bench.peers.quiet import wait_until_quiet

OWN = "fastconv"
"""The engine all others are compared with."""

INACCURATE = {"float32": 1e-4, "float64": 1e-10}
"""A largest error over the largest output above this rules an engine out as the best peer; it is timed all the same."""

WRONG = 0.02
"""Above this a result is no approximation but another one: a failure, not timed. MNN's Winograd reaches 3e-3."""

TOO_MANY_THREADS = 1.15
"""CPU seconds per second, over the threads asked for, above which an engine used more of them than it was allowed."""

_PEAK = "peak"


@dataclass(frozen=True)
class Entry:
    """One engine on one layer.

    Attributes:
        status: "measured", "refused" (it says that it does not take the layer) or "failed".
        reason: Why it was refused, how it failed, or why it is not eligible.
        eligible: Whether it may be the best peer: measured, accurate, and no more threads than asked for.
        error: Largest absolute error against float64 over the largest absolute output.
        timing: Seconds per call.
        detail: Of fastconv: the algorithm and its variant.
    """

    engine: str
    status: str = "measured"
    reason: str | None = None
    eligible: bool = False
    error: float | None = None
    timing: Timing | None = None
    detail: str = ""


@dataclass(frozen=True)
class Outcome:
    """All engines on one layer.

    Attributes:
        peak_gflops: The best FMA peak among the turns.
    """

    layer: NamedLayer
    dtype: str
    layout: str
    threads: int
    peak_gflops: float
    limit: Limit
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def own(self) -> Timing | None:
        entry = self.entries.get(OWN)
        return None if entry is None else entry.timing

    def best(self, names: Iterable[str]) -> str | None:
        """The fastest eligible engine among `names`, by median; None if there is none."""
        medians = {
            name: entry.timing.median
            for name in names
            if (entry := self.entries.get(name)) is not None and entry.eligible and entry.timing is not None
        }
        return min(medians, key=medians.__getitem__, default=None)

    def _best_timing(self, own_algorithms: bool) -> tuple[str, Timing] | None:
        names = [name for name in self.entries if name != OWN and name.startswith(OWN) == own_algorithms]
        best = self.best(names)
        timing = None if best is None else self.entries[best].timing
        return None if best is None or timing is None else (best, timing)

    @property
    def best_peer(self) -> tuple[str, Timing] | None:
        """Name and timing of the fastest eligible engine that is not fastconv."""
        return self._best_timing(own_algorithms=False)

    @property
    def best_algorithm(self) -> tuple[str, Timing] | None:
        """Name and timing of the fastest of fastconv's algorithms that were timed one by one."""
        return self._best_timing(own_algorithms=True)

    @property
    def ratio(self) -> float | None:
        """The best peer's median over fastconv's: above 1, fastconv is faster."""
        return _ratio(self.best_peer, self.own)

    @property
    def auto_share(self) -> float | None:
        """The best algorithm's median over that of "auto": 1 if the choice was the best one."""
        return _ratio(self.best_algorithm, self.own)

    @property
    def gflops(self) -> float | None:
        """Of fastconv, all taps counted, those in the padding too."""
        return None if self.own is None else 2 * self.layer.problem().multiply_adds / self.own.median / 1e9

    @property
    def share_of_limit(self) -> float | None:
        return None if self.own is None else self.limit.seconds / self.own.median

    @property
    def noisy(self) -> bool:
        """Whether fastconv's timing or the best peer's is."""
        return any(timing.noisy for timing in (self.own, self.best_peer and self.best_peer[1]) if timing)


def _ratio(best: tuple[str, Timing] | None, own: Timing | None) -> float | None:
    return None if best is None or own is None else best[1].median / own.median


def contest(
    layer: NamedLayer,
    engines: Mapping[str, Engine],
    *,
    dtype: str,
    layout: str,
    threads: int,
    probe: Probe | None,
    levels: list[Bandwidth],
    seconds: float,
    rounds: int = 15,
    on_step: Callable[[str], None] = lambda step: None,
) -> Outcome:
    """Compare engines on one layer.

    Args:
        layer: The layer.
        engines: By name, all of them installed.
        dtype: Of images and weights.
        layout: "NCHW" or "NHWC", of images and outputs.
        threads: For every engine.
        probe: Calls each engine first, so that a crash is survived; None to go without.
        levels: Bandwidths with `threads`.
        seconds, rounds: As `min_time` and `rounds` of :func:`fastconv.bench.measure.measure`.
        on_step: Told what is going on, now and then.
    Returns:
        An entry per engine, in the order given.
    """
    images, weight = layer.random_input(dtype), layer.random_weight(dtype)
    x = in_layout(images, layout)
    on_step(f"{layer}: float64")
    exact = in_layout(float64_result(images, weight, layer), layout)
    entries: dict[str, Entry] = {}
    calls: dict[str, Call] = {}
    for name, engine in engines.items():
        on_step(f"{layer}: first call of {name}")
        entry, call = _admit(engine, layer, x, weight, exact, threads, layout, probe)
        entries[name] = entry
        if call is not None:
            calls[name] = call
    peak = PeakProbe(dtype)
    timings = measure(
        {name: partial(call, x) for name, call in calls.items()} | {_PEAK: peak},
        min_time=seconds,
        rounds=rounds,
        before_sample=wait_until_quiet,
        on_sample=lambda name: on_step(f"{layer}: {name}"),
    )
    for name in calls:
        entries[name] = _judged(entries[name], timings[name], dtype, threads)
    return Outcome(layer, dtype, layout, threads, peak.best, limit(layer, dtype, peak.best, levels, threads), entries)


def _admit(
    engine: Engine,
    layer: NamedLayer,
    x: Array,
    weight: Array,
    exact: npt.NDArray[np.float64],
    threads: int,
    layout: str,
    probe: Probe | None,
) -> tuple[Entry, Call | None]:
    """Probe and check an engine; what is to be timed comes with a call."""
    dtype = weight.dtype.name
    if (reason := engine.refuses(layer, dtype, layout)) is not None:
        return Entry(engine.name, "refused", reason), None
    if probe is not None and (reason := probe.failure(engine.name, layer, dtype, layout)) is not None:
        return Entry(engine.name, "failed", reason), None
    try:
        call = engine.prepare(layer, weight, None, threads, layout)
        y = call(x)
    except Exception as error:  # whatever an engine throws is its failure, and a row in the table
        return Entry(engine.name, "failed", describe(error)), None
    if y.shape != exact.shape or y.dtype != weight.dtype:
        return Entry(engine.name, "failed", f"returned {y.dtype} {y.shape}, expected {dtype} {exact.shape}"), None
    deviation = max_error(y, exact)
    if not deviation <= WRONG:
        return Entry(engine.name, "failed", f"wrong result, error {deviation:.1e}", error=deviation), None
    detail = engine.detail(layer, dtype) if isinstance(engine, FastConv) else ""
    return Entry(engine.name, error=deviation, detail=detail), call


def _judged(entry: Entry, timing: Timing, dtype: str, threads: int) -> Entry:
    """The entry with its timing, and whether it may be the best peer."""
    reason = None
    if entry.error is None or entry.error > INACCURATE[dtype]:
        reason = f"error {entry.error:.1e}"
    elif timing.cpu_seconds > TOO_MANY_THREADS * threads:
        reason = f"used {timing.cpu_seconds:.2f} CPUs"
    return replace(entry, reason=reason, eligible=reason is None, timing=timing)


def max_error(y: Array, exact: npt.NDArray[np.float64]) -> float:
    """Largest absolute error over the largest absolute output; NaN if there is one in `y`."""
    largest = float(np.max(np.abs(exact), initial=0.0)) or 1.0
    return float(np.max(np.abs(y - exact), initial=0.0)) / largest


@dataclass(frozen=True)
class Summary:
    """Ratios of a group of layers.

    Attributes:
        layers: How many have a ratio.
        worst_layer: Whose ratio is lowest.
    """

    group: str
    layers: int
    geometric_mean: float
    worst: float
    worst_layer: str


def summarise(group: str, ratios: Mapping[str, float | None]) -> Summary | None:
    """Geometric mean and worst of the ratios per layer; None if there are none."""
    known = {name: value for name, value in ratios.items() if value is not None}
    if not known:
        return None
    worst = min(known, key=known.__getitem__)
    mean = math.exp(statistics.fmean(map(math.log, known.values())))
    return Summary(group, len(known), mean, known[worst], worst)


def summaries(outcomes: Sequence[Outcome]) -> list[Summary]:
    """One per kind of layer, in the order they come, then one of all."""
    kinds = dict.fromkeys(outcome.layer.kind for outcome in outcomes)
    groups = [(kind, [o for o in outcomes if o.layer.kind == kind]) for kind in kinds] + [("all", list(outcomes))]
    found = (summarise(name, {o.layer.name: o.ratio for o in members}) for name, members in groups)
    return [summary for summary in found if summary is not None]
