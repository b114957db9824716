"""Section: the fully connected layer that a convolution is, drawn, counted, and timed where it fits."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import _core
from fastconv.bench.layers import NamedLayer, square
from fastconv.bench.measure import measure
from fastconv.dense import dense_matrix, dense_structure
from fastconv.prepared import Conv2d
from fastconv.study import drawing, markup
from fastconv.study.drawing import COLOURS, MARKERS, Style
from fastconv.study.section import Job, Say, Scale, Section
from fastconv.study.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_IMAGE, _KERNEL = (1, 4, 4), (1, 1, 3, 3)

_LAYERS = (
    square("LeNet 1->6 @28 5x5", 1, 28, 6, 5),
    square("8->8 @16 3x3", 8, 16, 8, 3),
    square("4->8 @24 3x3", 4, 24, 8, 3),
    square("16->16 @16 3x3", 16, 16, 16, 3),
    square("ResNet-50 512->512 @7 3x3", 512, 7, 512, 3),
    square("ResNet-50 64->64 @56 3x3", 64, 56, 64, 3),
    square("VGG-16 64->64 @224 3x3", 64, 224, 64, 3),
)

# Sides of the image in the drawings; the weights of both are counted at all of them.
_SIDES = (6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 224)


def _family(side: int) -> NamedLayer:
    return square(f"8->8 @{side} 3x3", 8, side, 8, 3)


def _jobs(scale: Scale) -> Sequence[Job]:
    # A matrix of a GiB takes a second to make and a tenth to read once; `dense` refuses larger ones.
    limit: int = scale.pick(tiny=1 << 20, quick=1 << 28, full=1 << 30)
    layers: Sequence[NamedLayer] = scale.pick(tiny=_LAYERS[:2], quick=_LAYERS, full=_LAYERS)
    sides = scale.pick(tiny=_SIDES[:3], quick=_SIDES, full=_SIDES)
    return (
        Job("example", lambda say: _example(), 0.1),
        *(Job(f"layer {layer}", partial(_layer, layer, scale, limit), 2) for layer in layers),
        *(Job(f"side {side}", partial(_layer, _family(side), scale, min(limit, 1 << 28)), 1) for side in sides),
    )


def _example() -> dict[str, Any]:
    """Which weight, 1 to 9, stands where in the matrix; 0 for none."""
    numbered = np.arange(1.0, 10.0).reshape(_KERNEL)
    matrix = dense_matrix(numbered, _IMAGE)
    return {**dense_structure(_IMAGE, _KERNEL)._asdict(), "matrix": matrix.astype(int).tolist()}


def _layer(layer: NamedLayer, scale: Scale, limit: int, say: Say) -> dict[str, Any]:
    say(layer.name)
    problem = layer.problem()
    dense = math.prod(problem.output_shape[1:]) * math.prod(problem.input_shape[1:])
    x, w, y = layer.random_input(), layer.random_weight(), np.zeros(problem.output_shape, np.float32)
    fits = 4 * dense <= limit and _core.rejects("dense", problem) is None
    calls: dict[str, Callable[[], object]] = {
        name: partial(Conv2d(w, **layer.options, algorithm=name), x, out=y)
        for name in ("auto", *(["dense"] if fits else []))
    }
    timings = measure(calls, min_time=scale.min_time, rounds=scale.rounds, on_sample=say)
    return {
        "layer": layer.name,
        "side": layer.H,
        "convolution_weights": w.size,
        "dense_weights": dense,
        "convolution_bytes": 4 * w.size,
        "dense_bytes": 4 * dense,
        "convolution_multiply_adds": problem.multiply_adds,
        "dense_multiply_adds": dense,
        "zeros": dense_structure(layer.input_shape, layer.weight_shape, **layer.options).zeros / dense,
        "convolution_us": timings["auto"].median * 1e6,
        "dense_us": timings["dense"].median * 1e6 if fits else None,
        "noisy": any(timing.noisy for timing in timings.values()),
        "slower": timings["dense"].median / timings["auto"].median if fits else None,
        "memory_bytes": _memory(),
        "largest_side": _largest_side(layer, _memory()),
    }


def _memory() -> int:
    """Of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _largest_side(layer: NamedLayer, memory: int) -> int:
    """The largest square image whose dense matrix `memory` bytes hold."""
    side = 1
    while True:
        larger = replace(layer, H=side + 1, W=side + 1).problem()
        if 4 * math.prod(larger.output_shape[1:]) * math.prod(larger.input_shape[1:]) > memory:
            return side
        side += 1


def _find(measured: Mapping[str, Any]) -> dict[str, Any]:
    example = measured["example"]
    timed = {name: row["slower"] for name, row in measured.items() if row.get("slower") is not None}
    real = {name: row for name, row in measured.items() if name.startswith("layer ")}
    largest = max(real, key=lambda name: real[name]["dense_bytes"])
    sides = [row for name, row in measured.items() if name.startswith("side ")]
    return {
        "zero_share": example["zeros"] / example["entries"],
        "least_slower": min(timed.values()),
        "least_slower_layer": measured[min(timed, key=timed.__getitem__)]["layer"],
        "most_slower": max(timed.values()),
        "most_slower_layer": measured[max(timed, key=timed.__getitem__)]["layer"],
        "largest": largest.removeprefix("layer "),
        "largest_bytes": real[largest]["dense_bytes"],
        "largest_side": real[largest]["largest_side"],
        "growth": sides[-1]["dense_weights"] / sides[0]["dense_weights"],
        "growth_pixels": (sides[-1]["side"] / sides[0]["side"]) ** 2,
        "family_weights": sides[0]["convolution_weights"],
    }


def _write(shown: Shown) -> Iterator[str]:
    yield markup.finding(
        f"Of the {shown('count', 'measured', 'example', 'entries')} entries that join the 16 pixels of a 4×4 image "
        "to the "
        f"4 of a 2×2 output, a 3×3 kernel leaves {shown('count', 'measured', 'example', 'nonzeros')}, and they share "
        f"{shown('count', 'measured', 'example', 'distinct')} weights; "
        f"{shown('count', 'measured', 'example', 'zeros')} ({shown('percent', 'found', 'zero_share')}) are zero.",
        f"Where the matrix fits, the dense layer is {_slower(shown, 'least')} and {_slower(shown, 'most')}; that of "
        f"{shown('plain', 'found', 'largest')} would take {shown('bytes', 'found', 'largest_bytes')}, and what this "
        f"machine holds ends at images of {shown('count', 'found', 'largest_side')} pixels a side.",
    )
    yield markup.figures(
        markup.figure(
            "matrix",
            drawing.draw("matrix", partial(_paint_matrix, shown), height=2.2),
            "The dense matrix of a 3×3 kernel on a 4×4 image. A row is an output pixel, a column an input pixel; "
            "the same "
            "number and colour is the same weight, an empty cell a structural zero.",
        ),
        markup.figure(
            "weights-by-side",
            drawing.draw("weights-by-side", partial(_paint_weights, shown)),
            "Weights against the size of the image, 8 → 8 channels, 3×3: those of the convolution do not depend on it, "
            "those of the dense layer grow with the square of the number of pixels.",
        ),
        markup.figure(
            "time-by-side",
            drawing.draw("time-by-side", partial(_paint_time, shown)),
            "Median time of one call against the size of the image, 8 → 8 channels, 3×3, as far as the dense matrix "
            "was "
            "made.",
        ),
    )
    yield markup.paragraph(
        f"From the smallest image of the drawings to the largest the number of pixels grows by "
        f"{shown('ratio', 'found', 'growth_pixels')} times, that of dense weights by "
        f"{shown('quantity', 'found', 'growth')} times; "
        f"the convolution keeps its {shown('count', 'found', 'family_weights')}."
    )
    columns = ("<layer", "weights", "dense weights", "memory", "dense memory", "zeros", "time", "dense time", "slower",
               "largest side")  # fmt: skip
    yield markup.table(
        columns,
        (_cells(shown, name) for name in shown.measured if name.startswith("layer ")),
        "Real layers. Largest side: of a square image whose dense matrix this machine's memory holds, nothing else "
        "in it.",
    )


def _slower(shown: Shown, which: str) -> str:
    ratio, layer = shown.value("found", f"{which}_slower"), shown("plain", "found", f"{which}_slower_layer")
    times = shown("ratio" if ratio >= 1 else "inverse", "found", f"{which}_slower")
    return f"at {which} {times} times {'slower' if ratio >= 1 else 'faster'} ({layer})"


def _cells(shown: Shown, name: str) -> list[str]:
    at = ("measured", name)
    return [
        name.removeprefix("layer "),
        shown("count", *at, "convolution_weights"),
        shown("quantity", *at, "dense_weights"),
        shown("bytes", *at, "convolution_bytes"),
        shown("bytes", *at, "dense_bytes"),
        shown("fine percent", *at, "zeros"),
        shown("time", *at, "convolution_us") + "?" * shown.value(*at, "noisy"),
        shown("time", *at, "dense_us"),
        shown("ratio", *at, "slower"),
        shown("count", *at, "largest_side"),
    ]


def _paint_matrix(shown: Shown, axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    rows = shown.value("measured", "example", "matrix")
    for y, row in enumerate(rows):
        for x, weight in enumerate(row):
            # Seven colours for nine weights: the last two are paler, and the numbers tell all of them apart.
            colour = COLOURS[(weight - 1) % 6] if weight else "none"
            alpha = 0.45 if weight > 6 else 0.85
            axes.add_patch(
                Rectangle(
                    (x - 0.5, y - 0.5), 1, 1, facecolor=colour, alpha=alpha, edgecolor=drawing.GRID, linewidth=0.6
                )
            )
            if weight:
                axes.text(x, y, str(weight), ha="center", va="center", fontsize=8)
    axes.set_xlim(-0.5, len(rows[0]) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xticks(range(len(rows[0])))
    axes.set_yticks(range(len(rows)))
    axes.tick_params(length=0, labelsize=7)
    axes.set_xlabel("input pixel, row by row")
    axes.set_ylabel("output pixel")
    for spine in axes.spines.values():
        spine.set_visible(False)


_CONVOLUTION, _DENSE = Style(COLOURS[0], MARKERS[0]), Style(COLOURS[1], MARKERS[1])


def _by_side(shown: Shown, field: str) -> list[tuple[float, float]]:
    rows = [row for name, row in shown.measured.items() if name.startswith("side ")]
    return [(row["side"], row[field]) for row in rows if row[field] is not None]


def _paint_weights(shown: Shown, axes: Axes) -> None:
    drawing.curve(axes, _by_side(shown, "dense_weights"), _DENSE, "dense layer")
    drawing.curve(axes, _by_side(shown, "convolution_weights"), _CONVOLUTION, "convolution")
    drawing.finish(axes, x="side of the image, pixels", y="weights", log="xy", ticks=(8, 16, 32, 64, 128, 224))


def _paint_time(shown: Shown, axes: Axes) -> None:
    drawing.curve(axes, _by_side(shown, "dense_us"), _DENSE, "dense layer")
    drawing.curve(axes, _by_side(shown, "convolution_us"), _CONVOLUTION, "convolution")
    drawing.finish(
        axes, x="side of the image, pixels", y="time per call, µs", log="xy", ticks=(8, 16, 32, 64, 128, 224)
    )


SECTION = Section(
    "dense",
    "Dense against convolution",
    "What do the two constraints, zeros outside the kernel's reach and shared weights inside, save?",
    _jobs,
    _find,
    _write,
)
