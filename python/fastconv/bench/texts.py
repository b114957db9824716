"""Numbers as people read them: three digits and a unit."""

from __future__ import annotations

import os
from pathlib import Path

from fastconv.introspection import quantity


def path_text(path: Path | str) -> str:
    """A file's name as text that can be written anywhere: bytes that are no UTF-8 as \\xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


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
