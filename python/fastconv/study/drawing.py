"""Drawings for a page of any colour: matplotlib's SVG, its colours replaced by the page's variables."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fastconv import _core

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart with any kind of colour vision; markers and dashes tell them apart in print.
# Source: M. Okabe, K. Ito, "Color Universal Design", 2008.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
OTHERS = (("#666666", "<"), ("#AAAAAA", ">"), ("#888888", "*"), ("#666666", "p"), ("#AAAAAA", "h"), ("#888888", "8"))

# Stand-ins that no drawing uses otherwise: text and lines take the colour of the page's text, grids a paler one.
INK, GRID = "#010203", "#040506"

WIDTH = 4.9  # inches: on a screen of 400 px a 9 pt letter is 9 px high, and two drawings fit beside each other on 1400


class Style(NamedTuple):
    """How a curve looks."""

    colour: str
    marker: str
    line: Literal["-", "--"] = "-"


def style_of(algorithm: str) -> Style:
    """The same for an algorithm in every drawing."""
    place = _core.algorithms().index(algorithm)
    if place < len(COLOURS):
        return Style(COLOURS[place], MARKERS[place])
    return Style(*OTHERS[(place - len(COLOURS)) % len(OTHERS)], "--")


def draw(name: str, paint: Callable[[Axes], None], height: float = 3.4) -> str:
    """One drawing as SVG.

    Args:
        name: Unique on the page: prefix of the drawing's ids.
        paint: Draws on the axes and labels them.
        height: In inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",  # letters stay letters: to be found, read aloud, and drawn in the page's font
        "svg.hashsalt": "fastconv",  # the same drawing has the same bytes
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 9,
        "legend.fontsize": 8,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
        "grid.color": GRID,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "legend.facecolor": "none",
        "legend.edgecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        paint(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(text.getvalue(), name)


def _for_page(svg: str, name: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    svg = svg.replace(INK, "currentColor").replace(GRID, "var(--grid)")
    for place, colour in enumerate(COLOURS):
        svg = svg.replace(colour.lower(), f"var(--c{place})")
    return svg


def curve(axes: Axes, points: Iterable[tuple[float, float]], style: Style, label: str) -> None:
    """A line with markers."""
    xs, ys = zip(*points, strict=True)
    axes.plot(
        xs, ys, color=style.colour, marker=style.marker, linestyle=style.line, markersize=4, linewidth=1.3, label=label
    )


def finish(
    axes: Axes,
    *,
    x: str,
    y: str,
    title: str = "",
    log: str = "",
    legend: Literal["inside", "above", "none"] = "inside",
    ticks: Iterable[float] = (),
) -> None:
    """Label the axes, draw the grid and the legend.

    Args:
        x, y: Labels with units.
        log: Axes on a logarithmic scale: "x", "y" or "xy".
        legend: "above" the axes where marks may lie everywhere inside.
        ticks: Where the x axis has its numbers; as matplotlib likes if empty.
    """
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title, loc="left")
    for axis in log:
        getattr(axes, f"set_{axis}scale")("log")
        _number_log_axis(axes, axis)
    if marks := list(ticks):
        axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
        axes.set_xticks([], minor=True)
    axes.grid(which="major", linewidth=0.6)
    if legend == "inside":
        axes.legend(loc="best", handlelength=1.8)
    elif legend == "above":
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, handlelength=1.2, columnspacing=1.2)


def _number_log_axis(axes: Axes, name: str) -> None:
    """Plain numbers at 1, 2 and 5 of each decade where there are few decades, else matplotlib's powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = getattr(axes, f"get_{name}lim")()
    axis = getattr(axes, f"{name}axis")
    axis.set_minor_formatter(NullFormatter())
    if high / low < 500:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")


def grouped_bars(axes: Axes, names: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]]) -> None:
    """Horizontal bars: a group per name, top to bottom, a colour per series; a line at 1."""
    height = 0.8 / len(series)
    for i, (label, values) in enumerate(series):
        at = [n + (i - (len(series) - 1) / 2) * height for n in range(len(names))]
        shown = [(y, value) for y, value in zip(at, values, strict=True) if value is not None]
        axes.barh(
            [y for y, _ in shown], [value for _, value in shown], height=height * 0.92, color=COLOURS[i], label=label
        )
    axes.set_yticks(range(len(names)), list(names))
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(series), handlelength=1.8)
