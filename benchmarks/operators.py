"""Every operator against PyTorch's of the same name, on ten typical shapes each, in one interleaved run.

`python benchmarks/operators.py conv1d conv_transpose2d --threads 1` prints a Markdown table; without names, all of
them. `--json FILE` keeps the figures in FILE beside those of other operators that it has, so that a run can be made in
pieces. Where fastconv has a prepared form, it is timed beside the function. Results are compared before they are timed.

With several threads set OMP_WAIT_POLICY=passive, which costs PyTorch the waking of its threads: else they spin, after
every call, on the cores that fastconv's turn is to be measured on, and take up to half of its time.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from operator_cases import CASES, Case

import fastconv
from fastconv.bench.measure import Timing, measure
from fastconv.bench.provenance import provenance

OPERATORS = tuple(dict.fromkeys(case.operator for case in CASES))
WAYS = ("fastconv", "fastconv()", "PyTorch")
Row = dict[str, Any]


def time_case(case: Case, seconds: float) -> dict[str, Timing]:
    """All ways in turns.

    Raises:
        SystemExit: Results differ.
    """
    ways = case.ways()
    results = {name: np.asarray(way()) for name, way in ways.items()}
    expected = results["PyTorch"]
    largest = float(np.abs(expected).max())
    for name, result in results.items():
        error = float(np.abs(result - expected).max()) / largest
        if result.shape != expected.shape or error > 1e-4:
            raise SystemExit(f"{case.operator} {case.name}: {name} is off by {error:.1e} of the largest output")
    return measure(ways, min_time=seconds, rounds=15)


def row(case: Case, seconds: float) -> Row:
    """Microseconds by way, with the quartiles."""
    timings = time_case(case, seconds)
    return {
        "operator": case.operator,
        "layer": case.name,
        "dtype": case.dtype,
        "microseconds": {name: round(timing.median * 1e6, 2) for name, timing in timings.items()},
        "quartiles": {name: [round(q * 1e6, 2) for q in timing.quartiles] for name, timing in timings.items()},
    }


def ratio(row: Row, *, function: bool = False) -> float:
    """How many times as fast as PyTorch: the prepared form, if there is one, or the function."""
    times: dict[str, float] = row["microseconds"]
    ours = times["fastconv()"] if function else times.get("fastconv", times["fastconv()"])
    return times["PyTorch"] / ours


def mean(ratios: Iterable[float]) -> float:
    """The geometric one."""
    logarithms = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logarithms) / len(logarithms))


def cells(row: Row) -> list[str]:
    """Of a Markdown table: the layer, times, and both ratios."""
    times = row["microseconds"]
    shown = [f"{times[name]:.0f} us" if name in times else "-" for name in WAYS]
    return [row["layer"], *shown, f"{ratio(row):.2f}", f"{ratio(row, function=True):.2f}"]


def keep(file: Path, rows: list[Row]) -> None:
    """Merge into `file`, in the order of CASES; the record is that of the last piece."""
    import torch

    told = provenance() | {"argv": [], "engines": {"fastconv": fastconv.__version__, "PyTorch": torch.__version__}}
    before: list[Row] = []
    if file.exists():
        data = json.loads(file.read_text("utf-8"))
        for name in ("threads", "cpu", "isa", "fastconv_version", "engines"):
            if data[name] != told[name]:
                raise SystemExit(f"{file}: {name} was {data[name]}, is {told[name]}: not one run")
        before = data["rows"]
    made = {(row["operator"], row["layer"]): row for row in [*before, *rows]}
    order = [made[case.operator, case.name] for case in CASES if (case.operator, case.name) in made]
    file.write_text(json.dumps(told | {"rows": order}, separators=(",", ":")) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", help=f"of: {'; '.join(OPERATORS)}. All without any")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each way to call (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the figures")
    arguments = parser.parse_args()
    import torch

    if unknown := set(arguments.operators) - set(OPERATORS):
        parser.error(f"no such operator: {', '.join(sorted(unknown))}")
    torch.set_num_threads(arguments.threads)
    print(f"PyTorch {torch.__version__}, threads: {arguments.threads}, {fastconv._core.get_isa()}\n")
    with fastconv.num_threads(arguments.threads):
        for operator in arguments.operators or OPERATORS:
            print(f"| {operator} | prepared | function | PyTorch | ratio | function's |\n|---|--:|--:|--:|--:|--:|")
            rows = []
            for case in (case for case in CASES if case.operator == operator):
                rows.append(row(case, arguments.seconds))
                print(f"| {' | '.join(cells(rows[-1]))} |", flush=True)
            ratios = [ratio(row) for row in rows]
            print(f"| geometric mean, least | | | | {mean(ratios):.2f}, {min(ratios):.2f} | |\n")
            if arguments.json:
                keep(arguments.json, rows)


if __name__ == "__main__":
    main()
