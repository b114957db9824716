"""The drawing of ``fastconv bench``: per layer the ratio to the best peer, and the share of what the machine allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastconv.bench.peers.outcome import Outcome
from fastconv.cli.plot import new_figure, save
from fastconv.study.drawing import COLOURS, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.22  # inches a layer


def draw(path: Path, outcomes: Sequence[Outcome], subtitle: str) -> None:
    """Draw a row per layer: left the ratio, if any layer has one, right the share.

    What colours say, markers say too: faster or slower than the best peer, limited by arithmetic or by memory. Noisy
    rows are hollow.

    Args:
        path: Where to write; the suffix decides the format.
        outcomes: In the order of the table; the first one is drawn on top.
        subtitle: What was measured, with what.
    Raises:
        OSError: The file cannot be written.
    """
    ratios = any(outcome.ratio is not None for outcome in outcomes)
    figure, axes = new_figure(1, 1 + ratios, height=1.8 + _ROW * len(outcomes), sharey=True)
    row = list(axes[0])
    if ratios:
        _draw_ratios(row[0], outcomes)
    _draw_shares(row[-1], outcomes)
    row[0].set_yticks(range(len(outcomes)), [outcome.case.layer.name for outcome in outcomes], fontsize=8)
    row[0].set_ylim(len(outcomes) - 0.4, -0.6)
    for axis in row:
        axis.grid(axis="both", color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    row[0].set_ylabel("layer")
    figure.suptitle(subtitle, fontsize=9)
    save(figure, path)


def _draw_ratios(axis: Axes, outcomes: Sequence[Outcome]) -> None:
    """Points on a logarithmic axis, each with the peer's name beside it, away from the line at 1."""
    known = [(y, outcome.ratio, outcome) for y, outcome in enumerate(outcomes) if outcome.ratio is not None]
    for faster, label in ((True, "fastconv is faster"), (False, "the peer is faster")):
        rows = [(ratio, y, outcome.noisy) for y, ratio, outcome in known if (ratio >= 1) == faster]
        _points(axis, rows, 0 if faster else 1, label)
    for y, ratio, outcome in known:
        assert outcome.best_peer is not None
        axis.annotate(
            outcome.best_peer[0], (ratio, y), xytext=(6 if ratio >= 1 else -6, 0), textcoords="offset points",
            ha="left" if ratio >= 1 else "right", va="center", fontsize=7, color="#555555",
        )  # fmt: skip
    axis.set_xscale("log", base=2)
    low, high = min(ratio for _, ratio, _ in known), max(ratio for _, ratio, _ in known)
    low, high = min(low, 0.9), max(high, 1.1)
    room = max(1.5, (high / low) ** 0.35)  # for the names
    axis.set_xlim(low / (room if low < 0.9 else 1.1), high * room)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.axvline(1, color="black", linewidth=0.9)
    axis.set_xlabel("time of the best peer / time of fastconv (right of 1: fastconv is faster)")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8)


def _draw_shares(axis: Axes, outcomes: Sequence[Outcome]) -> None:
    known = [(y, outcome.share_of_limit, outcome) for y, outcome in enumerate(outcomes)]
    for is_memory, label in ((False, "limited by multiply-adds"), (True, "limited by memory")):
        rows = [
            (100 * share, y, outcome.noisy)
            for y, share, outcome in known
            if share is not None and outcome.limit.is_memory == is_memory
        ]
        _points(axis, rows, 1 if is_memory else 0, label)
    axis.set_xlim(left=0)
    axis.axvline(100, color="black", linewidth=0.9)
    axis.set_xlabel("share of the machine's limit, % (above 100: arithmetic was saved)")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8)


def _points(axis: Axes, rows: Sequence[tuple[float, int, bool]], style: int, label: str) -> None:
    """(x, y, noisy) each."""
    for noisy in (False, True):
        chosen = [(x, y) for x, y, is_noisy in rows if is_noisy == noisy]
        if chosen:
            axis.plot(
                *zip(*chosen, strict=True), linestyle="", marker=MARKERS[style], color=COLOURS[style], markersize=5,
                fillstyle="none" if noisy else "full", label=f"{label}, noisy" if noisy else label,
            )  # fmt: skip
