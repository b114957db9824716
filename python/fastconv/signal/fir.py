"""Filters of finite impulse response: ``lfilter`` and ``filtfilt`` without feedback, and separable ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering.edges import padded
from fastconv.filtering.numbers import AnyArray, as_numbers, one_of
from fastconv.geometry import as_int
from fastconv.signal.sums import convolved


class NotSupported(TypeError, NotImplementedError):
    """A dtype that SciPy raises NotImplementedError for."""


def lfilter(
    b: npt.ArrayLike, a: npt.ArrayLike, x: npt.ArrayLike, axis: int = -1, zi: npt.ArrayLike | None = None
) -> Any:
    """Filter along an axis: ``scipy.signal.lfilter``, for filters without feedback.

    Args:
        b: The filter's taps.
        a: One number, by which they are divided.
        x: Any number of axes.
        axis: That to filter along.
        zi: What earlier values add to the first ``len(b) - 1`` outputs, of the shape of `x` but for that axis, or with
            a single place along others; None for nothing.
    Returns:
        An array of the shape of `x`; with `zi` that and what `x` adds to later outputs.
    Raises:
        ValueError: More than one number in `a`, other shapes.
        TypeError: Not floating-point or complex numbers; NotImplementedError, too, as in SciPy.
    Source: the documentation of ``scipy.signal.lfilter``.

    >>> lfilter([0.5, 0.5], 1, [2.0, 4.0, 8.0])
    array([1., 3., 6.])
    """
    taps, divisor, values = _taps(b, "b"), _without_feedback(a), as_numbers(x, "x", long=True)
    if not values.ndim:
        raise ValueError("x: expected an array with axes, got a number")
    own = as_int(axis, "axis", -values.ndim, values.ndim - 1) % values.ndim
    state = None if zi is None else as_numbers(zi, "zi", long=True)
    dtype = np.result_type(taps, divisor, values, *(() if state is None else (state,)))
    if dtype.kind not in "fc" or dtype.name == "float16":
        raise NotSupported(f"x: expected a result of float32, float64 or complex numbers, got {dtype.name}")
    taps = taps.astype(dtype) / divisor.astype(dtype)
    length = values.shape[own]
    lines = np.moveaxis(values.astype(dtype), own, -1)
    full = convolved(lines, taps.reshape((1,) * (values.ndim - 1) + (-1,)), (range(length + len(taps) - 1),))
    if state is not None:
        wanted = tuple(len(taps) - 1 if place == own else size for place, size in enumerate(values.shape))
        fits = state.ndim == len(wanted) and all(
            size == other or (size == 1 and place != own)
            for place, (size, other) in enumerate(zip(state.shape, wanted, strict=True))
        )
        if not fits:
            raise ValueError(f"zi: expected shape {wanted}, or 1 along other axes than {own}, got {state.shape}")
        full[..., : len(taps) - 1] += np.moveaxis(state, own, -1)
    y = np.ascontiguousarray(np.moveaxis(full[..., :length], -1, own))
    return y if state is None else (y, np.ascontiguousarray(np.moveaxis(full[..., length:], -1, own)))


def filtfilt(
    b: npt.ArrayLike,
    a: npt.ArrayLike,
    x: npt.ArrayLike,
    axis: int = -1,
    padtype: str | None = "odd",
    padlen: int | None = None,
    method: str = "pad",
) -> npt.NDArray[Any]:
    """Filter forward and backward along an axis, without a delay: ``scipy.signal.filtfilt``, without feedback.

    Args:
        b, a, x, axis: As in :func:`lfilter`.
        padtype: How `x` goes on beyond its ends: ``"odd"``, ``"even"``, ``"constant"``, or None: it does not.
        padlen: For how many places; None for ``3 * max(len(a), len(b))``.
        method: ``"pad"``.
    Returns:
        An array of the shape of `x`.
    Raises:
        ValueError, TypeError: As :func:`lfilter` does, or if `x` is not longer than `padlen`.
    Source: the documentation of ``scipy.signal.filtfilt``.

    >>> filtfilt([0.5, 0.5], 1, np.arange(8.0))
    array([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    one_of(method, ("pad",), "method")
    taps, divisor, values = _taps(b, "b"), _without_feedback(a), as_numbers(x, "x", long=True)
    if padtype is not None:
        one_of(padtype, ("odd", "even", "constant"), "padtype")
    if not values.ndim:
        raise ValueError("x: expected an array with axes, got a number")
    own = as_int(axis, "axis", -values.ndim, values.ndim - 1) % values.ndim
    edge = 3 * len(taps) if padlen is None else as_int(padlen, "padlen", 0)
    edge = 0 if padtype is None else edge
    if values.shape[own] <= edge:
        raise ValueError(f"x: expected more than padlen, {edge}, values along axis {own}, got {values.shape[own]}")
    lines = _extended(np.moveaxis(values, own, -1), edge, padtype)
    state = np.cumsum(taps[:0:-1] / divisor)[::-1]  # of a filter that has seen its first value for ever
    for _ in range(2):
        lines, _ = lfilter(taps, divisor, lines, -1, state * lines[..., :1])
        lines = lines[..., ::-1]
    return np.ascontiguousarray(np.moveaxis(lines[..., edge : lines.shape[-1] - edge], -1, own))


def sepfir2d(input: npt.ArrayLike, hrow: npt.ArrayLike, hcol: npt.ArrayLike) -> npt.NDArray[Any]:
    """Convolve an image with a row times a column, its edges doubled and mirrored: ``scipy.signal.sepfir2d``.

    Args:
        input: Two axes.
        hrow: Taps along the rows.
        hcol: Taps along the columns.
    Returns:
        An array of the shape of `input`: float32 or float64, or complex.
    Raises:
        ValueError: Other axes, or taps of an even number.
        TypeError: A dtype that is none of numbers.
    Source: the documentation of ``scipy.signal.sepfir2d``.

    >>> sepfir2d([[1.0, 2.0, 3.0]], [1.0, 1.0, 1.0], [1.0])
    array([[4., 6., 8.]])
    """
    x, row, column = as_numbers(input, "input"), _taps(hrow, "hrow"), _taps(hcol, "hcol")
    if x.ndim != 2:
        raise ValueError(f"input: expected 2 axes, got shape {x.shape}")
    for name, taps in (("hrow", row), ("hcol", column)):
        if len(taps) % 2 == 0:
            raise ValueError(f"{name}: expected an odd number of taps, got {len(taps)}")
    dtype = np.result_type(x, row, column, np.float32)
    y = x.astype(dtype)
    for axis, taps in ((1, row), (0, column)):
        half = len(taps) // 2
        y = padded(y, tuple((half, half) if own == axis else (0, 0) for own in range(2)), "symmetric")
        shape = tuple(-1 if own == axis else 1 for own in range(2))
        places = tuple(range(len(taps) - 1, size) if own == axis else range(size) for own, size in enumerate(y.shape))
        y = convolved(y, taps.astype(dtype).reshape(shape), places)
    return y


def _taps(value: object, name: str) -> AnyArray:
    taps = np.atleast_1d(as_numbers(value, name, long=True))
    if taps.ndim != 1 or not len(taps):
        raise ValueError(f"{name}: expected one axis with at least one tap, got shape {taps.shape}")
    return taps


def _without_feedback(a: object) -> AnyArray:
    divisor = _taps(a, "a")
    if len(divisor) > 1 or not divisor[0]:
        raise ValueError(f"a: expected one number other than 0, since there is no feedback here, got {a!r}")
    return divisor


def _extended(lines: AnyArray, edge: int, padtype: str | None) -> AnyArray:
    """Along the last axis: about the ends as a point ("odd") or a line ("even"), or with the values at the ends."""
    if not edge:
        return lines
    first, last = lines[..., :1], lines[..., -1:]
    if padtype == "constant":
        before, after = np.repeat(first, edge, -1), np.repeat(last, edge, -1)
    else:
        before, after = lines[..., edge:0:-1], lines[..., -2 : -edge - 2 : -1]
        if padtype == "odd":
            before, after = 2 * first - before, 2 * last - after
    return np.concatenate((before, lines, after), axis=-1)
