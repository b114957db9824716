"""Section: one large kernel against a stack of 3x3 that sees as much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from fastconv.bench.alternatives import as_is, stack
from fastconv.bench.layers import NamedLayer, square
from fastconv.study import drawing, markup
from fastconv.study.contests import CELLS, COLUMNS, chain_job, geometric_mean
from fastconv.study.section import Job, Scale, Section
from fastconv.study.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KERNELS = (5, 7, 11)
_EXTENTS = ((64, 56), (256, 14), (16, 112))  # channels, size


def _job(layer: NamedLayer, scale: Scale) -> Job:
    chains = [chain for chain in (as_is(layer), stack(layer)) if chain is not None]
    return chain_job(layer.name, chains, scale)


def _jobs(scale: Scale) -> Sequence[Job]:
    extents = scale.pick(tiny=((4, 12),), quick=_EXTENTS[:2], full=_EXTENTS)
    return [
        _job(square(f"{k}x{k}, {C} channels @{size}", C, size, C, k), scale) for C, size in extents for k in KERNELS
    ]


def _find(measured: Mapping[str, Any]) -> dict[str, Any]:
    shares = {name: result["rows"][1]["against_first"] for name, result in measured.items()}
    gains = {name: 1 / share["time"] for name, share in shares.items()}
    return {
        "multiply_adds": geometric_mean(share["multiply_adds"] for share in shares.values()),
        "faster": geometric_mean(gains.values()),
        "best": max(gains.values()),
        "best_layer": max(gains, key=gains.__getitem__),
        "least": min(gains.values()),
        "least_layer": min(gains, key=gains.__getitem__),
        "stacks_faster": sum(gain > 1 for gain in gains.values()),
        "stacks": len(gains),
        "memory": geometric_mean(share["peak_memory"] or share["stated_memory"] for share in shares.values()),
    }


def _write(shown: Shown) -> Iterator[str]:
    yield markup.finding(
        f"Stacks of 3×3 with the same receptive field take {shown.fewer('found', 'multiply_adds')} multiply-adds "
        "(geometric "
        f"mean) and are faster in {shown('count', 'found', 'stacks_faster')} of {shown('count', 'found', 'stacks')} "
        "cases: on "
        f"average {shown.faster('found', 'faster')} the one kernel, at best {shown.faster('found', 'best')} it "
        f"({shown('plain', 'found', 'best_layer')}), at least {shown.faster('found', 'least')} it "
        f"({shown('plain', 'found', 'least_layer')}).",
        f"Their memory beyond input, weights and output, maps between the layers included, is "
        f"{shown('ratio', 'found', 'memory')} times that of the one kernel.",
    )
    yield markup.figures(
        markup.figure(
            "stacks",
            drawing.draw("stacks", partial(_paint, shown), 0.7 + 0.5 * len(shown.measured)),
            "A stack of 3×3 over the one kernel it replaces: below 1 the stack is cheaper. A saving on paper is a "
            "saving "
            "on the clock where both bars end alike.",
        )
    )
    yield markup.table(
        COLUMNS,
        (
            [
                f"*{escape(name)}" if i == 0 else CELLS[0](shown, "measured", name, "rows", i),
                *(cell(shown, "measured", name, "rows", i) for cell in CELLS[1:]),
            ]
            for name, result in shown.measured.items()
            for i in range(len(result["rows"]))
        ),
        "Memory: packed weights, workspace and maps between the layers. Measured: growth of a fresh process.",
    )


def _paint(shown: Shown, axes: Axes) -> None:
    shares = [result["rows"][1]["against_first"] for result in shown.measured.values()]
    series = [
        ("multiply-adds, weights", [share["multiply_adds"] for share in shares]),
        ("time", [share["time"] for share in shares]),
    ]
    drawing.grouped_bars(axes, list(shown.measured), series)
    drawing.finish(axes, x="share of the one kernel's", y="", legend="none")
    axes.grid(visible=False, axis="y")


SECTION = Section(
    "stacks",
    "Stacks of 3×3",
    "One 5×5 against two 3×3, 7×7 against three, 11×11 against five: what is saved on paper, and what on the clock?",
    _jobs,
    _find,
    _write,
)
