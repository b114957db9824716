"""Gaussian and uniform filters: one axis after another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering.numbers import AnyArray, WrongValue, as_number, as_numbers
from fastconv.filtering.whole import held_by, reach
from fastconv.geometry import as_int
from fastconv.ndimage.arguments import (
    Mode,
    Output,
    as_axes,
    as_axis,
    as_cval,
    as_mode,
    as_target,
    per_axis,
)
from fastconv.ndimage.arithmetic import Way, arithmetic, of_line
from fastconv.ndimage.correlation import correlate1d
from fastconv.ndimage.sweep import Term, may_be_input, sweep

_MOST_PLACES = 2**31 - 1
_LEAST_SIGMA = 1e-15  # axes with less are left as they are
_LONGEST = 64  # up to which as many products take less time than a sum that runs along the axis
_ROW = 32  # from so many sums beside each other they are added row by row, not one after the other


def gaussian_filter1d(
    input: npt.ArrayLike,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> npt.NDArray[Any]:
    """Filter with a Gaussian, or a derivative of one, along an axis: ``scipy.ndimage.gaussian_filter1d``.

    Args:
        input, axis, output, mode, cval: As in :func:`correlate1d`.
        sigma: The Gaussian's standard deviation.
        order: Of the derivative; 0 for the Gaussian.
        truncate: At how many standard deviations it is cut off.
        radius: At how many places, instead of `truncate`.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does, or for a negative order or radius.
    Source: the documentation of ``scipy.ndimage.gaussian_filter1d``.

    >>> gaussian_filter1d([1.0, 2.0, 3.0, 4.0, 5.0], 1).round(3)
    array([1.427, 2.068, 3.   , 3.932, 4.573])
    """
    deviation = _as_real(sigma, "sigma")
    if radius is None:
        places = _as_real(truncate, "truncate") * deviation + 0.5
        if not -1 < places < _MOST_PLACES:  # NaN too
            raise ValueError(f"sigma: expected sigma * truncate from 0 to {_MOST_PLACES}, got {sigma!r} * {truncate!r}")
        reach = int(places)
    else:
        reach = _as_radius(radius)
    weights = _gaussian(deviation, as_int(order, "order", 0), reach)
    return correlate1d(input, weights[::-1], axis, output, mode, cval, 0)


def _as_real(value: object, name: str) -> float:
    number = as_number(value, name)
    if isinstance(number, complex):
        raise TypeError(f"{name}: expected a real number, got {value!r}")
    return float(number)


def _as_radius(radius: object) -> int:
    if isinstance(radius, float | np.floating):
        raise ValueError(f"radius: expected an int, got {radius!r}")
    return as_int(radius, "radius", 0)


def _gaussian(sigma: float, order: int, radius: int) -> npt.NDArray[np.float64]:
    """A Gaussian over its sum, times the polynomial that its derivative of this order has."""
    x = np.arange(-radius, radius + 1)
    with np.errstate(divide="ignore", invalid="ignore"):  # of a sigma of 0 with a radius SciPy makes NaN, too
        values = np.exp(np.float64(-0.5) / np.float64(sigma * sigma) * x**2)
    values = values / values.sum()
    # (q g)' = (q' - q x / sigma^2) g: a matrix on the coefficients of q, applied `order` times to q = 1.
    coefficients = np.zeros(order + 1)
    coefficients[0] = 1
    powers = np.arange(order + 1)
    derive = np.diag(powers[1:], 1) + np.diag(np.ones(order) / -(sigma * sigma), -1) if order else np.zeros((1, 1))
    for _ in range(order):
        coefficients = derive.dot(coefficients)
    if order:
        values = (x[:, None] ** powers).dot(coefficients) * values
    result: npt.NDArray[np.float64] = values
    return result


def gaussian_filter(
    input: npt.ArrayLike,
    sigma: float | Sequence[float],
    order: int | Sequence[int] = 0,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | Sequence[int] | None = None,
    axes: int | Iterable[int] | None = None,
) -> npt.NDArray[Any]:
    """Filter with a Gaussian of any number of axes: ``scipy.ndimage.gaussian_filter``.

    As there, each axis' result is kept in the output's dtype.

    Args:
        input, output, cval: As in :func:`correlate`.
        sigma, order, mode, radius: As in :func:`gaussian_filter1d`, one for all axes or one for each.
        truncate: As in :func:`gaussian_filter1d`.
        axes: Which axes to filter along; None for all.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`gaussian_filter1d` does.
    Source: the documentation of ``scipy.ndimage.gaussian_filter``.

    >>> gaussian_filter([[0, 0, 0], [0, 99, 0], [0, 0, 0]], 0.5)
    array([[ 1,  7,  1],
           [ 8, 60,  8],
           [ 1,  7,  1]])
    """
    x = as_numbers(input, "input")
    y = as_target(output, x, x.dtype.kind == "c")
    own = as_axes(axes, x.ndim)
    numbers = [per_axis(value, len(own), name) for value, name in ((sigma, "sigma"), (order, "order"))]
    modes, radii = per_axis(mode, len(own), "mode"), per_axis(radius, len(own), "radius")
    source = x
    for axis, deviation, derivative, boundary, places in zip(own, *numbers, modes, radii, strict=True):
        if _as_real(deviation, "sigma") > _LEAST_SIGMA:
            gaussian_filter1d(source, deviation, axis, derivative, y, boundary, cval, truncate, radius=places)
            source = y
    return _unfiltered(x, y, source)


def _unfiltered(x: AnyArray, y: AnyArray, source: AnyArray) -> AnyArray:
    """The output, to which the input is copied if no axis was filtered."""
    if source is x and y is not x:
        np.copyto(y, x, casting="unsafe")
    return y


def uniform_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> npt.NDArray[Any]:
    """The mean of `size` values around each along an axis: ``scipy.ndimage.uniform_filter1d``.

    As there, a sum runs along the axis, so that the time does not depend on `size`, and NaN is never left again.

    Args:
        input, axis, output, mode, cval, origin: As in :func:`correlate1d`.
        size: At least 1.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate1d` does.
    Source: the documentation of ``scipy.ndimage.uniform_filter1d``.

    >>> uniform_filter1d([2, 8, 0, 4, 1, 9, 9, 0], 3)
    array([4, 3, 4, 1, 4, 6, 6, 3])
    """
    x = as_numbers(input, "input")
    own = as_axis(axis, x.ndim)
    count = as_int(size, "size", -(2**31))
    if count < 1:
        raise WrongValue(f"size: expected at least 1, got {count}")
    beyond = as_cval(cval, x.dtype.kind == "c")
    shift, boundary = as_int(origin, "origin", -(2**31)), as_mode(mode)
    low = count // 2 + shift
    if not 0 <= low < count:
        raise ValueError(f"origin: expected {-(count // 2)} to {(count - 1) // 2} for size {count}, got {shift}")
    y = as_target(output, x, x.dtype.kind == "c")
    seen = tuple((low, count - 1 - low) if other == own else (0, 0) for other in range(x.ndim))
    target = y
    if np.may_share_memory(x, y) and not (x.dtype.kind != "c" and may_be_input(y, x, seen)):
        y = np.empty_like(y)

    parts = [(x.real, y.real, beyond.real), (x.imag, y.imag, beyond.imag)] if x.dtype.kind == "c" else [(x, y, beyond)]
    for values, part, outside in parts:
        way = _mean(values, count, own, outside.real if boundary == "constant" else 0)
        sweep(part, [Term(values, outside.real, way.dtype, way.run)], seen, (boundary,) * x.ndim)
    if target is not y:
        target[...] = y
    return target


def _mean(x: AnyArray, size: int, axis: int, beyond: float) -> Way:
    """By the core where sums are exact in any order, and not long."""
    if size <= _LONGEST and x.dtype.kind in "biu":
        way = arithmetic(x, of_line(np.ones(size), axis, x.ndim), beyond, np.dtype(np.float64))
        if float(beyond).is_integer() and held_by(max(reach(x), abs(int(beyond))) * size) is not None:
            return Way(way.dtype, lambda block: way.run(block).astype(np.float64) / size)
    return Way(np.dtype(np.float64), lambda block: _means(block, size, axis))


def _means(block: AnyArray, size: int, axis: int) -> AnyArray:
    """One from the other, as SciPy makes them: so integers are cut where it cuts them."""
    x = np.ascontiguousarray(np.moveaxis(block, axis, 0))
    y = np.empty((x.shape[0] - size + 1, *x.shape[1:]))
    np.subtract(x[size:], x[:-size], out=y[1:])
    y[0] = np.add.accumulate(x[:size], axis=0)[-1]
    if y[0].size < _ROW:
        np.add.accumulate(y, axis=0, out=y)
    else:
        rows = list(y)
        for before, row in itertools.pairwise(rows):
            np.add(before, row, out=row)
    y /= size
    return np.moveaxis(y, 0, axis)


def uniform_filter(
    input: npt.ArrayLike,
    size: int | Sequence[int] = 3,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: int | Iterable[int] | None = None,
) -> npt.NDArray[Any]:
    """The mean of a box around each place: ``scipy.ndimage.uniform_filter``.

    Args:
        input, output, cval: As in :func:`correlate`.
        size, mode, origin: As in :func:`uniform_filter1d`, one for all axes or one for each.
        axes: Which axes to filter along; None for all.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`uniform_filter1d` does.
    Source: the documentation of ``scipy.ndimage.uniform_filter``.

    >>> uniform_filter([[0, 0, 0], [0, 9, 0], [0, 0, 0]])
    array([[1, 1, 1],
           [1, 1, 1],
           [1, 1, 1]])
    """
    x = as_numbers(input, "input")
    y = as_target(output, x, x.dtype.kind == "c")
    own = as_axes(axes, x.ndim)
    sizes, origins = per_axis(size, len(own), "size"), per_axis(origin, len(own), "origin")
    modes = per_axis(mode, len(own), "mode")
    source = x
    for axis, count, shift, boundary in zip(own, sizes, origins, modes, strict=True):
        if (places := _as_real(count, "size")) > 1:
            if places > _MOST_PLACES:
                raise ValueError(f"size: expected at most {_MOST_PLACES}, got {count!r}")
            uniform_filter1d(source, int(places), axis, y, boundary, cval, shift)
            source = y
    return _unfiltered(x, y, source)
