"""Differences, first and second ones, along axes and of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering.numbers import AnyArray, as_numbers
from fastconv.ndimage.arguments import Mode, Output, as_axes, as_axis, as_target, per_axis
from fastconv.ndimage.correlation import correlate1d
from fastconv.ndimage.smoothing import gaussian_filter

Derivative = Callable[..., AnyArray]


def sobel(
    input: npt.ArrayLike, axis: int = -1, output: Output = None, mode: Mode = "reflect", cval: complex = 0.0
) -> npt.NDArray[Any]:
    """Sobel's filter along an axis, smoothing by (1, 2, 1) along the others: ``scipy.ndimage.sobel``.

    Args:
        input, output, cval: As in :func:`correlate`.
        axis: That of the differences.
        mode: As in :func:`correlate`, one for all axes or one for each.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.sobel``.

    >>> sobel([[1, 2, 4], [1, 2, 4]])
    array([[ 4, 12,  8],
           [ 4, 12,  8]])
    """
    return _differences(input, axis, output, mode, cval, [1, 2, 1])


def prewitt(
    input: npt.ArrayLike, axis: int = -1, output: Output = None, mode: Mode = "reflect", cval: complex = 0.0
) -> npt.NDArray[Any]:
    """Prewitt's filter along an axis, sums of three along the others: ``scipy.ndimage.prewitt``.

    Args:
        input, axis, output, mode, cval: As in :func:`sobel`.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.prewitt``.

    >>> prewitt([[1, 2, 4], [1, 2, 4]])
    array([[3, 9, 6],
           [3, 9, 6]])
    """
    return _differences(input, axis, output, mode, cval, [1, 1, 1])


def _differences(
    input: object, axis: object, output: Output, mode: object, cval: complex, others: list[int]
) -> AnyArray:
    x = as_numbers(input, "input")
    own = as_axis(axis, x.ndim)
    y = as_target(output, x, x.dtype.kind == "c")
    modes = per_axis(mode, x.ndim, "mode")
    correlate1d(x, [-1, 0, 1], own, y, modes[own], cval)
    for other in range(x.ndim):
        if other != own:
            correlate1d(y, others, other, y, modes[other], cval)
    return y


def generic_laplace(
    input: npt.ArrayLike,
    derivative2: Derivative,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: int | Iterable[int] | None = None,
) -> npt.NDArray[Any]:
    """The sum of second derivatives by a function of one's own: ``scipy.ndimage.generic_laplace``.

    Args:
        input, output, cval: As in :func:`correlate`.
        derivative2: Called as ``derivative2(input, axis, output, mode, cval, *extra_arguments, **extra_keywords)``.
        mode: As in :func:`correlate`, one for all axes or one for each.
        extra_arguments, extra_keywords: For `derivative2`.
        axes: Which axes to derive along; None for all.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.generic_laplace``.

    >>> def second(input, axis, output, mode, cval):
    ...     return correlate1d(input, [1, -2, 1], axis, output, mode, cval)
    >>> generic_laplace([0, 0, 1, 0, 0], second)
    array([ 0,  1, -2,  1,  0])
    """
    return _summed(input, derivative2, output, mode, cval, (extra_arguments, extra_keywords), axes, squared=False)


def generic_gradient_magnitude(
    input: npt.ArrayLike,
    derivative: Derivative,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: int | Iterable[int] | None = None,
) -> npt.NDArray[Any]:
    """The gradient's length by a function of one's own: ``scipy.ndimage.generic_gradient_magnitude``.

    Args:
        input, output, mode, cval, extra_arguments, extra_keywords, axes: As in :func:`generic_laplace`.
        derivative: As `derivative2` there.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.generic_gradient_magnitude``.

    >>> generic_gradient_magnitude([[3.0, 3.0], [3.0, 3.0]], sobel)
    array([[0., 0.],
           [0., 0.]])
    """
    return _summed(input, derivative, output, mode, cval, (extra_arguments, extra_keywords), axes, squared=True)


def _summed(
    input: object,
    derivative: Derivative,
    output: Output,
    mode: object,
    cval: complex,
    extra: tuple[Sequence[Any], Mapping[str, Any] | None],
    axes: object,
    *,
    squared: bool,
) -> AnyArray:
    """The sum of derivatives, or the root of that of their squares, each in the output's dtype, as SciPy has it."""
    x = as_numbers(input, "input")
    y = as_target(output, x, x.dtype.kind == "c")
    own = as_axes(axes, x.ndim)
    if np.may_share_memory(x, y) and len(own) > 1:
        x = x.copy()
    if not own:
        np.copyto(y, x, casting="unsafe")
        return y
    arguments, keywords = extra
    modes = per_axis(mode, len(own), "mode")
    derivative(x, own[0], y, modes[0], cval, *arguments, **(keywords or {}))
    if squared:
        np.multiply(y, y, out=y)
    for axis, boundary in zip(own[1:], modes[1:], strict=True):
        more = derivative(x, axis, y.dtype, boundary, cval, *arguments, **(keywords or {}))
        if squared:
            np.multiply(more, more, out=more)
        np.add(y, more, out=y)
    if squared:
        with np.errstate(invalid="ignore"):
            np.sqrt(y, out=y, casting="unsafe")
    return y


def laplace(
    input: npt.ArrayLike,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | Iterable[int] | None = None,
) -> npt.NDArray[Any]:
    """The sum of second differences: ``scipy.ndimage.laplace``.

    Args:
        input, output, mode, cval, axes: As in :func:`generic_laplace`.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.laplace``.

    >>> laplace([0, 0, 1, 0, 0])
    array([ 0,  1, -2,  1,  0])
    """

    def second(x: AnyArray, axis: int, output: Output, mode: str, cval: complex) -> AnyArray:
        return correlate1d(x, [1, -2, 1], axis, output, mode, cval)

    return generic_laplace(input, second, output, mode, cval, axes=axes)


def gaussian_laplace(
    input: npt.ArrayLike,
    sigma: float | Sequence[float],
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | Iterable[int] | None = None,
    **kwargs: Any,
) -> npt.NDArray[Any]:
    """The sum of a Gaussian's second derivatives: ``scipy.ndimage.gaussian_laplace``.

    Args:
        input, output, mode, cval, axes: As in :func:`generic_laplace`.
        sigma: As in :func:`gaussian_filter`.
        kwargs: For :func:`gaussian_filter`.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`gaussian_filter` does.
    Source: the documentation of ``scipy.ndimage.gaussian_laplace``.

    >>> gaussian_laplace([0.0, 0.0, 1.0, 0.0, 0.0], 1).round(3)
    array([ 0.197,  0.002, -0.399,  0.002,  0.197])
    """
    ndim = as_numbers(input, "input").ndim
    own = as_axes(axes, ndim)
    deviations = per_axis(sigma, len(own), "sigma")
    if len(own) < ndim:  # axes that are left alone have a sigma of 0
        deviations = [dict(zip(own, deviations, strict=True)).get(axis, 0) for axis in range(ndim)]
    return generic_laplace(input, _gaussian_derivative(2), output, mode, cval, (deviations,), {**kwargs}, axes=own)


def gaussian_gradient_magnitude(
    input: npt.ArrayLike,
    sigma: float | Sequence[float],
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | Iterable[int] | None = None,
    **kwargs: Any,
) -> npt.NDArray[Any]:
    """The length of a Gaussian's gradient: ``scipy.ndimage.gaussian_gradient_magnitude``.

    Args:
        input, output, mode, cval, axes: As in :func:`generic_laplace`.
        sigma: As in :func:`gaussian_filter`, of all axes of `input`.
        kwargs: For :func:`gaussian_filter`.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`gaussian_filter` does.
    Source: the documentation of ``scipy.ndimage.gaussian_gradient_magnitude``.

    >>> gaussian_gradient_magnitude([0.0, 0.0, 1.0, 0.0, 0.0], 1).round(3)
    array([0.095, 0.241, 0.   , 0.241, 0.095])
    """
    return generic_gradient_magnitude(
        input, _gaussian_derivative(1), output, mode, cval, (sigma,), {**kwargs}, axes=axes
    )


def _gaussian_derivative(order: int) -> Derivative:
    def derivative(
        x: AnyArray, axis: int, output: Output, mode: str, cval: complex, sigma: Any, **options: Any
    ) -> AnyArray:
        orders = [0] * x.ndim
        orders[axis] = order
        return gaussian_filter(x, sigma, orders, output, mode, cval, **options)

    return derivative
