"""Two runs of ``fastconv bench --json`` against each other: what changed beyond the noise.

Two runs see the machine in two states: clock rate and neighbours differ. What both runs contain beside the engine in
question says by how much: the other engines on the same layer, else the FMA peak that was measured among the turns.
Times of the later run are divided by that drift before they are compared.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastconv import _core

LEAST = 0.03
"""Quartiles that lie apart by less than this share count as the same."""


@dataclass(frozen=True)
class Change:
    """One engine on one layer in both runs.

    Attributes:
        drift: By how much the machine was slower in the later run, on this layer.
        factor: Later median over earlier one, drift taken out: below 1 is faster.
        verdict: "faster", "slower", or "same": the quartile ranges meet.
        noisy: Whether either timing is.
    """

    layer: str
    engine: str
    before_us: float
    after_us: float
    drift: float
    factor: float
    verdict: str
    noisy: bool


@dataclass(frozen=True)
class Difference:
    """All that both runs have, and what only one has.

    Attributes:
        factor: Geometric mean of the factors of the engine in question.
        only_before, only_after: Layers.
        unlike: Settings that differ, with both values: they may be what changed.
    """

    engine: str
    changes: tuple[Change, ...]
    factor: float
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    unlike: dict[str, tuple[Any, Any]]


_SETTINGS = ("cpu", "isa", "threads", "dtype", "layout", "bias", "compiler", "numpy_version", "fastconv_version")


def difference(before: Mapping[str, Any], after: Mapping[str, Any], engine: str = "fastconv") -> Difference:
    """Compare two runs.

    Args:
        before, after: As ``fastconv bench --json`` writes them.
        engine: Whose times are compared; its algorithms, such as "fastconv direct", are engines of their own.
    Raises:
        ValueError: One of them is no such record, or has no times of the engine.
    """
    earlier, later = _layers(before, "before"), _layers(after, "after")
    changes = [
        _change(name, engine, earlier[name], later[name])
        for name in earlier
        if name in later and all(engine in _timed(layer) for layer in (earlier[name], later[name]))
    ]
    if not changes:
        raise ValueError(f"engine: no layer has a time of {engine!r} in both runs")
    return Difference(
        engine=engine,
        changes=tuple(changes),
        factor=math.exp(statistics.fmean(math.log(change.factor) for change in changes)),
        only_before=_without(earlier, later),
        only_after=_without(later, earlier),
        unlike={name: (before.get(name), after.get(name)) for name in _SETTINGS if before.get(name) != after.get(name)},
    )


_FIGURE = (1e-9, 1e18)
"""Between these lies every time and rate that was measured; their quotients are finite."""

_TIMES = ("time_median_us", "time_first_quartile_us", "time_third_quartile_us")


class _Unlike(Exception):
    """A record is not what ``fastconv bench --json`` writes; the text says where and why."""


def _layers(record: Any, which: str) -> dict[str, dict[str, Any]]:
    """The layers by name, once all that is read of them later is known to be there."""
    try:
        for at, layer in _items("", record, "layers"):
            _field(at, layer, "name", str)
            _field(at, layer, "peak_gflop_per_s", float)
            for where, entry in _items(f"{at}.", layer, "entries"):
                _field(where, entry, "engine", str)
                if _field(where, entry, "time_median_us", float, optional=True) is not None:
                    for name in _TIMES:
                        _field(where, entry, name, float)
                    _field(where, entry, "noisy", bool)
    except _Unlike as error:
        own = _core.build_info()["version"]
        version = record.get("fastconv_version", own) if isinstance(record, dict) else own
        wrote = "" if version == own else f" (fastconv {version} wrote it, this is {own})"
        raise ValueError(f"{which}: expected what fastconv bench --json writes, but {error}{wrote}") from None
    return {layer["name"]: layer for layer in record["layers"]}


def _items(at: str, holder: Any, name: str) -> Iterator[tuple[str, Any]]:
    for number, item in enumerate(_field(at.removesuffix("."), holder, name, list)):
        yield f"{at}{name}[{number}]", item


def _field(at: str, holder: Any, name: str, kind: type, *, optional: bool = False) -> Any:
    """The value, checked: a list, a text, a bool, or as `float` a positive number."""
    if not isinstance(holder, dict):
        raise _Unlike(f"{at or 'the whole'} is no object")
    place = f"{at}.{name}".removeprefix(".")
    if name not in holder:
        raise _Unlike(f"{place} is missing")
    value = holder[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    right = is_number and _FIGURE[0] < value < _FIGURE[1] if kind is float else isinstance(value, kind)
    if not right and not (optional and value is None):
        expected = {float: "a number above 0", str: "a text", list: "a list", bool: "true or false"}[kind]
        raise _Unlike(f"{place} is not {expected}")
    return value


def _without(layers: Iterable[str], others: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in layers if name not in others)


def _timed(layer: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["engine"]: entry for entry in layer["entries"] if entry["time_median_us"] is not None}


def _change(name: str, engine: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    drift = _drift(engine, before, after)
    old, new = _timed(before)[engine], _timed(after)[engine]
    verdict = "same"
    if new["time_first_quartile_us"] / drift > old["time_third_quartile_us"] * (1 + LEAST):
        verdict = "slower"
    elif new["time_third_quartile_us"] / drift < old["time_first_quartile_us"] / (1 + LEAST):
        verdict = "faster"
    return Change(
        layer=name,
        engine=engine,
        before_us=old["time_median_us"],
        after_us=new["time_median_us"],
        drift=drift,
        factor=new["time_median_us"] / drift / old["time_median_us"],
        verdict=verdict,
        noisy=old["noisy"] or new["noisy"],
    )


def _drift(engine: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """The median over other packages' engines; without any, what the FMA peak says."""
    own, old, new = engine.split()[0], _timed(before), _timed(after)
    others: Sequence[float] = [
        new[name]["time_median_us"] / old[name]["time_median_us"]
        for name in old
        if name in new and name.split()[0] != own
    ]
    if others:
        return statistics.median(others)
    return float(before["peak_gflop_per_s"] / after["peak_gflop_per_s"])
