"""Section: what networks put in place of a full kernel, each with its paper's arithmetic and the measured time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fastconv.bench import alternatives as alt
from fastconv.bench.chain import Chain
from fastconv.bench.layers import square
from fastconv.study import drawing, markup
from fastconv.study.contests import CELLS, COLUMNS, chain_job, geometric_mean
from fastconv.study.section import Job, Scale, Section
from fastconv.study.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_REDUCTION = "C' / C + C' / (K R S), with C' channels before the kernel"


def _families() -> Iterator[tuple[str, list[Chain | None], str]]:
    """Name, chains (the first is what the others are compared with), and the paper's arithmetic."""
    for kernel in (3, 5, 7):
        layer = square("", 192, 17, 192, kernel)
        yield (
            f"1xN then Nx1, N = {kernel}",
            [alt.as_is(layer), alt.rows_then_columns(layer)],
            "2 / N",
        )
    inception = square("", 192, 28, 32, 5)
    yield (
        "1x1 reduction, Inception",
        [alt.as_is(inception), alt.reduced(inception, 16)],
        _REDUCTION,
    )
    resnet = square("", 256, 28, 256, 3)
    yield (
        "bottleneck, ResNet",
        [alt.as_is(resnet), alt.bottleneck(resnet)],
        "(2 · 4 + 9) / (16 · 9)",
    )
    resnext = square("", 256, 28, 256, 3)
    groups = [alt.grouped(resnext, count) for count in (2, 4, 8, 16, 32, 64)]
    yield "groups, ResNeXt", [alt.as_is(resnext), *groups], "1 / groups"
    for C, size, kernel in ((128, 56, 3), (512, 14, 3), (256, 28, 7)):
        layer = square("", C, size, C, kernel)
        yield (
            f"depthwise-separable {kernel}x{kernel}, {C} channels @{size}",
            [alt.as_is(layer), alt.depthwise_separable(layer)],
            "1 / K + 1 / (R S)",
        )
    for kernel in (5, 9):
        layer = square("", 64, 56, 64, kernel)
        yield (
            f"dilated instead of {kernel}x{kernel}",
            [alt.as_is(layer), alt.dilated(layer)],
            "9 / (R S)",
        )
    strided = square("", 128, 56, 128, 3)
    half = Chain("3x3, stride 2", (replace(strided, name="3x3 /2", stride=(2, 2)),))
    yield "stride 2", [alt.as_is(strided), half], "1 / 4 of the multiply-adds; a quarter of the outputs"


def _jobs(scale: Scale) -> Sequence[Job]:
    families = list(_families())
    if scale.name == "tiny":
        layer = square("", 8, 8, 8, 5)
        families = [
            ("1xN then Nx1", [alt.as_is(layer), alt.rows_then_columns(layer)], "2 / N"),
            ("groups", [alt.as_is(layer), alt.grouped(layer, 2), alt.grouped(layer, 4)], "1 / groups"),
        ]
    return [
        chain_job(name, [chain for chain in chains if chain is not None], scale, arithmetic)
        for name, chains, arithmetic in families
    ]


def _others(measured: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, result in measured.items():
        for row in result["rows"][1:]:
            yield (name if len(result["rows"]) == 2 else f"{name}: {row['name']}"), row


def _find(measured: Mapping[str, Any]) -> dict[str, Any]:
    # How much more time per multiply-add: 1 where the clock saves all that the paper does.
    dearer = {
        name: row["against_first"]["time"] / row["against_first"]["multiply_adds"] for name, row in _others(measured)
    }
    shares = [row["against_first"] for _, row in _others(measured)]
    return {
        "dearer": dearer,
        "multiply_adds": geometric_mean(share["multiply_adds"] for share in shares),
        "time": geometric_mean(share["time"] for share in shares),
        "dearest": max(dearer.values()),
        "dearest_name": max(dearer, key=dearer.__getitem__),
        "cheapest": min(dearer.values()),
        "cheapest_name": min(dearer, key=dearer.__getitem__),
        "slower": sum(share["time"] > 1 for share in shares),
        "count": len(shares),
    }


def _takes(shown: Shown) -> str:
    return "takes" if shown.value("found", "slower") == 1 else "take"


def _write(shown: Shown) -> Iterator[str]:
    yield markup.finding(
        f"The {shown('count', 'found', 'count')} factorisations leave {shown('percent', 'found', 'multiply_adds')} "
        "of the "
        f"multiply-adds and {shown('percent', 'found', 'time')} of the time (geometric means); "
        f"{shown('count', 'found', 'slower')} of them {_takes(shown)} longer than the full kernel.",
        f"A multiply-add of theirs costs from {shown('ratio', 'found', 'cheapest')} "
        f"({shown('plain', 'found', 'cheapest_name')}) to {shown('ratio', 'found', 'dearest')} times "
        f"({shown('plain', 'found', 'dearest_name')}) what one of the full kernel does.",
    )
    count = sum(1 for _ in _others(shown.measured))
    yield markup.figures(
        markup.figure(
            "factorisations",
            drawing.draw("factorisations", partial(_paint, shown), 0.8 + 0.36 * count),
            "Share of the multiply-adds and of the time that each factorisation leaves; 1 is the full kernel.",
        ),
        markup.figure(
            "paper-and-clock",
            drawing.draw("paper-and-clock", partial(_paint_scatter, shown), 3.9),
            "Time left against multiply-adds left. On the line the clock saves what the paper does; above it, less.",
        ),
    )
    for name, result in shown.measured.items():
        yield markup.table(
            COLUMNS,
            ([cell(shown, "measured", name, "rows", i) for cell in CELLS] for i in range(len(result["rows"]))),
            f"{name} (input {result['input']}). Multiply-adds left on paper: {result['note']}.",
        )


def _paint(shown: Shown, axes: Axes) -> None:
    others = list(_others(shown.measured))
    series = [
        ("multiply-adds", [row["against_first"]["multiply_adds"] for _, row in others]),
        ("time", [row["against_first"]["time"] for _, row in others]),
    ]
    drawing.grouped_bars(axes, [_short(name) for name, _ in others], series)
    drawing.finish(axes, x="share of the full kernel's", y="", legend="none")
    axes.grid(visible=False, axis="y")


def _short(name: str) -> str:
    return name.replace("depthwise-separable", "separable").replace(" channels", "").replace(", ResNeXt", "")


def _paint_scatter(shown: Shown, axes: Axes) -> None:
    for i, (name, result) in enumerate(_families_by_idea(shown.measured).items()):
        colour, marker = drawing.COLOURS[i % len(drawing.COLOURS)], drawing.MARKERS[i % len(drawing.MARKERS)]
        points = [(share["multiply_adds"], share["time"]) for share in result]
        axes.plot(*zip(*points, strict=True), color=colour, marker=marker, linestyle="", markersize=5, label=name)
    low, high = axes.get_xlim()
    axes.plot([0.01, 1.2], [0.01, 1.2], color=drawing.INK, linewidth=0.8, linestyle=":")
    axes.set_xlim(max(low, 0.01), max(high, 1.2))
    drawing.finish(axes, x="multiply-adds left", y="time left", log="xy")


def _families_by_idea(measured: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows by the first words of their family's name."""
    ideas: dict[str, list[dict[str, Any]]] = {}
    for name, result in measured.items():
        idea = name.partition(",")[0].partition(" instead")[0].partition(" 3x3")[0].partition(" 7x7")[0]
        ideas.setdefault(idea, []).extend(row["against_first"] for row in result["rows"][1:])
    return ideas


SECTION = Section(
    "factorisations",
    "Factorisations",
    "Networks replace a full kernel by cheaper layers. How much of what their papers save does the clock see?",
    _jobs,
    _find,
    _write,
)
