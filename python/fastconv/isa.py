"""Which instruction set the kernels run with: the best one of this CPU, unless told otherwise."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from fastconv import _core
from fastconv.context import setting


def available_isas() -> tuple[str, ...]:
    """The instruction sets of this build that this CPU and operating system can run, best last.

    Returns:
        Names for :func:`use_isa` and the environment variable ``FASTCONV_ISA``, e.g. ``("scalar", "avx2", "avx512")``.
    """
    return _core.available_isas()


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"isa: expected a name, one of {', '.join(available_isas())}, got {name!r}")
    if name not in available_isas():
        why = "this CPU cannot run it" if name in _core.compiled_isas() else "this build does not have it"
        raise ValueError(f"isa: expected one of {', '.join(available_isas())}, got {name!r}: {why}")
    return name


@contextmanager
def use_isa(name: str) -> Iterator[None]:
    """Run the kernels of one instruction set inside a ``with`` block, then those of before.

    The block belongs to its context, as that of :func:`num_threads` does. A :class:`Conv2d` keeps the instruction set
    of the moment at which it first saw an input shape.

    Args:
        name: One of :func:`available_isas`.
    Raises:
        TypeError: `name` is not a string.
        ValueError: This build or this CPU does not have it.

    >>> import fastconv
    >>> with use_isa("scalar"):
    ...     fastconv.show_config(mode="dicts")["isa"]["in_use"]
    'scalar'
    """
    with setting("isa", _core.compiled_isas().index(_checked(name))):
        yield


def warn_of_environment() -> None:
    """RuntimeWarning if ``FASTCONV_ISA`` names something that does not run here and was therefore passed over."""
    wanted = os.environ.get("FASTCONV_ISA")
    if wanted and wanted not in available_isas():
        warnings.warn(
            f"FASTCONV_ISA: expected one of {', '.join(available_isas())}, got {wanted!r}; using {_core.get_isa()!r}",
            RuntimeWarning,
            stacklevel=3,
        )
