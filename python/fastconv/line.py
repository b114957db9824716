"""``numpy.convolve`` and ``numpy.correlate``: of one axis, with NumPy's modes and results."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering.numbers import AnyArray, as_numbers, one_of
from fastconv.signal.sums import MODES, convolved


def convolve(a: npt.ArrayLike, v: npt.ArrayLike, mode: str = "full") -> npt.NDArray[Any]:
    """Convolve two signals: ``numpy.convolve``.

    Args:
        a, v: One axis, or a number each; numbers or truth values.
        mode: ``"full"``: every output that both reach; ``"same"``: as many as the longer one has, the middle of these;
            ``"valid"``: those at which they overlap completely.
    Returns:
        An array of the dtype of NumPy's promotion of both; sums of integers are exact modulo the range of theirs.
    Raises:
        ValueError: More axes, an empty array, or an unknown mode.
        TypeError: A dtype that is none of numbers.
    Source: the documentation of ``numpy.convolve``.

    >>> convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    x, w = _of_one_axis(a, "a"), _of_one_axis(v, "v")
    shorter = min(len(x), len(w))
    return convolved(x, w, _places(mode, x, w, (shorter - 1) // 2))


def correlate(a: npt.ArrayLike, v: npt.ArrayLike, mode: str = "valid") -> npt.NDArray[Any]:
    """Cross-correlate two signals: ``numpy.correlate``. The second is conjugated.

    Args:
        a, v, mode: As in :func:`convolve`.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError, TypeError: As :func:`convolve` does.
    Source: the documentation of ``numpy.correlate``.

    >>> correlate([1, 2, 3], [0, 1, 0.5], "same")
    array([2. , 3.5, 3. ])
    """
    x, w = _of_one_axis(a, "a"), _of_one_axis(v, "v")
    shorter = min(len(x), len(w))
    start = (shorter - 1) // 2 if len(x) >= len(w) else shorter // 2
    return convolved(x, w.conj()[::-1], _places(mode, x, w, start))


def _of_one_axis(value: object, name: str) -> AnyArray:
    array = np.atleast_1d(as_numbers(value, name, long=True))
    if array.ndim != 1 or not len(array):
        raise ValueError(f"{name}: expected one axis with at least one value, got shape {array.shape}")
    return array


def _places(mode: object, x: AnyArray, w: AnyArray, start: int) -> tuple[range, ...]:
    shorter, longer = sorted((len(x), len(w)))
    kind = one_of(mode, MODES, "mode")
    if kind == "full":
        return (range(shorter + longer - 1),)
    return (range(start, start + longer),) if kind == "same" else (range(shorter - 1, longer),)
