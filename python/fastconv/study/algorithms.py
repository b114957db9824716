"""Section: every algorithm on the same layers: speed, memory, and error on a photograph and on random values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import _core
from fastconv.arguments import Array
from fastconv.bench import image
from fastconv.bench.baselines import float64_result, max_error_over_rms
from fastconv.bench.compare import CALL, Effort, study
from fastconv.bench.layers import NamedLayer, square
from fastconv.bench.measure import measure
from fastconv.study import drawing, markup
from fastconv.study.section import Job, Say, Scale, Section
from fastconv.study.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LAYERS = (
    square("3x3, 64 channels @56", 64, 56, 64, 3),
    square("3x3, 256 channels @7", 256, 7, 256, 3),
    square("1x1, 256 channels @28", 256, 28, 256, 1),
    square("7x7, 64 channels @56", 64, 56, 64, 7),
    square("depthwise 3x3, 256 channels @28", 256, 28, 256, 3, groups=256),
    square("15x15, 32 channels @56", 32, 56, 32, 15),  # where transforms of the whole image may pay
    square("depthwise 31x31, 64 channels @56", 64, 56, 64, 31, groups=64),
    square("3x3, 4 to 8 channels @24", 4, 24, 8, 3),  # small enough for the dense matrix
)
VALUES = ("photograph", "random")
_TILES = square("3x3, 128 channels @28", 128, 28, 128, 3)  # for Winograd's tiles
_MATRIX_LIMIT = 1 << 28
_LIMITS = (2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0)  # expected errors, in epsilons: each lets larger tiles run


def _jobs(scale: Scale) -> Sequence[Job]:
    layers = scale.pick(tiny=_LAYERS[-1:], quick=_LAYERS, full=_LAYERS)
    tiles: NamedLayer = scale.pick(tiny=_LAYERS[-1], quick=_TILES, full=_TILES)
    return [
        *(Job(f"{layer} on {values}", partial(_measure, layer, values, scale), 7)
          for layer in layers for values in VALUES),
        Job("tiles", partial(_measure_tiles, tiles, scale), 4),
    ]  # fmt: skip


def _measure(layer: NamedLayer, values: str, scale: Scale, say: Say) -> dict[str, Any]:
    w, x = layer.random_weight(), _input(layer, values)
    # `reference` is slow by design; the matrix of `dense` fits for small layers alone.
    matrix = 4 * math.prod(layer.problem().output_shape) * math.prod(layer.input_shape)
    left_out = ("reference", "dense") if matrix > _MATRIX_LIMIT else ("reference",)
    names = [name for name in _core.algorithms() if name not in left_out]
    effort = Effort(scale.min_time, scale.rounds, memory=scale.memory and values == "random", baselines=False)
    done = study(layer, x, w, algorithms=names, effort=effort, on_step=say)
    rows = {row.name: asdict(row) for row in done.rows if row.status == "measured" and row.name != CALL}
    return {"layer": layer.name, "values": values, "auto": done.auto, "rows": rows}


def _input(layer: NamedLayer, values: str) -> Array:
    if values == "random":
        return layer.random_input()
    return image.as_input(image.load(image.default_photograph()), layer.input_shape, "float32")


def _measure_tiles(layer: NamedLayer, scale: Scale, say: Say) -> dict[str, Any]:
    """Winograd's tiles, each where the error that may be expected lets it run, against the sums of "direct"."""
    w = layer.random_weight()
    y = np.zeros(layer.problem().output_shape, np.float32)
    problems = {"direct": layer.problem()}
    for accuracy in _LIMITS:
        problem = layer.problem().with_error_limit(accuracy)
        if _core.rejects("winograd", problem) is None:
            problems.setdefault(_core.variant("winograd", problem), problem)
    plans = {
        name: _core.Plan(problem, "direct" if name == "direct" else "winograd", w) for name, problem in problems.items()
    }
    inputs = {values: _input(layer, values) for values in VALUES}
    errors: dict[str, dict[str, float]] = {name: {} for name in plans}
    for values, x in inputs.items():
        exact = float64_result(x, w, layer)
        for name, plan in plans.items():
            plan(x, y)
            errors[name][values] = max_error_over_rms(y, exact)
    timings = measure(
        {name: partial(plan, inputs["random"], y) for name, plan in plans.items()},
        min_time=scale.min_time,
        rounds=scale.rounds,
        on_sample=say,
    )
    rows = {
        name: {
            "time_median_us": timings[name].median * 1e6,
            "noisy": timings[name].noisy,
            "memory_bytes": _memory("direct" if name == "direct" else "winograd", problem),
            "errors": errors[name],
        }
        for name, problem in problems.items()
    }
    return {"layer": layer.name, "values": "", "rows": rows}


def _memory(algorithm: str, problem: _core.Problem) -> int:
    return _core.workspace_bytes(algorithm, problem) + _core.packed_bytes(algorithm, problem)


def _find(measured: Mapping[str, Any]) -> dict[str, Any]:
    tiles = measured["tiles"]["rows"]
    measured = {name: result for name, result in measured.items() if name != "tiles"}
    largest = list(tiles)[-1]
    rows = [(result, row) for result in measured.values() for row in result["rows"].values()]
    worst = max(rows, key=lambda pair: pair[1]["max_error_over_rms"])
    photographs = [result for result in measured.values() if result["values"] == "photograph"]
    spreads = {
        result["layer"]: max(row["time_median_us"] for row in result["rows"].values())
        / min(row["time_median_us"] for row in result["rows"].values())
        for result in photographs
    }
    errors = {
        result["layer"]: [
            row["max_error_over_rms"] / measured[f"{result['layer']} on random"]["rows"][name]["max_error_over_rms"]
            for name, row in result["rows"].items()
        ]
        for result in photographs
    }
    ratios = sorted(ratio for values in errors.values() for ratio in values)
    return {
        "worst_error": worst[1]["max_error_over_rms"],
        "worst_algorithm": worst[1]["name"],
        "worst_layer": worst[0]["layer"],
        "worst_values": worst[0]["values"],
        "all_within_bounds": all(
            row["max_error_over_rms"] <= row["error_bound_over_rms"]
            for result, row in rows
            if result["values"] == "random"
        ),
        "spread": max(spreads.values()),
        "spread_layer": max(spreads, key=spreads.__getitem__),
        "photograph_over_random": ratios[len(ratios) // 2],
        "auto_is_fastest": sum(result["rows"][result["auto"]]["is_fastest"] for result in measured.values()),
        "count": len(measured),
        "tile": largest,
        "tile_faster": tiles["direct"]["time_median_us"] / tiles[largest]["time_median_us"],
        "tile_error": tiles[largest]["errors"]["photograph"] / tiles["direct"]["errors"]["photograph"],
    }


def _write(shown: Shown) -> Iterator[str]:
    within = "stay" if shown.value("found", "all_within_bounds") else "do not all stay"
    yield markup.finding(
        f"Between the fastest algorithm and the slowest lie up to {shown('ratio', 'found', 'spread')} times "
        f"({shown('plain', 'found', 'spread_layer')}); “auto” picked the fastest in "
        f"{shown('count', 'found', 'auto_is_fastest')} of {shown('count', 'found', 'count')} cases.",
        f"The largest error is {shown('error', 'found', 'worst_error')} of the output's root mean square "
        f"({shown('plain', 'found', 'worst_algorithm')}, {shown('plain', 'found', 'worst_layer')}, "
        f"{shown('plain', 'found', 'worst_values')}); on a photograph's values errors are "
        f"{shown('ratio', 'found', 'photograph_over_random')} times those on random ones (median), and on random "
        "values all "
        f"{within} within their stated bounds.",
    )
    yield markup.figures(
        markup.figure(
            "speed-and-error",
            drawing.draw("speed-and-error", partial(_paint, shown, "time_median_us", 1e-3, "time per call, ms"), 3.9),
            "Error on the photograph against time per call; a mark per algorithm and layer. Left is faster, low is "
            "more "
            "exact.",
        ),
        markup.figure(
            "error-by-values",
            drawing.draw("error-by-values", partial(_paint_errors, shown), 3.9),
            "Largest error over the output's root mean square: on the photograph against on random values. On the line "
            "both are the same.",
        ),
    )
    yield markup.paragraph(
        f"Winograd's tiles trade digits for multiplications: {shown('plain', 'found', 'tile')} is "
        f"{shown.faster('found', 'tile_faster')} plain sums, at {shown('ratio', 'found', 'tile_error')} times their "
        "error on "
        "the photograph."
    )
    yield markup.table(
        ("<tile", "time", "memory", "error, photograph", "error, random"),
        (_tile_cells(shown, name) for name in shown.value("measured", "tiles", "rows")),
        f"Winograd's tiles against plain sums, {shown.value('measured', 'tiles', 'layer')}. Which of them may run "
        "is the "
        "caller's choice: accuracy= or max_error= of conv2d.",
    )
    columns = ("<algorithm", "time", "of peak", "workspace", "packed", "measured", "error, photograph", "error, random",
               "bound")  # fmt: skip
    for result in shown.measured.values():
        if result["values"] == "random":
            names = list(result["rows"])
            yield markup.table(
                columns,
                (_cells(shown, result["layer"], name) for name in names),
                f"{result['layer']}; auto picks {result['auto']}",
            )


def _tile_cells(shown: Shown, name: str) -> list[str]:
    at = ("measured", "tiles", "rows", name)
    return [
        name,
        shown("time", *at, "time_median_us") + "?" * shown.value(*at, "noisy"),
        shown("bytes", *at, "memory_bytes"),
        *(shown("error", *at, "errors", values) for values in VALUES),
    ]


def _cells(shown: Shown, layer: str, name: str) -> list[str]:
    random = ("measured", f"{layer} on random", "rows", name)
    photograph = ("measured", f"{layer} on photograph", "rows", name)
    mark = "*" if shown.value(*random, "is_fastest") else ""
    return [
        f"{mark}{shown('plain', *random, 'name')} {shown('plain', *random, 'variant')}",
        shown("time", *random, "time_median_us") + "?" * shown.value(*random, "noisy"),
        shown("percent", *random, "share_of_peak"),
        shown("bytes", *random, "workspace_bytes"),
        shown("bytes", *random, "packed_weight_bytes"),
        shown("growth", *random, "peak_memory_bytes"),
        shown("error", *photograph, "max_error_over_rms"),
        shown("error", *random, "max_error_over_rms"),
        shown("error", *random, "error_bound_over_rms"),
    ]


def _marks(shown: Shown, axes: Axes, point: Callable[[dict[str, Any], dict[str, Any]], tuple[float, float]]) -> None:
    """A mark per algorithm and layer at `point(on the photograph, on random values)`."""
    seen: set[str] = set()
    for name in _core.algorithms():
        style = drawing.style_of(name)
        for result in shown.measured.values():
            if result["values"] == "photograph" and name in result["rows"]:
                random = shown.measured[f"{result['layer']} on random"]["rows"][name]
                x, y = point(result["rows"][name], random)
                axes.plot(
                    [x], [y], color=style.colour, marker=style.marker, linestyle="", markersize=5,
                    label=None if name in seen else name,
                )  # fmt: skip
                seen.add(name)


def _paint(shown: Shown, field: str, unit: float, label: str, axes: Axes) -> None:
    _marks(shown, axes, lambda photograph, _: (photograph[field] * unit, photograph["max_error_over_rms"]))
    drawing.finish(axes, x=label, y="largest error / rms of the output", log="xy", legend="above")


def _paint_errors(shown: Shown, axes: Axes) -> None:
    _marks(shown, axes, lambda photograph, random: (random["max_error_over_rms"], photograph["max_error_over_rms"]))
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color=drawing.INK, linewidth=0.8, linestyle=":")
    drawing.finish(axes, x="error on random values", y="error on the photograph", log="xy", legend="above")


SECTION = Section(
    "algorithms",
    "Algorithms",
    "The same layer, computed in different ways: what differs in speed, memory and rounding?",
    _jobs,
    _find,
    _write,
    needs=("PIL",),
)
