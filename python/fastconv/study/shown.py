"""Numbers on the page: each is an element that knows its place in report.json, and a test compares both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from fastconv.bench import texts
from fastconv.introspection import quantity

FORMS: dict[str, Callable[[Any], str]] = {
    "time": lambda microseconds: texts.time_text(microseconds).replace("us", "µs"),
    "picoseconds": lambda value: f"{texts.three_digits(value)} ps",
    "bytes": texts.bytes_text,
    # What the operating system counts is blurred by some pages per thread.
    "growth": lambda value: texts.bytes_text(value) if value >= 1 << 18 else "< 256 KiB",
    "count": lambda value: f"{value:,}",
    "quantity": lambda value: quantity(value, "", 1000).replace(" ", "\u202f"),
    "ratio": lambda value: f"{value:.2f}" if value < 9.995 else f"{value:,.0f}",
    "inverse": lambda value: FORMS["ratio"](1 / value),
    "percent": lambda value: f"{100 * value:.0f}%",
    "fine percent": lambda value: f"{100 * value:.1f}%",
    "less": lambda value: f"{100 * (1 - value):.0f}%",
    "more": lambda value: f"{100 * (value - 1):.0f}%",
    "error": lambda value: f"{value:.1e}",
    "rate": texts.three_digits,
    "plain": str,
    "pixels": lambda value: " × ".join(map(str, value)),
}
"""From a value in the JSON to what the page says."""

ABSENT = "–"


class Shown:
    """The data of one section, and its numbers as HTML.

    Args:
        key: Of the section.
        measured: Results by job.
        found: What the section's `find` made of them.
    """

    def __init__(self, key: str, measured: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        self.key = key
        self.measured = measured
        self.found = found

    def value(self, *path: str | int) -> Any:
        """What stands at a path such as ``("found", "worst")``."""
        at: Any = {"measured": self.measured, "found": self.found}
        for step in path:
            at = at[step]
        return at

    def __call__(self, form: str, *path: str | int) -> str:
        """The number at `path` as HTML, in one of `FORMS`; a dash for None."""
        value = self.value(*path)
        if value is None:
            return ABSENT
        pointer = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in ("sections", self.key, *path))
        text = escape(FORMS[form](value))
        return (
            f'<data value="{escape(json.dumps(value))}" data-form="{form}" data-at="/{escape(pointer)}">{text}</data>'
        )

    def faster(self, *path: str | int) -> str:
        """A ratio of times (other's over own) in words: "1.52 times as fast as", "1.30 times slower than"."""
        ratio = self.value(*path)
        if abs(ratio - 1) <= 0.03:
            return f"as fast ({self('ratio', *path)}) as"
        return (
            f"{self('ratio', *path)} times as fast as" if ratio > 1 else f"{self('inverse', *path)} times slower than"
        )

    def fewer(self, *path: str | int) -> str:
        """A share of something counted, in words: "45% fewer", "13% more", "as many"."""
        share = self.value(*path)
        if abs(share - 1) < 0.005:
            return "as many"
        return f"{self('less', *path)} fewer" if share < 1 else f"{self('more', *path)} more"
