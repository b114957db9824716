"""The bar on standard error, with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int, unit: str) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """A bar drawn between samples only: a thread that redraws would disturb what is timed.

    Args:
        total: Steps until it is full.
        unit: What they are called.
    Yields:
        A function that shows what is going on, at most ten times a second, and one that counts a step.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(30),
        MofNCompleteColumn(),
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

        yield step, lambda: bar.update(task, advance=1, refresh=True)
