"""Measure the study, job by job; what is done is kept, so that a study that was stopped goes on where it was."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastconv import _core
from fastconv.bench.json_files import as_json, read_json
from fastconv.bench.provenance import provenance
from fastconv.bench.texts import path_text
from fastconv.study.page import page
from fastconv.study.section import Job, Say, Scale, Section

REPORT, DATA = "report.html", "report.json"

# What must be the same for two parts of a study to stand on one page.
_SAME = ("fastconv_version", "compiler", "cpu", "isa", "threads", "numpy_version", "scale", "dtype")


@dataclass(frozen=True)
class Plan:
    """The jobs of a study, and what of it was left out."""

    jobs: tuple[tuple[Section, Job], ...]
    left_out: Mapping[str, str]

    @property
    def effort(self) -> float:
        return sum(job.effort for _, job in self.jobs)


def plan(sections: Sequence[Section], scale: Scale) -> Plan:
    """What to measure for these sections with the packages that are installed."""
    left_out = {
        section.key: f"it needs {module}, which is not installed"
        for section in sections
        for module in section.needs
        if importlib.util.find_spec(module) is None
    }
    jobs = tuple((section, job) for section in sections if section.key not in left_out for job in section.jobs(scale))
    return Plan(jobs, left_out)


def study(
    folder: Path,
    sections: Sequence[Section],
    scale: Scale,
    *,
    say: Say = lambda step: None,
    done: Callable[[float], None] = lambda effort: None,
) -> dict[str, Any]:
    """Measure what is not measured yet, and write report.json and report.html.

    Args:
        folder: Where they go; made if it is not there. An unfinished report.json of the same machine, version and
            scale in it is gone on with.
        say: Told what is going on.
        done: Told each job's effort when it is done, or was already.
    Returns:
        What report.json holds: the run's provenance, and per section results by job ("measured") and what was
        computed from them ("found").
    Raises:
        OSError: The folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = plan(sections, scale)
    record = {**provenance(), "scale": scale.name, "dtype": "float32", "seconds": 0.0, "complete": False}
    record["sections"] = {section.key: {"measured": {}} for section in sections}
    record = unfinished(folder, record) or record
    for key, reason in work.left_out.items():
        record["sections"][key] = {"left_out": reason}
    for section, job in work.jobs:
        measured = record["sections"][section.key].setdefault("measured", {})
        if job.name not in measured:
            begin = time.monotonic()
            measured[job.name] = job.run(lambda text, title=section.title: say(f"{title}: {text}"))  # type: ignore[misc]
            record["seconds"] = round(record["seconds"] + time.monotonic() - begin, 3)
            _write(folder / DATA, _json(record))
        done(job.effort)
    for section in sections:
        data = record["sections"][section.key]
        if "left_out" not in data:
            data["found"] = section.find(data["measured"])
    record["complete"] = True
    # As it will be read back: tuples are lists, keys are words.
    finished: dict[str, Any] = json.loads(_json(record))
    _write(folder / DATA, _json(finished))
    _write(folder / REPORT, page(finished, sections))
    return finished


def unfinished(folder: Path, like: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of a study that was stopped and may be gone on with; None if there is none."""
    try:
        record = read_json(folder / DATA)
    except (FileNotFoundError, ValueError):
        return None
    same = (
        isinstance(record, dict)
        and all(record.get(name) == like[name] for name in _SAME)
        and isinstance(record.get("seconds"), float)
        and isinstance(record.get("sections"), dict)
        and set(like["sections"]) == set(record["sections"])
        and all(isinstance(section, dict) for section in record["sections"].values())
    )
    return record if same and record.get("complete") is False else None


def redraw(folder: Path, sections: Sequence[Section]) -> dict[str, Any]:
    """Write report.html anew from report.json.

    Raises:
        OSError, ValueError: There is no finished report.json, or it is not what this version writes.
    """
    path = folder / DATA
    record: Any = read_json(path)
    if not isinstance(record, dict) or not isinstance(record.get("sections"), dict):
        raise ValueError(f"{path_text(path)}: expected what fastconv study writes")
    if not record.get("complete"):
        raise ValueError(f"{path_text(path)}: expected a finished study, got one that was stopped")
    known = [section for section in sections if section.key in record["sections"]]
    try:
        text = page(record, known)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ValueError(
            f"{path_text(path)}: expected what fastconv {_core.build_info()['version']} study writes, got a file of "
            f"fastconv {record.get('fastconv_version')} with other contents ({type(error).__name__}: {error})"
        ) from error
    _write(folder / REPORT, text)
    return record


def _json(record: Mapping[str, Any]) -> str:
    return as_json(record, indent=1)


def part_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(path.name + ".part")


def _write(path: Path, text: str) -> None:
    """Whole or not at all: whoever stops us finds the old file or the new one."""
    part = part_of(path)
    part.write_text(text, "utf-8")
    part.replace(path)
