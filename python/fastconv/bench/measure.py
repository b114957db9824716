"""The one timing routine: interleaved rounds, warm-up, medians and quartiles.

A shared machine drifts: measured one after the other, the candidate that ran while a neighbour slept wins. Here every
round times each candidate once, so that all of them see the same drift, and the order turns around from round to round,
so that nobody always follows the same neighbour. The spread is reported and never hidden.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NOISY_SPREAD = 0.2
"""A timing whose middle half spreads over more than this share of its median is called noisy."""


@dataclass(frozen=True)
class Timing:
    """Seconds per call, one sample per round; a sample is the mean over `calls` calls in a row.

    Attributes:
        cpu_seconds: What the whole process computed per second of these samples: how many threads were at work. 0 if
            no time passed.
    """

    samples: tuple[float, ...]
    calls: int = 1
    cpu_seconds: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third quartile; both the sample itself if there is only one."""
        if len(self.samples) == 1:
            return self.samples[0], self.samples[0]
        first, _, third = statistics.quantiles(self.samples, n=4, method="inclusive")
        return first, third

    @property
    def best(self) -> float:
        return min(self.samples)

    @property
    def noisy(self) -> bool:
        """Whether the middle half of the samples spreads over more than `NOISY_SPREAD` of the median."""
        first, third = self.quartiles
        return third - first > NOISY_SPREAD * self.median


def measure(
    callables: Mapping[str, Callable[[], object]],
    *,
    min_time: float = 0.15,
    rounds: int = 15,
    max_time: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
    before_sample: Callable[[], object] | None = None,
    on_sample: Callable[[str], None] | None = None,
) -> dict[str, Timing]:
    """Time several callables against each other.

    Args:
        callables: What to time, by name; each is called without arguments.
        min_time: Seconds to spend on each callable, at least; short calls are repeated within a round to fill it.
        rounds: Samples per callable, if `max_time` allows as many.
        max_time: Most seconds to spend on one callable, beyond its warm-up call; None for three times `min_time`. A
            callable too slow for `rounds` samples takes part in fewer rounds, spread evenly over the run; one whose
            first two calls each took longer than this is not called again: the second is its only sample.
        clock: Seconds; for tests.
        cpu_clock: Seconds of all CPUs that the process used; for tests.
        before_sample: Called before each sample, outside the clock: to wait until others' threads are quiet.
        on_sample: Called with the name after each sample, outside the clock.
    Returns:
        A timing per name, in the order given.
    Raises:
        ValueError: If `min_time` is not positive or `rounds` is below 1.
    """
    if not min_time > 0:
        raise ValueError(f"min_time: got {min_time}, expected more than 0 seconds")
    if rounds < 1:
        raise ValueError(f"rounds: got {rounds}, expected at least 1")
    limit = 3 * min_time if max_time is None else max_time

    def sample(name: str, calls: int, *, warm: bool) -> float:
        function = callables[name]
        if before_sample is not None:
            before_sample()
        if warm:
            function()  # brings its data back into the caches, as it would find them between calls in a row
        cpu_start, start = cpu_clock(), clock()
        for _ in range(calls):
            function()
        passed = clock() - start
        busy[name], walls[name] = cpu_clock() - cpu_start + busy[name], passed + walls[name]
        return passed / calls

    calls: dict[str, int] = {}
    turns: dict[str, int] = {}
    samples: dict[str, list[float]] = {}
    busy, walls = dict.fromkeys(callables, 0.0), dict.fromkeys(callables, 0.0)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for name in callables:
            first = sample(name, 1, warm=False)
            samples[name], calls[name], turns[name] = [], 1, 0
            # The warm-up call pays for what is done once: packing, page faults, thread starts. What it says is asked a
            # second time where it decides: of short calls how many make a sample, of long ones whether there are more.
            if first > limit:
                busy[name] = walls[name] = 0.0
                first = sample(name, 1, warm=False)
                if first > limit:
                    samples[name].append(first)
                    if on_sample is not None:
                        on_sample(name)
                    continue
            once = max(min(first, sample(name, 1, warm=False)) if first < min_time / rounds else first, 1e-9)
            busy[name] = walls[name] = 0.0
            calls[name] = max(1, math.ceil(min_time / rounds / once))
            turns[name] = min(rounds, max(1, int(limit / (once * calls[name]))))

        last_round = max(turns.values(), default=0)
        for turn in range(last_round):
            order = list(callables)[:: 1 if turn % 2 == 0 else -1]
            for name in order:
                due = (turn + 1) * turns[name] // last_round > turn * turns[name] // last_round
                if due:
                    warm = calls[name] > 1 or before_sample is not None  # after a wait, caches and threads are cold
                    samples[name].append(sample(name, calls[name], warm=warm))
                    if on_sample is not None:
                        on_sample(name)
    finally:
        if collecting:
            gc.enable()
    return {
        name: Timing(tuple(samples[name]), calls[name], busy[name] / walls[name] if walls[name] > 0 else 0.0)
        for name in callables
    }
