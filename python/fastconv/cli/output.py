"""What all commands share: tables, JSON and CSV."""

from __future__ import annotations

import csv
import ctypes
import importlib
import io
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastconv.bench.json_files import as_json
from fastconv.bench.texts import path_text

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


def write_json(data: Mapping[str, Any]) -> None:
    """To standard output; infinity and NaN are null."""
    sys.stdout.write(as_json(data, indent=2))


def obstacle(path: Path) -> str | None:
    """Why this file cannot be written, or None: to be known before minutes of measuring. Its contents stay."""
    is_new = not os.path.lexists(path)
    try:
        # A pipe without a reader would otherwise be waited for.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666))
    except FileNotFoundError:
        return f"no such folder: {path_text(path.absolute().parent)}"
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        return f"cannot write {path_text(path)}: {getattr(error, 'strerror', None) or error}"
    if is_new:
        path.unlink()
    return None


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
        # What they printed may still wait in the C library's buffer, which is written when the process ends.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).fflush(None)
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
