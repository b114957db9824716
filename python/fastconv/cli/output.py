"""What all commands share: tables, numbers with units, JSON and CSV, and the record of where data came from."""

from __future__ import annotations

import csv
import datetime
import importlib
import io
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import _core
from fastconv.introspection import quantity

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 120


class MissingExtra(Exception):
    """A package of the ``cli`` extra is not installed."""


def require(*modules: str) -> None:
    """Import packages of the ``cli`` extra.

    Raises:
        MissingExtra: One is not there; the text says what to install.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            raise MissingExtra(f'this command needs {module}: pip install "fastconv[cli]"') from None


def provenance() -> dict[str, Any]:
    """What produced the data: version, machine, instruction set, threads, command line and time."""
    cpu = _core.cpu_info()
    return {
        "fastconv_version": _core.build_info()["version"],
        "compiler": _core.build_info()["compiler"],
        "cpu": cpu["brand"],
        "usable_cpus": cpu["usable_cpus"],
        "isa": _core.get_isa(),
        "threads": _core.get_num_threads(),
        "python_version": platform.python_version(),
        "numpy_version": np.__version__,
        "platform": platform.platform(),
        "utc": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "argv": sys.argv[1:],
    }


def write_json(data: Mapping[str, Any]) -> None:
    """To standard output; refuses NaN, which is no JSON."""
    sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + "\n")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Lose what compiled libraries write to standard output, so that JSON stays JSON; their errors are kept."""
    sys.stdout.flush()
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def write_csv(rows: Iterable[Mapping[str, Any]]) -> None:
    """To standard output, one line per row; all rows have the first one's fields. None is an empty cell."""
    rows = list(rows)
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def width() -> int:
    """Columns of the terminal, or 120 if standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL


def show(*parts: RenderableType) -> None:
    """Print tables and text to standard output, with colours if it is a terminal."""
    from rich.console import Console

    # Rendered first and written by us: rich would turn a broken pipe into an exit of its own.
    text = io.StringIO()
    console = Console(file=text, force_terminal=sys.stdout.isatty(), width=width(), highlight=False, emoji=False)
    for part in parts:
        console.print(part)
    sys.stdout.write(text.getvalue())
    sys.stdout.flush()


def new_table(*columns: str, title: str | None = None) -> Table:
    """A table with a rule under its head. A column whose name begins with ``<`` is text, the others are figures."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", padding=(0, 0))
    table.show_edge = False
    for column in columns:
        is_text = column.startswith("<")
        table.add_column(column.removeprefix("<"), justify="left" if is_text else "right", no_wrap=not is_text)
    return table


def time_text(microseconds: float) -> str:
    """E.g. "12.3 us", "1.23 ms", "1.23 s"."""
    size, unit = _time_unit(microseconds)
    return f"{three_digits(microseconds / size)} {unit}"


def range_text(low_microseconds: float, high_microseconds: float) -> str:
    """E.g. "1.20..1.31 ms"."""
    size, unit = _time_unit(high_microseconds)
    return f"{three_digits(low_microseconds / size)}..{three_digits(high_microseconds / size)} {unit}"


def _time_unit(microseconds: float) -> tuple[float, str]:
    return (1e6, "s") if microseconds >= 1e6 else (1e3, "ms") if microseconds >= 1e3 else (1.0, "us")


def bytes_text(count: int | None) -> str:
    """E.g. "36 KiB"; "-" for None."""
    return "-" if count is None else quantity(count, "B", 1024)


def three_digits(value: float) -> str:
    """E.g. "0.12", "1.23", "12.3", "123"."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
