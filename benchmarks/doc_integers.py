"""The parts of docs/integers.md that come from integers.py; see write_docs.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from doc_tables import Run, prose, table
from integers import COLUMNS, cells, share
from operators import mean


def integer_machine(run: Run) -> Iterator[str]:
    """Where they were measured."""
    engines = ", ".join(f"{name} {version}" for name, version in run["engines"].items())
    yield from prose(f"{run['cpu']}, {run['isa']}, threads: {run['threads']}; {engines}, {run['compiler']}.")


def integer_layers(run: Run) -> Iterator[str]:
    """Every layer, every way."""
    yield from table(["<layer", *COLUMNS], [cells(row) for row in run["rows"]])


def integer_ratios(run: Run) -> Iterator[str]:
    """How many times as fast as the others, dense and depthwise layers apart; and what was not exact."""
    for name, rows in (
        ("Dense layers", [row for row in run["rows"] if "depthwise" not in row["layer"]]),
        ("Depthwise layers", [row for row in run["rows"] if "depthwise" in row["layer"]]),
    ):
        found = []
        for ours, other, said in (
            ("int32", "in float", "the same sums in float"),
            ("int32", "ConvInteger", "ONNX Runtime's ConvInteger"),
            ("uint8", "QLinearConv", "its QLinearConv"),
            ("uint8", "PyTorch", "PyTorch's"),
            ("int32", "float32", "float32"),
        ):
            ratios = [row["microseconds"][other] / row["microseconds"][ours] for row in rows]
            found.append(f"{mean(ratios):.2f} times as fast as {said} ({min(ratios):.2f} to {max(ratios):.2f})")
        shares = [100 * share(row, "int32") for row in rows]
        yield from prose(f"{name}: {'; '.join(found)}; {min(shares):.0f} to {max(shares):.0f} % of the peak of bytes.")
        yield ""
    off = [(row["layer"], name, part) for row in run["rows"] for name, part in row["off"].items() if part > 0]
    names = sorted({name for _, name, _ in off})
    if off:
        parts = [100 * part for _, _, part in off]
        layers = "the depthwise ones" if all("depthwise" in layer for layer, _, _ in off) else f"{len(off)} layers"
        yield from prose(f"Off by more than 1: {', '.join(names)}, on {layers}, with {min(parts):.1f} to "
                         f"{max(parts):.1f} % of the outputs.")  # fmt: skip


PARTS: dict[str, Callable[..., Iterator[str]]] = {
    "integer_machine": integer_machine,
    "integer_layers": integer_layers,
    "integer_ratios": integer_ratios,
}
