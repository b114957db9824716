"""What drawings of the command share; and that of a comparison: time and memory over kernel size, on log scales."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastconv.bench.compare import Row
from fastconv.bench.texts import path_text
from fastconv.cli import output
from fastconv.cli.compare_report import Part
from fastconv.study.drawing import COLOURS, MARKERS, OTHERS, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FLOOR_KIB = 4.0  # a page; what takes less is drawn here, since a log scale has no zero


def obstacle(path: Path) -> str | None:
    """Why nothing can be drawn to `path`, or None: to be known before minutes of measuring."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    kinds = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in kinds:
        return f"expected a file name ending in .png or another of {', '.join(sorted(kinds))}, got {path_text(path)!r}"
    return output.obstacle(path)


def new_figure(rows: int, columns: int, *, height: float, sharey: bool = False) -> tuple[Figure, Any]:
    """A figure of 12 inches times `height`, and its axes as a (rows, columns) array; for :func:`save`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, height), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, sharey=sharey)


def save(figure: Figure, path: Path) -> None:
    """Write it, and say on standard error where."""
    figure.savefig(path)
    print(f"drawn: {path_text(path)}", file=sys.stderr)


def draw(path: Path, parts: Sequence[Part], subtitle: str) -> None:
    """Draw a row per part: time left, memory right.

    Args:
        path: Where to write; the suffix decides the format.
        parts: Studies by ascending kernel size.
        subtitle: What was measured, with what.
    Raises:
        OSError: The file cannot be written.
    """
    from matplotlib.lines import Line2D

    styles = _styles(parts)
    figure, axes = new_figure(len(parts), 2, height=1.3 + 3.6 * len(parts))
    for part, (left, right) in zip(parts, axes, strict=True):
        for name, style in styles.items():
            rows = [next((row for row in study.rows if row.name == name), None) for study in part.studies]
            _draw_time(left, rows, style)
            _draw_memory(right, rows, style)
        for axis in (left, right):
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_xticks(range(len(part.studies)), [study.layer.name for study in part.studies])
            axis.set_xlim(-0.4, len(part.studies) - 0.6)
            axis.set_xlabel("kernel size, pixels")
            axis.grid(which="major", color="#dddddd")
            axis.set_axisbelow(True)
        left.set_ylabel("time per call, ms (median, quartiles)")
        left.set_title(part.title, loc="left", fontsize=10, fontweight="bold")
        right.set_ylabel("memory beyond tensors, KiB")
        right.set_title(
            f"markers: measured peak; bars: stated workspace + packed weights; lowest: {_FLOOR_KIB:.0f} KiB or less",
            loc="left",
            fontsize=8,
        )
        right.set_ylim(_FLOOR_KIB * 0.6, max(right.get_ylim()[1], 1024.0))
    legend = [
        Line2D([], [], color=style.colour, marker=style.marker, linestyle=style.line, label=name)
        for name, style in styles.items()
    ]
    figure.suptitle(subtitle, fontsize=9)
    figure.legend(handles=legend, loc="outside lower center", ncols=min(5, len(legend)), frameon=False)
    save(figure, path)


def _styles(parts: Sequence[Part]) -> dict[str, Style]:
    """Per row that was measured anywhere: solid for algorithms, dashed for the rest."""
    rows = [row for part in parts for study in part.studies for row in study.rows]
    # Refused or not, an algorithm has its place in the palette: the same colour in every drawing.
    algorithms = list(dict.fromkeys(row.name for row in rows if row.kind == "algorithm"))
    others = list(dict.fromkeys(row.name for row in rows if row.kind != "algorithm"))
    styles = {
        name: Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], "-") for i, name in enumerate(algorithms)
    }
    styles |= {name: Style(*OTHERS[i % len(OTHERS)], "--") for i, name in enumerate(others)}
    measured = {row.name for row in rows if row.status == "measured"}
    return {name: style for name, style in styles.items() if name in measured}


def _draw_time(axis: Axes, rows: Sequence[Row | None], style: Style) -> None:
    points = [
        (x, row.time_median_us, row.time_first_quartile_us, row.time_third_quartile_us)
        for x, row in enumerate(rows)
        if row is not None
    ]
    curve = [
        (x, median / 1e3, (median - first) / 1e3, (third - median) / 1e3)
        for x, median, first, third in points
        if median is not None and first is not None and third is not None
    ]
    if curve:
        xs, medians, below, above = zip(*curve, strict=True)
        axis.errorbar(
            xs,
            medians,
            yerr=(below, above),
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            markersize=5,
            capsize=2,
            linewidth=1.3,
        )


def _draw_memory(axis: Axes, rows: Sequence[Row | None], style: Style) -> None:
    def kib(count: int) -> float:
        return max(count / 1024, _FLOOR_KIB)

    present = [(x, row) for x, row in enumerate(rows) if row is not None]
    measured = [(x, kib(row.peak_memory_bytes)) for x, row in present if row.peak_memory_bytes is not None]
    stated = [
        (x, kib(row.workspace_bytes + row.packed_weight_bytes))
        for x, row in present
        if row.workspace_bytes is not None and row.packed_weight_bytes is not None
    ]
    if measured:
        axis.plot(
            *zip(*measured, strict=True),
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            markersize=5,
            linewidth=1.0,
        )
    if stated:
        axis.plot(*zip(*stated, strict=True), color=style.colour, marker="_", linestyle="", markersize=16, alpha=0.8)
