"""How many threads a call may use. They start at first use, never at import; results do not depend on their number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastconv import _core
from fastconv.geometry import as_int

MAX_THREADS = 256


def get_num_threads() -> int:
    """The number of threads a call may use, the calling one included.

    At first it is ``FASTCONV_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the number of CPUs that the affinity mask
    and the cgroup quota leave to this process. Small problems use fewer.

    Returns:
        From 1 to 256.
    """
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Let every call from now on use up to `n` threads, in the whole process.

    Args:
        n: From 1 to 256, the calling thread included.
    Raises:
        TypeError: `n` is not an int.
        ValueError: `n` is not from 1 to 256.
    """
    _core.set_num_threads(as_int(n, "n", 1, MAX_THREADS))


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Use up to `n` threads inside a ``with`` block, then as many as before. Holds for the whole process, not for the
    calling thread alone.

    Args:
        n: From 1 to 256, the calling thread included.
    Raises:
        TypeError: `n` is not an int.
        ValueError: `n` is not from 1 to 256.

    >>> with num_threads(1):
    ...     get_num_threads()
    1
    """
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        _core.set_num_threads(before)
