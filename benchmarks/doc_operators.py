"""The parts of docs/operators.md that come from operators.py; see write_docs.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from doc_tables import Run, prose, table
from operators import OPERATORS, cells, mean, ratio


def _by_operator(run: Run) -> Iterator[tuple[str, list[Run]]]:
    for operator in OPERATORS:
        rows = [row for row in run["rows"] if row["operator"] == operator]
        if rows:
            yield operator, rows


def operators(run: Run) -> Iterator[str]:
    """Per operator: how many times as fast as PyTorch, on average and at worst."""
    lines = []
    for operator, rows in _by_operator(run):
        prepared = "fastconv" in rows[0]["microseconds"]
        found = [operator, str(len(rows))]
        for function in (False, True):
            if function or prepared:
                least = min(rows, key=lambda row: ratio(row, function=function))
                found += [f"{mean(ratio(row, function=function) for row in rows):.2f}",
                          f"{ratio(least, function=function):.2f} ({least['layer']})"]  # fmt: skip
            else:
                found += ["-", "-"]
        lines.append(found)
    yield from table(("<operator", "layers", "prepared: mean", "<least", "function: mean", "<least"), lines)


def operator_machine(run: Run) -> Iterator[str]:
    """Where they were measured."""
    engines = ", ".join(f"{name} {version}" for name, version in run["engines"].items())
    yield from prose(f"{run['cpu']}, {run['isa']}, threads: {run['threads']}; {engines}, {run['compiler']}.")


def operator_layers(run: Run) -> Iterator[str]:
    """Every layer."""
    for operator, rows in _by_operator(run):
        columns = f"<{operator}", "prepared", "function", "PyTorch", "ratio", "function's"
        yield from table(columns, [cells(row) for row in rows])
        yield ""


PARTS: dict[str, Callable[..., Iterator[str]]] = {
    "operators": operators,
    "operator_machine": operator_machine,
    "operator_layers": operator_layers,
}
