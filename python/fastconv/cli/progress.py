"""The bar on standard error, with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Counts steps that are done."""

    def __call__(self, steps: float = 1) -> None: ...


@contextmanager
def progress(total: float, unit: str, *, share: bool = False) -> Iterator[tuple[Callable[[str], None], Advance]]:
    """A bar drawn between samples only: a thread that redraws would disturb what is timed.

    Args:
        total: Steps until it is full.
        unit: What they are called.
        share: Show the share that is done instead of a count: steps are of different length.
    Yields:
        A function that shows what is going on, at most ten times a second, and one that counts a step.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(30),
        TaskProgressColumn() if share else MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(
        *columns, console=Console(stderr=True), auto_refresh=False, transient=True, speed_estimate_period=3600
    ) as bar:
        task = bar.add_task("", total=total)
        drawn = 0.0

        def step(text: str) -> None:
            nonlocal drawn
            if time.monotonic() - drawn > 0.1:
                bar.update(task, description=text, refresh=True)
                drawn = time.monotonic()

        def advance(steps: float = 1) -> None:
            bar.update(task, advance=steps, refresh=True)

        yield step, advance
