"""What holds in a context of :mod:`contextvars`, a thread or an asyncio task, rather than in the whole process.

The core reads :data:`fastconv._core.settings` at each call. A block adds an entry and takes out that very entry when it
ends: to put back what it read would undo what other blocks of the context have done meanwhile, where they overlap
without one lying in the other (two generators that take turns).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from fastconv import _core


class Entry(NamedTuple):
    """What one block asks for."""

    name: Literal["threads", "isa"]
    value: int


def _entries() -> tuple[Entry, ...]:
    settings = _core.settings.get(None)
    return () if settings is None else settings[2]


def _put(entries: tuple[Entry, ...]) -> None:
    last = {entry.name: entry.value for entry in entries}  # the block that began last counts
    _core.settings.set((last.get("threads", 0), last.get("isa", -1), entries))


@contextmanager
def setting(name: Literal["threads", "isa"], value: int) -> Iterator[None]:
    """Let `name` be `value` for the calls of this context while the block lasts.

    Args:
        name: What to set.
        value: A number of threads; an instruction set's place in `_core.compiled_isas()`.
    """
    own = Entry(name, value)
    _put((*_entries(), own))
    try:
        yield
    finally:
        _put(tuple(entry for entry in _entries() if entry is not own))
