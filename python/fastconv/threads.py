"""How many threads a call may use. They start at first use, never at import; results do not depend on their number."""

from __future__ import annotations

import os
import threading  # noqa: F401  the core asks it for the main thread; who imports it first may be taken for that
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from fastconv import _core
from fastconv.context import setting
from fastconv.geometry import as_int

MAX_THREADS = 256


def get_num_threads() -> int:
    """The number of threads a call may use here, the calling one included.

    Inside a block of :func:`num_threads` it is the block's. Else it is what :func:`set_num_threads` said; at first
    ``FASTCONV_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the number of CPUs that the affinity mask and the cgroup
    quota leave to this process. Small problems use fewer.

    Returns:
        From 1 to 256.
    """
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Let calls from now on use up to `n` threads, in the whole process; blocks of :func:`num_threads` keep their own.

    Args:
        n: From 1 to 256, the calling thread included.
    Raises:
        TypeError: `n` is not an int.
        ValueError: `n` is not from 1 to 256.
    """
    _core.set_num_threads(as_int(n, "n", 1, MAX_THREADS))


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Use up to `n` threads inside a ``with`` block, then as many as before.

    The block belongs to its context, as :mod:`contextvars` has it: neither other threads nor other asyncio tasks see
    it, unless they were started within it and have inherited it (a task has; a thread runs
    ``contextvars.copy_context().run(function)`` to). As a decorator it holds for the calls of a function.

    Args:
        n: From 1 to 256, the calling thread included.
    Raises:
        TypeError: `n` is not an int.
        ValueError: `n` is not from 1 to 256.

    >>> with num_threads(1):
    ...     get_num_threads()
    1
    """
    with setting("threads", as_int(n, "n", 1, MAX_THREADS)):
        yield


def warn_of_environment() -> None:
    """RuntimeWarning if ``FASTCONV_NUM_THREADS`` says no number that it can be, and is therefore passed over."""
    wanted = os.environ.get("FASTCONV_NUM_THREADS")
    if wanted and not 1 <= _core.threads_in_environment("FASTCONV_NUM_THREADS") <= MAX_THREADS:
        warnings.warn(
            f"FASTCONV_NUM_THREADS: expected a number from 1 to {MAX_THREADS}, got {wanted!r}; "
            f"using {_core.default_num_threads()}",
            RuntimeWarning,
            stacklevel=3,
        )
