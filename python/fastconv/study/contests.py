"""What the sections on stacks and factorisations share: a contest of chains against the first of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from fastconv.bench.chain import Chain, ChainRow, measure_chains
from fastconv.study import markup
from fastconv.study.section import Job, Say, Scale
from fastconv.study.shown import Shown


def chain_job(name: str, chains: Sequence[Chain], scale: Scale, note: str = "") -> Job:
    """Time chains against each other; the result has a row per chain, each with its shares of the first one."""
    return Job(name, partial(_contest, chains, scale, note), effort=1.5 * len(chains))


def _contest(chains: Sequence[Chain], scale: Scale, note: str, say: Say) -> dict[str, Any]:
    rows = measure_chains(chains, min_time=scale.min_time, rounds=scale.rounds, memory=scale.memory, on_step=say)
    first = rows[0]
    shape = " × ".join(map(str, chains[0].input_shape[1:]))
    return {"input": shape, "note": note, "rows": [_against(row, first) for row in rows]}


def _against(row: ChainRow, first: ChainRow) -> dict[str, Any]:
    """The row, and its shares of the first: below 1 where it takes less."""
    peaks = row.peak_memory_bytes, first.peak_memory_bytes
    shares = {
        "weights": row.weights / first.weights,
        "multiply_adds": row.multiply_adds / first.multiply_adds,
        "time": row.time_median_us / first.time_median_us,
        "stated_memory": row.stated_bytes / max(first.stated_bytes, 1),
        "peak_memory": peaks[0] / peaks[1] if peaks[0] and peaks[1] else None,
    }
    return {**asdict(row), "stated_memory_bytes": row.stated_bytes, "against_first": shares}


def geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))


COLUMNS = (
    "<instead",
    "weights",
    "multiply-adds",
    "left",
    "field",
    "time",
    "left",
    "memory",
    "measured",
    "<by",
)
"""What is left is left of the first row's."""


def _names(shown: Shown, *at: str | int) -> str:
    return f"{shown('plain', *at, 'name')} {markup.source(shown.value(*at, 'source'))}"


def _algorithms(shown: Shown, *at: str | int) -> str:
    return ",<br>".join(dict.fromkeys(shown.value(*at, "algorithms")))


CELLS: tuple[Callable[..., str], ...] = (
    _names,
    lambda shown, *at: shown("count", *at, "weights"),
    lambda shown, *at: shown("quantity", *at, "multiply_adds"),
    lambda shown, *at: shown("percent", *at, "against_first", "multiply_adds"),
    lambda shown, *at: shown("pixels", *at, "receptive_field"),
    lambda shown, *at: shown("time", *at, "time_median_us") + "?" * shown.value(*at, "noisy"),
    lambda shown, *at: shown("percent", *at, "against_first", "time"),
    lambda shown, *at: shown("bytes", *at, "stated_memory_bytes"),
    lambda shown, *at: shown("growth", *at, "peak_memory_bytes"),
    _algorithms,
)
"""A cell per column from a row's path."""
