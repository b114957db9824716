"""Convolutions and correlations of images with a choice of what lies around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering.edges import padded
from fastconv.filtering.numbers import AnyArray, as_numbers, one_of
from fastconv.signal.sums import as_mode, convolved, flipped, summed, window

_BOUNDARIES = {"fill": "constant", "wrap": "circular", "circular": "circular", "symm": "symmetric"}
_BOUNDARIES |= {"pad": "constant", "symmetric": "symmetric"}  # SciPy's other names


def convolve2d(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: complex = 0,
) -> npt.NDArray[Any]:
    """Convolve two images: ``scipy.signal.convolve2d``.

    Args:
        in1, in2: Two axes each; numbers or truth values.
        mode: As in :func:`convolve`.
        boundary: What lies beyond `in1`: ``"fill"``: `fillvalue`; ``"wrap"``: the other end; ``"symm"``: its mirror
            image.
        fillvalue: For ``boundary="fill"``.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError: Other axes, an unknown name, a fill value that the result's dtype does not hold, or in mode "valid"
            arrays of which neither holds the other.
        TypeError: A dtype that is none of numbers.
    Source: the documentation of ``scipy.signal.convolve2d``.

    >>> convolve2d([[1, 2], [3, 4]], [[1, 1]], mode="same")
    array([[1, 3],
           [3, 7]])
    """
    x, w = _of_two_axes(in1, in2)
    return _result(x, w, mode, boundary, fillvalue, 0)


def correlate2d(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: complex = 0,
) -> npt.NDArray[Any]:
    """Cross-correlate two images: ``scipy.signal.correlate2d``. The second is conjugated.

    Args:
        in1, in2, mode, boundary, fillvalue: As in :func:`convolve2d`. In mode "same" with an even extent of `in2` the
            output lies where SciPy has it, which is not where :func:`correlate` has it.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError, TypeError: As :func:`convolve2d` does.
    Source: the documentation of ``scipy.signal.correlate2d``.

    >>> correlate2d([[1, 2, 3]], [[1, -1]], mode="valid")
    array([[-1, -1]])
    """
    x, w = _of_two_axes(in1, in2)
    if mode == "valid" and any(n < k for n, k in zip(x.shape, w.shape, strict=True)):  # SciPy conjugates the smaller
        return _result(x.conj(), flipped(w), mode, boundary, fillvalue, 1)
    return _result(x, flipped(w.conj()), mode, boundary, fillvalue, 1)


def _of_two_axes(in1: object, in2: object) -> tuple[AnyArray, AnyArray]:
    x, w = as_numbers(in1, "in1", long=True), as_numbers(in2, "in2", long=True)
    for name, array in (("in1", x), ("in2", w)):
        if array.ndim != 2:
            raise ValueError(f"{name}: expected 2 axes, got shape {array.shape}")
    return x, w


def _result(x: AnyArray, w: AnyArray, mode: object, boundary: object, fillvalue: object, earlier: int) -> AnyArray:
    """Of a convolution with w."""
    places = window(as_mode(mode), x.shape, w.shape, earlier)
    around = _BOUNDARIES[one_of(boundary, _BOUNDARIES, "boundary")]
    dtype = np.result_type(x, w).newbyteorder("=")
    value = _as_fill(fillvalue, dtype)
    if 0 in (x.size, w.size):  # then there is nothing to sum
        return np.zeros(tuple(map(len, places)), dtype)
    if mode == "valid" or (around == "constant" and value == 0):
        return convolved(x, w, places)
    pads = tuple((k - 1 - own.start, own.stop - n) for own, n, k in zip(places, x.shape, w.shape, strict=True))
    return summed(padded(x.astype(dtype), pads, around, value), flipped(w), ((0, 0),) * 2)


def _as_fill(value: object, dtype: np.dtype[Any]) -> Any:
    """Of the result's dtype; fractions are cut from integers, as in SciPy."""
    number = np.asarray(value)
    if number.dtype.kind not in "biufc":
        raise TypeError(f"fillvalue: expected a number, got {value!r}")
    if number.ndim:
        raise ValueError(f"fillvalue: expected a number, got shape {number.shape}")
    if number.dtype.kind == "c" and dtype.kind != "c":
        raise ValueError(f"fillvalue: expected a real number for images of real ones, got {value!r}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not limits.min <= number <= limits.max:  # NaN too
            raise ValueError(f"fillvalue: expected {limits.min} to {limits.max}, as {dtype} has them, got {value!r}")
        return dtype.type(int(number))
    with np.errstate(over="ignore"):
        return number.astype(dtype)[()]
