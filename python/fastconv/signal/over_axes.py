"""Convolutions over some axes, whose integers become floating-point numbers; the other axes are broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering.numbers import AnyArray
from fastconv.geometry import as_int
from fastconv.signal.sums import as_mode, convolved, of_same_axes, window


def fftconvolve(
    in1: npt.ArrayLike, in2: npt.ArrayLike, mode: str = "full", axes: int | Sequence[int] | None = None
) -> npt.NDArray[Any]:
    """:func:`convolve` whose integers become float64, and float16 float32: ``scipy.signal.fftconvolve``.

    As there, axes along which one array has a single place are broadcast, and if there are no others, dtypes stay.

    Args:
        in1, in2, mode: As in :func:`convolve`.
        axes: The axes to convolve over, numbered as in NumPy; None for all. Along the others the arrays are of one
            size, or one has a single place.
    Returns:
        An array of floating-point or complex numbers; of empty arrays an empty one of one axis, as in SciPy.
    Raises:
        ValueError, TypeError: As :func:`convolve` does.
    Source: the documentation of ``scipy.signal.fftconvolve``.

    >>> fftconvolve([1, 2, 3], [1, 1])
    array([1., 3., 5., 3.])
    """
    x, w = of_same_axes(in1, in2)
    if x.ndim == 0:
        return np.multiply(x, w)
    if 0 in (x.size, w.size):
        return np.array([])
    over = _as_axes(axes, x.ndim)
    own_mode = as_mode(mode)
    for axis, (n, k) in enumerate(zip(x.shape, w.shape, strict=True)):
        if axis not in over and n != k and 1 not in (n, k):
            raise ValueError(
                f"in2: expected the size of in1 along axis {axis}, or 1, got shapes {x.shape} and {w.shape}"
            )
    summed = tuple(axis for axis in over if 1 not in (x.shape[axis], w.shape[axis]))
    others = tuple(axis for axis in range(x.ndim) if axis not in summed)
    if summed:
        x, w = _as_inexact(x), _as_inexact(w)
    if own_mode == "same":  # as SciPy: of all axes the middle that has in1's extent
        for axis in others:
            start = (max(x.shape[axis], w.shape[axis]) - x.shape[axis]) // 2
            if w.shape[axis] > 1:
                w = w[(slice(None),) * axis + (slice(start, start + x.shape[axis]),)]
    x, w = (np.moveaxis(a, others + summed, range(a.ndim)) for a in (x, w))
    first = len(others)
    places = window(own_mode, x.shape[first:], w.shape[first:])
    y = convolved(x, w, places) if summed else np.multiply(x, w)
    return np.ascontiguousarray(np.moveaxis(y, range(y.ndim), others + summed))


def oaconvolve(
    in1: npt.ArrayLike, in2: npt.ArrayLike, mode: str = "full", axes: int | Sequence[int] | None = None
) -> npt.NDArray[Any]:
    """The same as :func:`fftconvolve`, under the name ``scipy.signal.oaconvolve``: there is one way to sum here.

    Args:
        in1, in2, mode, axes: As in :func:`fftconvolve`.
    Returns:
        As :func:`fftconvolve` does.
    Raises:
        ValueError, TypeError: As :func:`convolve` does.
    Source: the documentation of ``scipy.signal.oaconvolve``.

    >>> oaconvolve([1, 2, 3], [1, 1])
    array([1., 3., 5., 3.])
    """
    return fftconvolve(in1, in2, mode, axes)


def _as_axes(axes: object, ndim: int) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(ndim))
    numbers = tuple(axes) if isinstance(axes, Sequence) and not isinstance(axes, str | bytes) else (axes,)
    over = tuple(sorted(as_int(axis, "axes", -ndim, ndim - 1) % ndim for axis in numbers))
    if not 1 <= len(set(over)) == len(over):
        raise ValueError(f"axes: expected at least one axis, each once, got {axes!r}")
    return over


def _as_inexact(a: AnyArray) -> AnyArray:
    """What transforms are made of in SciPy."""
    if a.dtype.kind in "biu":
        return a.astype(np.float64)
    return a.astype(np.float32) if a.dtype.name == "float16" else a
