"""How a comparison is shown: tables for people, rows for JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fastconv.bench import texts
from fastconv.bench.compare import CALL, LayerStudy, Row
from fastconv.cli import output
from fastconv.introspection import quantity

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_LEGEND = f"""\
time: median per call; the rows of a table take turns, so that all see the same drift of the machine; "?": noisy.
Algorithms run with weights packed beforehand; {CALL} packs them at each call, and shows which algorithm it chose.
GFLOP/s: 2 * multiply-adds / time, so that saving arithmetic counts. of peak: of the best FMA peak among the same turns.
workspace, packed: exact bytes of a call's scratch memory and of packed weights.
error: largest absolute error against NumPy in float64, over the root mean square of the output.
NumPy and SciPy use as many threads as their BLAS and FFT do by default, whatever --threads says."""
_LEGEND_MEMORY = """
measured: peak growth of a fresh process's resident memory above input, weights and output, while packing and calling;
a quarter of a MiB is noise."""


# The same widths for every kernel size, so that the eye can go down a column through all tables.
_COLUMNS = {
    "<algorithm": 22,
    "<": 13,
    "time": 9,
    "quartiles": 15,
    "GFLOP/s": 7,
    "of peak": 7,
    "workspace": 9,
    "packed": 8,
    "measured": 8,
    "error": 6,
}


@dataclass(frozen=True)
class Part:
    """A family of layers that differ in kernel size, with the study of each."""

    title: str
    studies: tuple[LayerStudy, ...]


def part_data(part: Part) -> dict[str, Any]:
    """For JSON: layers, each with its rows."""
    layers = [{**_layer_data(study), "rows": [asdict(row) for row in study.rows]} for study in part.studies]
    return {"title": part.title, "layers": layers}


def csv_rows(origin: dict[str, Any], parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """A line per row; what holds for a layer, a part or the whole run is repeated in each."""
    for part in parts:
        for study in part.studies:
            for row in study.rows:
                data = {**origin, "part": part.title, **_layer_data(study), **asdict(row)}
                yield {key: _cell(value) for key, value in data.items()}


def _cell(value: Any) -> Any:
    """Lists as words: [[1, 1], [2, 2]] becomes "1 1 2 2"."""
    return " ".join(str(_cell(item)) for item in value) if isinstance(value, list) else value


def _layer_data(study: LayerStudy) -> dict[str, Any]:
    layer = study.layer
    return {
        "kernel": layer.name,
        "dtype": study.dtype,
        "input_shape": list(layer.input_shape),
        "weight_shape": list(layer.weight_shape),
        "output_shape": list(study.output_shape),
        "stride": list(layer.stride),
        "padding": [list(side) for side in layer.padding],
        "dilation": list(layer.dilation),
        "groups": layer.groups,
        "weights": study.weights,
        "multiply_adds": study.multiply_adds,
        "receptive_field_pixels": list(layer.receptive_field),
        "dense_weights": study.dense_weights,
        "dense_bytes": study.dense_bytes,
        "auto": study.auto,
        "auto_reason": study.auto_reason,
        "fma_peak_best_gflop_per_s": study.peak_best_gflop_per_s,
        "fma_peak_median_gflop_per_s": study.peak_median_gflop_per_s,
    }


def machine_line(origin: dict[str, Any]) -> str:
    """Version, processor, instruction set and threads."""
    return f"fastconv {origin['fastconv_version']}, {origin['cpu']}, {origin['isa']}, threads: {origin['threads']}"


def show(origin: dict[str, Any], parts: Sequence[Part], with_memory: bool) -> None:
    """Print a table per layer, and who refused, why."""
    from rich.text import Text

    source = f"input: {origin['image']}; weights: normal, seeded; took {origin['seconds']} s"
    output.show(Text(machine_line(origin), style="bold"), Text(source))
    for part in parts:
        output.show(Text(), Text(part.title, style="bold underline"))
        for study in part.studies:
            output.show(_heading(study), _table(study), Text())
        output.show(*_refusals(part))
    output.show(Text(), Text(_LEGEND + _LEGEND_MEMORY * with_memory, style="dim"))


def _heading(study: LayerStudy) -> Text:
    from rich.text import Text

    R, S = study.layer.receptive_field
    facts = (
        f"  {study.weights:,} weights; {quantity(study.multiply_adds, '', 1000)} multiply-adds; "
        f"receptive field {R} x {S}; as a dense layer {quantity(study.dense_weights, '', 1000)} weights; "
        f"peak {study.peak_best_gflop_per_s:.0f} GFLOP/s"
    )
    return Text.assemble((study.layer.name, "bold"), facts)


def _table(study: LayerStudy) -> Table:
    columns = _fitting_columns()
    table = output.new_table(*columns)
    for column, name in zip(table.columns, columns, strict=True):
        column.width = _COLUMNS[name]
    order = {"algorithm": 0, "call": 1, "baseline": 2}
    for row in sorted(study.rows, key=lambda row: (order[row.kind], row.time_median_us or 0.0)):
        if row.status == "measured":
            marks = ["fastest"] * row.is_fastest + ["auto"] * row.is_auto
            style = "bold green" if row.is_fastest else "dim" if row.kind == "baseline" else ""
            cells = (f"{row.name} {row.variant}".strip(), ", ".join(marks), *_figures(row))
            table.add_row(*(cell for cell, name in zip(cells, _COLUMNS, strict=True) if name in columns), style=style)
    return table


def _fitting_columns() -> list[str]:
    """All columns, or on a narrow terminal those that matter most."""
    columns = list(_COLUMNS)
    for name in ("quartiles", "packed", "error"):
        if sum(_COLUMNS[column] + 1 for column in columns) > output.width():
            columns.remove(name)
    return columns


def _figures(row: Row) -> tuple[str, ...]:
    median, first, third = row.time_median_us, row.time_first_quartile_us, row.time_third_quartile_us
    assert median is not None and first is not None and third is not None
    assert row.gflop_per_s is not None and row.share_of_peak is not None and row.max_error_over_rms is not None
    return (
        texts.time_text(median) + "?" * row.noisy,
        "one sample" if row.samples == 1 else texts.range_text(first, third),
        texts.three_digits(row.gflop_per_s),
        f"{texts.three_digits(100 * row.share_of_peak)}%",
        texts.bytes_text(row.workspace_bytes),
        texts.bytes_text(row.packed_weight_bytes),
        texts.bytes_text(row.peak_memory_bytes),
        f"{row.max_error_over_rms:.0e}",
    )


def _refusals(part: Part) -> Iterator[Text]:
    """A line per row and reason, with the kernel sizes it holds for; JSON and CSV have the full text."""
    from rich.text import Text

    sizes: dict[tuple[str, str, str], list[str]] = {}
    for study in part.studies:
        for row in study.rows:
            if row.status != "measured":
                why = (row.reason or "").partition(", got")[0]  # what it got is the kernel size before the colon
                sizes.setdefault((row.status, row.name, why), []).append(study.layer.name)
            elif row.peak_memory_note is not None and row.peak_memory_note.startswith("not measured"):
                sizes.setdefault(("memory", row.name, row.peak_memory_note), []).append(study.layer.name)
    for (status, name, reason), kernels in sizes.items():
        where = "all sizes" if len(kernels) == len(part.studies) else ", ".join(kernels)
        yield Text(f"{status:8} {name:16} {where}: {reason}")
