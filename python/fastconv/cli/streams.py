"""Standard output and error as the command needs them: open, and able to take every character that it prints."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# For encodings without them: the rule of a table, rich's mark of a cut cell, quotation marks. One character each, so
# that columns stay where they are.
_PLAIN = {"\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-", "\N{HORIZONTAL ELLIPSIS}": "~", "\N{MULTIPLICATION SIGN}": "x"}
_BYTE = range(0xDC80, 0xDD00)  # what a byte of a file name is that is no UTF-8; see PEP 383


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is written for a character that the encoding lacks: a plain one or "?"; bytes of file names stay."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if ord(character) in _BYTE:
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _PLAIN.get(character, "?"), error.start + 1


codecs.register_error("fastconv.plain", _plain)


class OutputClosed(OSError):
    """There is no standard output to write to."""


@contextmanager
def usable() -> Iterator[None]:
    """Make standard output take all characters, and give a process that has no standard error one that leads nowhere.

    Raises:
        OutputClosed: Standard output is closed, open for reading only, or full: found out before any work.
        BrokenPipeError: Whoever read it has left already.
    """
    before = sys.stderr
    if sys.stderr is None:
        _fill_descriptors()
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  (a print to None goes to standard output)
    try:
        _check_output()
        with _every_character(sys.stdout):
            yield
    finally:
        if sys.stderr is not before:
            sys.stderr.close()
            sys.stderr = before


def drop_unwritten() -> None:
    """Lose what the streams do not take: the interpreter would try once more when it ends, and exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            try:
                stream.flush()
            except OSError:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def say(message: str) -> None:
    """A line on standard error, if anyone can be told."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(message, file=sys.stderr, flush=True)


def _fill_descriptors() -> None:
    """No file that is opened from now on becomes descriptor 0, 1 or 2, into which libraries print."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _check_output() -> None:
    if sys.stdout is None:
        raise OutputClosed("standard output is closed")
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return  # no file: whoever put it there knows
    try:
        os.write(descriptor, b"")
    except OSError as error:
        raise OutputClosed(f"standard output cannot be written to: {error.strerror}") from None
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, 0)
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            raise BrokenPipeError


@contextmanager
def _every_character(stream: object) -> Iterator[None]:
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="fastconv.plain")
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            stream.reconfigure(errors=before)
