"""Section: one layer with kernels of 1x1 to 31x31, and which algorithm is the fastest where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import _core
from fastconv.bench.compare import CALL, Effort, study
from fastconv.bench.layers import NamedLayer
from fastconv.bench.measure import measure
from fastconv.dispatch import choose
from fastconv.prepared import Conv2d
from fastconv.study import drawing, markup
from fastconv.study.section import Job, Say, Scale, Section
from fastconv.study.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KERNELS = (1, 2, 3, 5, 7, 9, 11, 15, 21, 31)

# `dense` has its own section; `reference` takes minutes here and is there to be right, not fast.
ALGORITHMS = tuple(name for name in _core.algorithms() if name not in ("dense", "reference"))

_SLOW = 4.0
"""On the map, an algorithm whose estimate is this many times the lowest one is not timed."""


def layer(channels: int, size: int, kernel: int) -> NamedLayer:
    """`channels` to as many, with "same" padding: an even kernel has the odd pixel at the end."""
    pads = ((kernel - 1) // 2, kernel // 2)
    return NamedLayer(f"{kernel}x{kernel}", channels, size, size, channels, kernel, kernel, padding=(pads, pads))


def _jobs(scale: Scale) -> Sequence[Job]:
    channels, size = scale.pick(tiny=(4, 8), quick=(32, 40), full=(64, 56))
    kernels = scale.pick(tiny=(1, 3), quick=KERNELS, full=KERNELS)
    map_size, map_kernels, map_channels = scale.pick(
        tiny=(8, (1, 3), (1, 4)),
        quick=(28, (1, 3, 5, 7, 11, 21), (1, 4, 16, 64)),
        full=(28, KERNELS, (1, 2, 4, 8, 16, 32, 64, 128, 256)),
    )
    return (
        *(Job(f"kernel {k}", partial(_kernel, layer(channels, size, k), scale), 8) for k in kernels),
        *(Job(f"map {c}", partial(_row_of_map, c, map_size, map_kernels, scale), 3 * len(map_kernels))
          for c in map_channels),
    )  # fmt: skip


def _kernel(layer: NamedLayer, scale: Scale, say: Say) -> dict[str, Any]:
    x, w = layer.random_input(), layer.random_weight()
    effort = Effort(scale.min_time, scale.rounds, memory=scale.memory, baselines=False)
    done = study(layer, x, w, algorithms=ALGORITHMS, effort=effort, on_step=say)
    rows = {row.name: asdict(row) for row in done.rows if row.status == "measured" and row.name != CALL}
    fastest = next(row for row in done.rows if row.is_fastest)
    assert fastest.time_median_us is not None
    return {
        "kernel": layer.R,
        "channels": layer.C,
        "size": layer.H,
        "weights": done.weights,
        "multiply_adds": done.multiply_adds,
        "receptive_field": list(layer.receptive_field),
        "peak_gflop_per_s": done.peak_best_gflop_per_s,
        "auto": done.auto,
        "auto_over_fastest": rows[done.auto]["time_median_us"] / fastest.time_median_us,
        "fastest": fastest.name,
        "time_us": fastest.time_median_us,
        "noisy": fastest.noisy,
        "picoseconds_per_multiply_add": fastest.time_median_us * 1e6 / done.multiply_adds,
        "share_of_peak": fastest.share_of_peak,
        "workspace_bytes": fastest.workspace_bytes,
        "packed_weight_bytes": fastest.packed_weight_bytes,
        "peak_memory_bytes": fastest.peak_memory_bytes,
        "rows": rows,
    }


def _row_of_map(channels: int, size: int, kernels: Sequence[int], scale: Scale, say: Say) -> list[dict[str, Any]]:
    return [_cell(layer(channels, size, kernel), scale, say) for kernel in kernels]


def _cell(layer: NamedLayer, scale: Scale, say: Say) -> dict[str, Any]:
    problem = layer.problem()
    costs = {name: _core.cost(name, problem, True) for name in ALGORITHMS if _core.rejects(name, problem) is None}
    tried = [name for name, cost in costs.items() if cost <= _SLOW * min(costs.values())]
    x, w, y = layer.random_input(), layer.random_weight(), np.zeros(problem.output_shape, np.float32)
    timings = measure(
        {name: partial(Conv2d(w, **layer.options, algorithm=name), x, out=y) for name in tried},
        min_time=scale.min_time / 2,
        rounds=scale.rounds,
        on_sample=lambda name: say(f"{layer.C} channels, {layer}: {name}"),
    )
    times = {name: timing.median * 1e6 for name, timing in timings.items()}
    best = min(times, key=times.__getitem__)
    others = [time for name, time in times.items() if name != best]
    return {
        "channels": layer.C,
        "size": layer.H,
        "kernel": layer.R,
        "fastest": best,
        "auto": choose(problem, prepared=True).algorithm,
        "times_us": times,
        "lead": min(others) / times[best] if others else None,
        "noisy": timings[best].noisy,
    }


def _find(measured: Mapping[str, Any]) -> dict[str, Any]:
    sizes = [row for name, row in measured.items() if name.startswith("kernel ")]
    cells = [cell for name, row in measured.items() if name.startswith("map ") for cell in row]
    cheapest = min(sizes, key=lambda row: row["picoseconds_per_multiply_add"])
    dearest = max(sizes, key=lambda row: row["picoseconds_per_multiply_add"])
    by_kernel = {row["kernel"]: row for row in sizes}
    small, three = by_kernel[1], by_kernel[3]
    wins: dict[str, int] = {}
    for cell in cells:
        wins[cell["fastest"]] = wins.get(cell["fastest"], 0) + 1
    regions = {
        name: {
            "cells": count,
            "kernels": sorted({cell["kernel"] for cell in cells if cell["fastest"] == name}),
            "channels": sorted({cell["channels"] for cell in cells if cell["fastest"] == name}),
        }
        for name, count in sorted(wins.items(), key=lambda item: -item[1])
    }
    chosen = [cell for cell in cells if cell["auto"] == cell["fastest"]]
    # Of all turns: a neighbour who takes half of the machine for a while must not make anything look faster.
    peak = max(row["peak_gflop_per_s"] for row in sizes)
    return {
        "peak_gflop_per_s": peak,
        "shares_of_peak": {
            name: 2e3 / row["picoseconds_per_multiply_add"] / peak
            for name, row in measured.items()
            if name.startswith("kernel ")
        },
        "cheapest_kernel": f"{cheapest['kernel']}×{cheapest['kernel']}",
        "cheapest_picoseconds": cheapest["picoseconds_per_multiply_add"],
        "cheapest_algorithm": cheapest["fastest"],
        "dearest_kernel": f"{dearest['kernel']}×{dearest['kernel']}",
        "dearest_picoseconds": dearest["picoseconds_per_multiply_add"],
        "three_over_one_multiply_adds": three["multiply_adds"] / small["multiply_adds"],
        "three_over_one_time": three["time_us"] / small["time_us"],
        "cells": len(cells),
        "auto_is_fastest": len(chosen),
        "regions": regions,
    }


def _write(shown: Shown) -> Iterator[str]:
    first = next(iter(shown.measured))
    yield markup.finding(
        f"From 1×1 to 3×3 the multiply-adds grow {shown('ratio', 'found', 'three_over_one_multiply_adds')} times "
        "and the time "
        f"{shown('ratio', 'found', 'three_over_one_time')} times; "
        f"a multiply-add is cheapest at {shown('plain', 'found', 'cheapest_kernel')} "
        f"({shown('picoseconds', 'found', 'cheapest_picoseconds')}, by "
        f"{shown('plain', 'found', 'cheapest_algorithm')}) and "
        f"dearest at {shown('plain', 'found', 'dearest_kernel')} "
        f"({shown('picoseconds', 'found', 'dearest_picoseconds')}).",
        f"On the map below, “auto” picks the fastest algorithm in {shown('count', 'found', 'auto_is_fastest')} of "
        f"{shown('count', 'found', 'cells')} cells.",
    )
    title = (
        f"{shown.value('measured', first, 'channels')} → {shown.value('measured', first, 'channels')} channels, "
        f"{shown.value('measured', first, 'size')}×{shown.value('measured', first, 'size')} pixels"
    )
    yield markup.figures(
        markup.figure(
            "time-by-kernel",
            drawing.draw(
                "time-by-kernel", partial(_paint_times, shown, "time_median_us", 1e-3, "time per call, ms"), 3.9
            ),
            f"Median time of each algorithm against the kernel's side, {title}.",
        ),
        markup.figure(
            "time-per-multiply-add",
            drawing.draw("time-per-multiply-add", partial(_paint_cost, shown), 3.9),
            f"Time per multiply-add of the definition, {title}; the dotted line is what the FMA peak allows: below "
            "it arithmetic was saved.",
        ),
        markup.figure(
            "memory-by-kernel",
            drawing.draw("memory-by-kernel", partial(_paint_memory, shown), 3.9),
            f"Workspace and packed weights of each algorithm, exact bytes, {title}.",
        ),
        markup.figure(
            "map",
            drawing.draw("map", partial(_paint_map, shown), 3.9),
            f"The fastest algorithm over kernel size and channels, {_map_size(shown)}×{_map_size(shown)} pixels; a dot "
            "marks cells where the second is within 10%.",
        ),
    )
    columns = ("kernel", "weights", "multiply-adds", "field", "<fastest", "time", "per multiply-add", "of peak",
               "auto takes", "workspace", "packed", "measured")  # fmt: skip
    yield markup.table(
        columns,
        (_cells(shown, name) for name in shown.measured if name.startswith("kernel ")),
        f"The fastest algorithm of each kernel size, {title}. Auto takes: the time of what auto picks over the "
        "fastest. "
        "Measured: peak memory of a fresh process beyond input, weights and output.",
    )
    regions = shown.value("found", "regions")
    yield markup.table(
        ("<algorithm", "cells", "<fastest with kernels", "<and channels"),
        (
            [
                name,
                shown("count", "found", "regions", name, "cells"),
                ", ".join(
                    shown("plain", "found", "regions", name, "kernels", i) for i in range(len(region["kernels"]))
                ),
                ", ".join(
                    shown("plain", "found", "regions", name, "channels", i) for i in range(len(region["channels"]))
                ),
            ]
            for name, region in regions.items()
        ),
        "Where each algorithm's region lies on the map",
    )


def _cells(shown: Shown, name: str) -> list[str]:
    at = ("measured", name)
    return [
        f"{shown.value(*at, 'kernel')}×{shown.value(*at, 'kernel')}",
        shown("count", *at, "weights"),
        shown("quantity", *at, "multiply_adds"),
        shown("pixels", *at, "receptive_field"),
        shown("plain", *at, "fastest"),
        shown("time", *at, "time_us") + "?" * shown.value(*at, "noisy"),
        shown("picoseconds", *at, "picoseconds_per_multiply_add"),
        shown("percent", "found", "shares_of_peak", name),
        shown("ratio", *at, "auto_over_fastest"),
        shown("bytes", *at, "workspace_bytes"),
        shown("bytes", *at, "packed_weight_bytes"),
        shown("growth", *at, "peak_memory_bytes"),
    ]


def _sizes(shown: Shown) -> list[dict[str, Any]]:
    return [row for name, row in shown.measured.items() if name.startswith("kernel ")]


def _present(shown: Shown) -> list[str]:
    """Algorithms that took part, in the registry's order."""
    return [name for name in ALGORITHMS if any(name in row["rows"] for row in _sizes(shown))]


def _paint_times(shown: Shown, field: str, unit: float, label: str, axes: Axes) -> None:
    for name in _present(shown):
        points = [(row["kernel"], row["rows"][name][field] * unit) for row in _sizes(shown) if name in row["rows"]]
        drawing.curve(axes, points, drawing.style_of(name), name)
    _finish(shown, axes, label)


def _paint_cost(shown: Shown, axes: Axes) -> None:
    for name in _present(shown):
        points = [
            (row["kernel"], row["rows"][name]["time_median_us"] * 1e6 / row["multiply_adds"])
            for row in _sizes(shown)
            if name in row["rows"]
        ]
        drawing.curve(axes, points, drawing.style_of(name), name)
    limit = 2e3 / shown.value("found", "peak_gflop_per_s")
    axes.axhline(limit, color=drawing.INK, linewidth=0.8, linestyle=":", label="multiply-adds at the peak")
    _finish(shown, axes, "time per multiply-add, ps")


def _paint_memory(shown: Shown, axes: Axes) -> None:
    for name in _present(shown):
        points = [
            (row["kernel"], (row["rows"][name]["workspace_bytes"] + row["rows"][name]["packed_weight_bytes"]) / 1024)
            for row in _sizes(shown)
            if name in row["rows"]
        ]
        drawing.curve(axes, points, drawing.style_of(name), name)
    _finish(shown, axes, "workspace and packed weights, KiB")


def _finish(shown: Shown, axes: Axes, label: str) -> None:
    drawing.finish(
        axes,
        x="kernel's side, pixels",
        y=label,
        log="xy",
        ticks=[row["kernel"] for row in _sizes(shown) if row["kernel"] != 9],
    )


def _map_size(shown: Shown) -> int:
    rows = next(row for name, row in shown.measured.items() if name.startswith("map "))
    size: int = rows[0]["size"]
    return size


def _paint_map(shown: Shown, axes: Axes) -> None:
    from matplotlib.patches import Patch, Rectangle

    rows = [row for name, row in shown.measured.items() if name.startswith("map ")]
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            colour = drawing.style_of(cell["fastest"]).colour
            axes.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=colour, alpha=0.8, edgecolor="none"))
            mark = cell["fastest"][:2] + ("·" if cell["lead"] is not None and cell["lead"] < 1.1 else "")
            axes.text(x, y, mark, ha="center", va="center", fontsize=8)
    names = {cell["fastest"] for row in rows for cell in row}
    drawing.finish(axes, x="kernel's side, pixels", y="channels, in and out", legend="none")
    axes.grid(visible=False)
    axes.set_xlim(-0.5, len(rows[0]) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xticks(range(len(rows[0])), [str(cell["kernel"]) for cell in rows[0]])
    axes.set_yticks(range(len(rows)), [str(row[0]["channels"]) for row in rows])
    axes.legend(
        handles=[
            Patch(color=drawing.style_of(name).colour, alpha=0.8, label=name) for name in ALGORITHMS if name in names
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
    )


SECTION = Section(
    "kernel-sizes",
    "Which kernel size",
    "What does a larger kernel cost at fixed channels, and which algorithm should compute it?",
    _jobs,
    _find,
    _write,
)
