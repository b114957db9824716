"""What ``fastconv bench`` writes: a run as JSON and as CSV."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fastconv.bench.peak import Bandwidth
from fastconv.bench.peers.outcome import Entry, Outcome, Summary, auto_summary, summaries


@dataclass(frozen=True)
class Record:
    """A run.

    Attributes:
        origin: Machine, versions and options.
        versions: Of the engines that took part.
        missing: From an engine that did not to the module it lacks.
    """

    origin: dict[str, Any]
    versions: dict[str, str]
    missing: dict[str, str]
    bandwidths: list[Bandwidth]
    outcomes: list[Outcome]

    @property
    def summaries(self) -> list[Summary]:
        return summaries(self.outcomes)

    @property
    def auto(self) -> Summary | None:
        """How close "auto" came to the best algorithm, if they were timed one by one."""
        return auto_summary(self.outcomes)


def data(record: Record) -> dict[str, Any]:
    """Everything, for JSON; seconds and microseconds are said in the names."""
    return {
        **record.origin,
        "engines": record.versions,
        "engines_missing": record.missing,
        "bandwidth": [asdict(level) for level in record.bandwidths],
        "layers": [_layer_data(outcome) for outcome in record.outcomes],
        "classes": [asdict(summary) for summary in record.summaries],
        "auto": None if record.auto is None else asdict(record.auto),
    }


def _layer_data(outcome: Outcome) -> dict[str, Any]:
    return {
        **asdict(outcome.case.layer),
        **_figures(outcome),
        "entries": [_entry_data(entry) for entry in outcome.entries.values()],
    }


def _figures(outcome: Outcome) -> dict[str, Any]:
    best, algorithm = outcome.best_peer, outcome.best_algorithm
    return {
        "multiply_adds": outcome.case.layer.problem().multiply_adds,
        "peak_gflop_per_s": outcome.peak_gflops,
        "limit_us": outcome.limit.seconds * 1e6,
        "limit_arithmetic_us": outcome.limit.arithmetic_seconds * 1e6,
        "limit_memory_us": outcome.limit.memory_seconds * 1e6,
        "limit_level": outcome.limit.level,
        "fastconv_us": None if outcome.own is None else outcome.own.median * 1e6,
        "fastconv_gflop_per_s": outcome.gflops,
        "share_of_peak": outcome.share_of_peak,
        "share_of_limit": outcome.share_of_limit,
        "best_peer": None if best is None else best[0],
        "best_peer_us": None if best is None else best[1].median * 1e6,
        "ratio": outcome.ratio,
        "best_algorithm": None if algorithm is None else algorithm[0],
        "auto_share": outcome.auto_share,
        "noisy": outcome.noisy,
    }


def _entry_data(entry: Entry) -> dict[str, Any]:
    timing = entry.timing
    first, third = (None, None) if timing is None else timing.quartiles
    return {
        "engine": entry.engine,
        "status": entry.status,
        "reason": entry.reason,
        "eligible": entry.eligible,
        "max_error_over_max": None if entry.error is None or entry.error != entry.error else entry.error,
        "detail": entry.detail,
        "stated_memory_bytes": entry.stated_memory_bytes,
        "peak_memory_bytes": entry.peak_memory_bytes,
        "time_median_us": None if timing is None else timing.median * 1e6,
        "time_first_quartile_us": None if first is None else first * 1e6,
        "time_third_quartile_us": None if third is None else third * 1e6,
        "time_best_us": None if timing is None else timing.best * 1e6,
        "samples": 0 if timing is None else len(timing.samples),
        "calls_per_sample": 0 if timing is None else timing.calls,
        "noisy": timing is not None and timing.noisy,
        "cpu_seconds_per_second": None if timing is None else timing.cpu_seconds,
    }


def csv_rows(record: Record) -> list[dict[str, Any]]:
    """A row per layer and engine."""
    shared = {name: value for name, value in record.origin.items() if name not in ("argv", "seconds")}
    return [
        {
            "layer": outcome.case.layer.name,
            "class": outcome.case.layer.kind,
            **_entry_data(entry),
            "engine_version": record.versions[entry.engine],
            **_figures(outcome),
            **shared,
        }
        for outcome in record.outcomes
        for entry in outcome.entries.values()
    ]
