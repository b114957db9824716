"""What a section of the study is: jobs that measure, findings in their figures, and HTML that shows both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastconv.study.shown import Shown

Say = Callable[[str], None]
"""Told what is going on, now and then."""


@dataclass(frozen=True)
class Scale:
    """How much to measure.

    Attributes:
        name: "tiny" (a trial of the report, not of the machine), "quick" or "full".
        min_time, rounds: Per candidate, as in :func:`fastconv.bench.measure.measure`.
        memory: Whether peak memory is measured in fresh processes, beside what the core states.
    """

    name: str
    min_time: float
    rounds: int
    memory: bool

    def pick(self, tiny: Any, quick: Any, full: Any) -> Any:
        """The one of three that belongs to this scale."""
        return {"tiny": tiny, "quick": quick, "full": full}[self.name]


SCALES = {
    scale.name: scale
    for scale in (
        Scale("tiny", min_time=0.002, rounds=3, memory=False),
        Scale("quick", min_time=0.03, rounds=7, memory=True),
        Scale("full", min_time=0.15, rounds=11, memory=True),
    )
}


@dataclass(frozen=True)
class Job:
    """A measurement that is done in one go; between two of them the study can be stopped.

    Attributes:
        name: Unique in its section, without "/".
        run: Measures; returns what JSON can hold.
        effort: Expected length, in candidates times `min_time`: for the time left.
    """

    name: str
    run: Callable[[Say], Any]
    effort: float = 1.0


@dataclass(frozen=True)
class Section:
    """A chapter of the report.

    Attributes:
        key: Of the section in report.json, and of its anchor.
        question: What is asked; the findings answer it.
        jobs: What to measure.
        find: From results by job to the numbers that sentences and figures need beside them.
        write: HTML: sentences, tables, figures.
        needs: Packages without which the section is left out.
    """

    key: str
    title: str
    question: str
    jobs: Callable[[Scale], Sequence[Job]]
    find: Callable[[Mapping[str, Any]], dict[str, Any]]
    write: Callable[[Shown], Iterator[str]]
    needs: tuple[str, ...] = ()
