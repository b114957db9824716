"""Correlations and convolutions with weights, of all axes or of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering.edges import Pads
from fastconv.filtering.numbers import AnyArray, WrongType, WrongValue, as_numbers
from fastconv.ndimage.arguments import Output, as_axes, as_axis, as_cval, as_mode, as_target, low_places, per_axis
from fastconv.ndimage.arithmetic import Taps, arithmetic, of_array, of_line
from fastconv.ndimage.sweep import Term, may_be_input, sweep


def correlate(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | tuple[int, ...] = 0,
    *,
    axes: int | Iterable[int] | None = None,
) -> npt.NDArray[Any]:
    """Cross-correlate an array with weights around each place: ``scipy.ndimage.correlate``.

    Args:
        input: Any number of axes; integers, truth values, float16 to float64, or complex.
        weights: As many axes as are filtered; real, or complex (then conjugated, as in SciPy). Those up to 2^-52 are
            left out, as in SciPy: what they see counts for nothing, be it infinite or NaN.
        output: An array to write to, or the output's dtype; None for that of `input`, or its complex one.
        mode: What lies beyond the edges: ``"reflect"`` (d c b a | a b c d), ``"mirror"`` (d c b | a b c d),
            ``"nearest"``, ``"wrap"``, ``"constant"``, or SciPy's names with "grid-".
        cval: For ``mode="constant"``.
        origin: How far the weights are shifted, for all axes or per axis.
        axes: Which axes of `input` those of `weights` lie along; None for all.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError: Axes that differ in number, an unknown mode, or an origin that leaves the weights. What is a
            RuntimeError in SciPy is that too.
        TypeError: A dtype that is none of numbers, or real ones asked for of a complex result.
    Source: the documentation of ``scipy.ndimage.correlate``.

    >>> correlate([1, 2, 3, 4], [1, 0, -1])
    array([-1, -2, -2, -1])
    """
    x, w = as_numbers(input, "input"), as_numbers(weights, "weights")
    return _of_array(x, w.conj(), output, mode, cval, origin, axes, False)


def convolve(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | tuple[int, ...] = 0,
    *,
    axes: int | Iterable[int] | None = None,
) -> npt.NDArray[Any]:
    """Convolve an array with weights: ``scipy.ndimage.convolve``.

    Args:
        input, weights, output, mode, cval, origin, axes: As in :func:`correlate`; weights are not conjugated.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.convolve``.

    >>> convolve([1, 2, 3, 4], [1, 0, -1], mode="constant")
    array([ 2,  2,  2, -3])
    """
    x, w = as_numbers(input, "input"), as_numbers(weights, "weights")
    return _of_array(x, w, output, mode, cval, origin, axes, True)


def correlate1d(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> npt.NDArray[Any]:
    """Cross-correlate along one axis: ``scipy.ndimage.correlate1d``.

    Args:
        input, output, mode, cval, origin: As in :func:`correlate`.
        weights: One axis. None is left out.
        axis: That of `input`.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.correlate1d``.

    >>> correlate1d([[2, 8, 0], [4, 1, 9]], [1, 3])
    array([[ 8, 26,  8],
           [16,  7, 28]])
    """
    return _of_line(input, weights, axis, output, mode, cval, origin, False)


def convolve1d(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> npt.NDArray[Any]:
    """Convolve along one axis: ``scipy.ndimage.convolve1d``.

    Args:
        input, weights, axis, output, mode, cval, origin: As in :func:`correlate1d`.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.convolve1d``.

    >>> convolve1d([2, 8, 0, 4, 1, 9, 9, 0], [1, 3])
    array([14, 24,  4, 13, 12, 36, 27,  0])
    """
    return _of_line(input, weights, axis, output, mode, cval, origin, True)


def _of_array(
    x: AnyArray, w: AnyArray, output: Output, mode: object, cval: object, origin: object, axes: object, flip: bool
) -> AnyArray:
    own = as_axes(axes, x.ndim)
    if w.ndim != len(own) or 0 in w.shape:
        wanted = "input" if axes is None else f"{axes!r} has"
        raise WrongValue(
            f"weights: expected as many axes as {wanted}, got shapes {x.shape} and {w.shape}: "
            f"weights.ndim ({w.ndim}) must match len(axes) ({len(own)})"
        )
    beyond = as_cval(cval, x.dtype.kind == "c", w.dtype.kind == "c")
    if not isinstance(mode, str) and np.iterable(mode):
        raise WrongType(f"mode: expected one of them, since a sequence of modes is not supported here, got {mode!r}")
    boundary = as_mode(mode)
    origins = per_axis(origin, len(own), "origin")
    if flip:
        w = w[(slice(None, None, -1),) * w.ndim]
    sizes = dict(zip(sorted(own), w.shape, strict=True))  # weights lie along the axes in the array's order
    numbered = own if len(own) < x.ndim else range(x.ndim)  # as in SciPy, origins then follow it too
    lows = {axis: low_places(shift, sizes[axis], w.shape, flip) for axis, shift in zip(numbered, origins, strict=True)}
    seen = tuple((lows[axis], sizes[axis] - 1 - lows[axis]) if axis in lows else (0, 0) for axis in range(x.ndim))
    y = as_target(output, x, "c" in (x.dtype.kind, w.dtype.kind))
    if x.ndim == 0:  # then an array of one place is filtered
        x, into, w, seen = x.reshape(1), y.reshape(1), w.reshape(1), ((0, 0),)
    else:
        into, w = y, w.reshape([sizes.get(axis, 1) for axis in range(x.ndim)])
    filtered(x, {part: of_array(values) for part, values in _parts(w).items()}, into, seen, boundary, beyond)
    return y


def _of_line(
    input: object,
    weights: object,
    axis: object,
    output: Output,
    mode: object,
    cval: object,
    origin: object,
    flip: bool,
) -> AnyArray:
    x, w = as_numbers(input, "input"), as_numbers(weights, "weights")
    if w.ndim != 1 or not len(w):
        raise WrongValue(f"weights: expected one axis with at least one weight, got shape {w.shape}")
    own = as_axis(axis, x.ndim)
    w = w[::-1] if flip else w.conj()
    beyond = as_cval(cval, x.dtype.kind == "c", w.dtype.kind == "c")
    low = low_places(origin, len(w), w.shape, flip)
    boundary = as_mode(mode)
    seen = tuple((low, len(w) - 1 - low) if other == own else (0, 0) for other in range(x.ndim))
    y = as_target(output, x, "c" in (x.dtype.kind, w.dtype.kind))
    lines = {part: of_line(values, own, x.ndim) for part, values in _parts(w).items()}
    return filtered(x, lines, y, seen, boundary, beyond)


def _parts(a: AnyArray) -> dict[str, AnyArray]:
    """Real and, of complex numbers, imaginary ones, as float64."""
    named = {"real": a.real, "imag": a.imag} if a.dtype.kind == "c" else {"real": a}
    return {name: part.astype(np.float64) for name, part in named.items()}


def filtered(x: AnyArray, taps: dict[str, Taps], y: AnyArray, seen: Pads, boundary: str, beyond: complex) -> AnyArray:
    """Write to `y`: complex numbers from up to four products of real ones, so that no part is lost in another.

    Args:
        taps: The weights' real part, and their imaginary part if they are complex.
    """
    if np.may_share_memory(x, y):
        alone = x.dtype.kind != "c" and y.dtype.kind != "c"
        if not alone or not may_be_input(y, x, seen):
            target, y = y, np.empty_like(y)
            target[...] = filtered(x, taps, y, seen, boundary, beyond)
            return target
    images = {"real": (x.real, beyond.real)}
    if x.dtype.kind == "c":
        images["imag"] = (x.imag, beyond.imag)
    sums: dict[str, list[tuple[str, str, int]]] = {
        "real": [("real", "real", 1), ("imag", "imag", -1)],
        "imag": [("real", "imag", 1), ("imag", "real", 1)],
    }
    constant = boundary == "constant"
    for name, products in sums.items():
        part = y if y.dtype.kind != "c" else getattr(y, name)
        terms = []
        for of_x, of_w, sign in products:
            if of_x in images and of_w in taps:
                values, outside = images[of_x]
                way = arithmetic(values, taps[of_w], outside if constant else 0.0, part.dtype)
                terms.append(Term(values, outside, way.dtype, way.run, sign, way.block))
        if terms:
            sweep(part, terms, seen, (boundary,) * x.ndim)
        elif name == "imag" and y.dtype.kind == "c":
            part[...] = 0
        if y.dtype.kind != "c":
            break
    return y
