"""What came out: an entry per engine, the ratio to the best peer, and geometric means of ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fastconv.bench.measure import Timing
from fastconv.bench.peers.case import Case
from fastconv.bench.peers.limits import Limit
from fastconv.bench.peers.own import OWN, PLAIN_CALL


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
        stated_memory_bytes: Of fastconv, exact: beside images, weights and outputs.
        peak_memory_bytes: What a fresh process grew by beside them; None if not measured.
    """

    engine: str
    status: str = "measured"
    reason: str | None = None
    eligible: bool = False
    error: float | None = None
    timing: Timing | None = None
    detail: str = ""
    stated_memory_bytes: int | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """All engines on one layer, in the order they were given.

    Attributes:
        peak_gflops: The best FMA peak among the turns.
    """

    case: Case
    peak_gflops: float
    limit: Limit
    entries: dict[str, Entry]

    @property
    def own(self) -> Timing | None:
        """The timing of fastconv with `algorithm="auto"`."""
        entry = self.entries.get(OWN)
        return None if entry is None else entry.timing

    def best(self, names: Iterable[str]) -> tuple[str, Timing] | None:
        """Name and timing of the fastest eligible engine among `names`, by median; None if there is none."""
        timings = {
            name: entry.timing for name in names if (entry := self.entries[name]).eligible and entry.timing is not None
        }
        return min(timings.items(), key=lambda item: item[1].median, default=None)

    @property
    def best_peer(self) -> tuple[str, Timing] | None:
        """The fastest eligible engine that is not fastconv."""
        return self.best(name for name in self.entries if not name.startswith(OWN))

    @property
    def best_algorithm(self) -> tuple[str, Timing] | None:
        """The fastest of fastconv's algorithms that were timed one by one, weights packed beforehand."""
        return self.best(
            name for name in self.entries if name.startswith(OWN) and name != OWN and not name.endswith(PLAIN_CALL)
        )

    @property
    def ratio(self) -> float | None:
        """The best peer's median over fastconv's: above 1, fastconv is faster."""
        return self._over_own(self.best_peer)

    @property
    def auto_share(self) -> float | None:
        """The best algorithm's median over that of "auto": 1 if the choice was the best one."""
        return self._over_own(self.best_algorithm)

    def _over_own(self, best: tuple[str, Timing] | None) -> float | None:
        return None if best is None or self.own is None else best[1].median / self.own.median

    @property
    def gflops(self) -> float | None:
        """Of fastconv, all taps counted, those in the padding too."""
        multiply_adds = self.case.layer.problem().multiply_adds
        return None if self.own is None else 2 * multiply_adds / self.own.median / 1e9

    @property
    def share_of_peak(self) -> float | None:
        return None if self.gflops is None else self.gflops / self.peak_gflops

    @property
    def share_of_limit(self) -> float | None:
        return None if self.own is None else self.limit.seconds / self.own.median

    @property
    def noisy(self) -> bool:
        """Whether fastconv's timing or the best peer's is."""
        return any(timing.noisy for timing in (self.own, self.best_peer and self.best_peer[1]) if timing)


@dataclass(frozen=True)
class Summary:
    """Ratios of a group of layers.

    Attributes:
        layers: How many have a ratio.
        noisy: How many of them are noisy.
        worst_layer: Whose ratio is lowest.
        share_of_peak, share_of_limit: Geometric means of fastconv's.
    """

    group: str
    layers: int
    noisy: int
    geometric_mean: float
    worst: float
    worst_layer: str
    share_of_peak: float
    share_of_limit: float


def geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def summarise(group: str, outcomes: Sequence[Outcome], ratios: Mapping[str, float | None]) -> Summary | None:
    """Geometric mean and worst of the ratios per layer; None if no layer has one."""
    known = {name: value for name, value in ratios.items() if value is not None}
    if not known:
        return None
    worst = min(known, key=known.__getitem__)
    members = [outcome for outcome in outcomes if outcome.case.layer.name in known]
    return Summary(
        group=group,
        layers=len(known),
        noisy=sum(outcome.noisy for outcome in members),
        geometric_mean=geometric_mean(known.values()),
        worst=known[worst],
        worst_layer=worst,
        share_of_peak=geometric_mean(outcome.share_of_peak or 1.0 for outcome in members),
        share_of_limit=geometric_mean(outcome.share_of_limit or 1.0 for outcome in members),
    )


def summaries(outcomes: Sequence[Outcome]) -> list[Summary]:
    """The ratios to the best peer: one summary per class of layers, in the order they come, then one of all."""
    groups = {
        kind: [o for o in outcomes if o.case.layer.kind == kind] for kind in (o.case.layer.kind for o in outcomes)
    }
    found = (
        summarise(name, members, {outcome.case.layer.name: outcome.ratio for outcome in members})
        for name, members in [*groups.items(), ("all", list(outcomes))]
    )
    return [summary for summary in found if summary is not None]


def auto_summary(outcomes: Sequence[Outcome]) -> Summary | None:
    """How close "auto" comes to the best algorithm; None if they were not timed one by one."""
    return summarise("auto", outcomes, {outcome.case.layer.name: outcome.auto_share for outcome in outcomes})
