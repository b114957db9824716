"""``fastconv bench diff``: what changed between two runs, beyond the noise."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastconv.bench import texts
from fastconv.bench.diff import Change, Difference, difference
from fastconv.bench.json_files import read_json
from fastconv.bench.texts import path_text
from fastconv.cli import options as opt
from fastconv.cli import output


def add_parser(subjects: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    diff = subjects.add_parser(
        "diff",
        help="what changed between two runs, beyond the noise",
        description="Compare two files that fastconv bench --json wrote. The machine's drift between the runs is taken "
        "out: the other engines' on the same layer, else the FMA peak's. Exit code 1 if something is slower.",
    )
    diff.add_argument("before", type=Path, metavar="A.json")
    diff.add_argument("after", type=Path, metavar="B.json")
    diff.add_argument("--engine", default="fastconv", help="whose times, e.g. 'fastconv direct' (default: %(default)s)")
    diff.add_argument("--all", action="store_true", help="show layers without a change, too")
    diff.add_argument("--json", action="store_true", help="write JSON to standard output")
    diff.set_defaults(run=run, parser=diff)


def run(options: argparse.Namespace) -> int:
    """Compare, print or write; 1 if a layer is slower."""
    if not options.json:
        output.require("rich")
    try:
        found = difference(_read(options, "before"), _read(options, "after"), options.engine)
    except ValueError as error:
        opt.usage_error(options, error)
    if options.json:
        output.write_json(asdict(found))
    else:
        _show(found, show_all=options.all)
    return int(any(change.verdict == "slower" for change in found.changes))


def _read(options: argparse.Namespace, which: str) -> Any:
    path: Path = getattr(options, which)
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        options.parser.error(f"argument {which}: cannot read {path_text(path)}: {error}")


def _show(found: Difference, *, show_all: bool) -> None:
    shown = sorted(
        (change for change in found.changes if show_all or change.verdict != "same"),
        key=lambda change: -change.factor,
    )
    parts: list[Any] = []
    if shown:
        table = output.new_table("<layer", "before", "after", "drift", "factor", "<", title=found.engine)
        for change in shown:
            table.add_row(*_cells(change))
        parts += [table, ""]
    counts = {
        verdict: sum(change.verdict == verdict for change in found.changes) for verdict in ("faster", "slower", "same")
    }
    parts.append(
        ", ".join(f"{verdict}: {count}" for verdict, count in counts.items()) + f"; mean factor {found.factor:.3f}"
    )
    parts += [f"{name} differs: {old!r}, {new!r}" for name, (old, new) in found.unlike.items()]
    for which, names in (("first", found.only_before), ("second", found.only_after)):
        if names:
            parts.append(f"only in the {which}: {', '.join(names)}")
    output.show(*parts)


def _cells(change: Change) -> tuple[str, ...]:
    return (
        change.layer,
        texts.time_text(change.before_us),
        texts.time_text(change.after_us) + "?" * change.noisy,
        f"{change.drift:.2f}",
        f"{change.factor:.2f}",
        change.verdict,
    )
