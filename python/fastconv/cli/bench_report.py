"""What ``fastconv bench`` shows: tables, in the terminal or as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fastconv.bench import texts
from fastconv.bench.measure import Timing
from fastconv.bench.peers.outcome import Outcome, Summary
from fastconv.bench.peers.own import OWN, PLAIN_CALL
from fastconv.cli import output
from fastconv.cli.bench_data import Record

if TYPE_CHECKING:
    from rich.console import RenderableType


_COLUMNS = ("<layer", "<algorithm", "ms", "<best peer", "ms", "ratio", "of peak", "of limit", "<by", "memory")
_SUMMARY_COLUMNS = ("<class", "layers", "mean", "worst", "<worst layer", "of peak", "of limit")


def _cells(outcome: Outcome) -> list[str]:
    own, best = outcome.own, outcome.best_peer
    entry = outcome.entries[OWN]
    mark = "?" * outcome.noisy
    return [
        outcome.case.layer.name,
        entry.detail if own is not None else f"{entry.status}: {entry.reason}",
        _milliseconds(own),
        best[0] if best is not None else "-",
        _milliseconds(best[1] if best is not None else None),
        _number(outcome.ratio, ".2f") + mark,
        _number(outcome.share_of_peak, ".0%"),
        _number(outcome.share_of_limit, ".0%"),
        outcome.limit.level if outcome.limit.is_memory else "FMA",
        texts.bytes_text(entry.stated_memory_bytes),
    ]


def _milliseconds(timing: Timing | None) -> str:
    return (
        "-"
        if timing is None
        else f"{timing.median * 1e3:.4f}"
        if timing.median < 1e-3
        else f"{timing.median * 1e3:.3f}"
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def title(origin: Mapping[str, Any]) -> str:
    """Machine and setting, in a line."""
    return (
        f"{origin['cpu']}, {origin['isa']}, threads: {origin['threads']}, {origin['dtype']}, {origin['layout']} in and "
        "out"
    )


def _tables(record: Record) -> Iterator[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Title, columns and rows of each table; a column whose name begins with "<" is text."""
    head = f"{title(record.origin)}; medians; ratio: best peer's time over fastconv's; ? is noisy"
    yield head, _COLUMNS, [_cells(outcome) for outcome in record.outcomes]
    if rows := [_summary_cells(summary) for summary in record.summaries]:
        yield "ratios per class of layers; means are geometric", _SUMMARY_COLUMNS, rows
    algorithms = [
        [o.case.layer.name, best[0].removeprefix(f"{OWN} "), _milliseconds(best[1]), _number(o.auto_share, ".3f")]
        for o in record.outcomes
        if (best := o.best_algorithm) is not None
    ]
    if algorithms and record.auto is not None:
        algorithms.append(["geometric mean", "", "", f"{record.auto.geometric_mean:.3f}"])
        yield "the best algorithm's time over that of auto", ("<layer", "<best algorithm", "ms", "ratio"), algorithms
    if plain := list(_plain_calls(record)):
        yield "conv2d(), weights packed at each call, over the same with weights packed beforehand", _PLAIN, plain
    yield "engines", ("<engine", "<version", "layers", "fastest", "CPUs", "<left out"), list(_engine_rows(record))
    if memories := list(_memories(record)):
        head = "peak memory of a fresh process beside images, weights and outputs; least of the peers"
        yield head, ("<layer", "stated", "fastconv", "<peer", "peer"), memories
    if ineligible := list(_notes(record)):
        yield "failed, or not counted as a peer", ("<layer", "<engine", "ms", "<why"), ineligible


_PLAIN = "<layer", "<engine", "<algorithm", "ms", "ratio"


def _plain_calls(record: Record) -> Iterator[list[str]]:
    for outcome in record.outcomes:
        for name, entry in outcome.entries.items():
            packed = outcome.entries[name.removesuffix(PLAIN_CALL).strip()].timing
            if name.endswith(PLAIN_CALL) and entry.timing is not None and packed is not None:
                ratio = f"{entry.timing.median / packed.median:.2f}" + "?" * (entry.timing.noisy or packed.noisy)
                yield [outcome.case.layer.name, name, entry.detail, _milliseconds(entry.timing), ratio]


def _memories(record: Record) -> Iterator[list[str]]:
    """Where it was measured."""
    for outcome in record.outcomes:
        own = outcome.entries[OWN]
        if own.peak_memory_bytes is None:
            continue
        peers = {
            name: entry.peak_memory_bytes
            for name, entry in outcome.entries.items()
            if not name.startswith(OWN) and entry.peak_memory_bytes is not None
        }
        least = min(peers, key=peers.__getitem__, default=None)
        yield [
            outcome.case.layer.name,
            texts.bytes_text(own.stated_memory_bytes),
            texts.bytes_text(own.peak_memory_bytes),
            least or "-",
            texts.bytes_text(None if least is None else peers[least]),
        ]


def _summary_cells(summary: Summary) -> list[str]:
    return [
        summary.group,
        f"{summary.layers}" + f" ({summary.noisy}?)" * (summary.noisy > 0),
        f"{summary.geometric_mean:.2f}",
        f"{summary.worst:.2f}",
        summary.worst_layer,
        f"{summary.share_of_peak:.0%}",
        f"{summary.share_of_limit:.0%}",
    ]


def _engine_rows(record: Record) -> Iterator[list[str]]:
    for name, version in record.versions.items():
        entries = [outcome.entries[name] for outcome in record.outcomes]
        timings = [entry.timing for entry in entries if entry.timing is not None]
        best = sum(outcome.best_peer is not None and outcome.best_peer[0] == name for outcome in record.outcomes)
        cpus = f"{statistics.median(timing.cpu_seconds for timing in timings):.2f}" if timings else "-"
        refused = [entry.reason for entry in entries if entry.status == "refused"]
        why = str(refused[0]) if len(set(refused)) == 1 else f"takes {len(entries) - len(refused)} of {len(entries)}"
        yield [name, version, str(len(timings)), str(best), cpus, why if refused else ""]
    for name, module in record.missing.items():
        yield [name, "-", "0", "0", "-", f"{module} is not installed"]


def _notes(record: Record) -> Iterator[list[str]]:
    for outcome in record.outcomes:
        for name, entry in outcome.entries.items():
            if entry.status == "failed" or (entry.status == "measured" and entry.reason is not None):
                yield [outcome.case.layer.name, name, _milliseconds(entry.timing), str(entry.reason)]


def show(record: Record) -> None:
    """Print the tables."""
    tables: list[RenderableType] = []
    for head, columns, rows in _tables(record):
        table = output.new_table(*columns, title=head)
        for row in rows:
            table.add_row(*row)
        tables += [table, ""]
    output.show(*tables[:-1])


def markdown(record: Record) -> str:
    """The tables as Markdown."""
    parts = []
    for head, columns, rows in _tables(record):
        rule = [":--" if column.startswith("<") else "--:" for column in columns]
        lines = [[column.removeprefix("<") for column in columns], rule, *rows]
        parts.append(f"{head}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(parts)
