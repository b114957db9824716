"""What the shims for SciPy share: one filter on one array of one to three axes, any padding, any numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.borders import source
from fastconv.conv import conv1d, conv2d, conv3d
from fastconv.dtypes import COMPLEX

AnyArray = npt.NDArray[Any]
Pads = tuple[tuple[int, int], ...]

_FUNCTIONS: dict[int, Callable[..., AnyArray]] = {1: conv1d, 2: conv2d, 3: conv3d}
_LARGEST_EXACT = 2**53  # up to which float64 holds every whole number


def as_numbers(value: object, name: str) -> AnyArray:
    """An array of numbers, none of its axes empty; lists too, as SciPy takes them."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an array without a mask, got a masked array; fill it first")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected an array of numbers, got {error}") from None
    if array.dtype.kind not in "iufc" or array.dtype.itemsize > 16 or array.dtype.name in ("longdouble", "float128"):
        raise TypeError(f"{name}: expected integers, float16 to float64 or complex numbers, got {array.dtype.name}")
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one value, got shape {array.shape}")
    return array


def as_number_array(value: object, name: str) -> AnyArray:
    """The same, of one to three axes."""
    array = as_numbers(value, name)
    if array.ndim not in _FUNCTIONS:
        raise ValueError(f"{name}: expected 1 to 3 axes, got shape {array.shape}")
    return array


def one_of(value: object, names: Iterable[str], name: str) -> str:
    """One of these names; TypeError or ValueError otherwise."""
    if not isinstance(value, str) or value not in names:
        error = ValueError if isinstance(value, str) else TypeError
        raise error(f"{name}: expected one of {', '.join(names)}, got {value!r}")
    return value


def as_number(value: object, name: str) -> complex:
    """A number, real or complex; what NumPy has, too."""
    number = np.asarray(value)
    if number.ndim != 0 or number.dtype.kind not in "biufc":
        raise TypeError(f"{name}: expected a number, got {value!r}")
    result: complex = number.item()
    return result


def exact(x: AnyArray, w: AnyArray, name: str) -> tuple[AnyArray, AnyArray]:
    """Whole numbers as float64, in which the sums of their products are exact; TypeError if they might not be."""
    largest = max(abs(int(x.max())), abs(int(x.min()))) * int(np.abs(w.astype(object)).sum())
    if largest > _LARGEST_EXACT:
        raise TypeError(f"{name}: expected integers whose sums of products stay below 2^53, got up to {largest}")
    return x.astype(np.float64), w.astype(np.float64)


def pad(x: AnyArray, pads: Pads, mode: str, value: complex = 0) -> AnyArray:
    """With pads of (before, after) per axis: "constant", or a mode of :func:`fastconv.borders.source`."""
    if mode == "constant":
        return np.pad(x, pads, constant_values=x.dtype.type(value))
    for axis, (low, high) in enumerate(pads):
        if low or high:
            extent = x.shape[axis]
            x = x.take(source(np.arange(-low, extent + high), extent, mode), axis=axis)
    return x


def filtered(x: AnyArray, w: AnyArray, pads: Pads, mode: str, value: complex = 0) -> AnyArray:
    """The cross-correlation of x, padded, with w, where all of w lies on it; both float32, float64 or complex."""
    by_core = mode == "constant" and value == 0
    padded = x if by_core else pad(x, pads, mode, value)
    y = _FUNCTIONS[x.ndim](
        padded[np.newaxis], w[np.newaxis, np.newaxis], padding=pads if by_core else 0, accuracy="strict"
    )
    only: AnyArray = y[0]
    return only


def computed_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What floating-point or complex numbers are computed in: their own dtype, or the next that there is."""
    if dtype.name in ("float32", "float64", *COMPLEX):
        native: np.dtype[Any] = dtype.newbyteorder("=")
        return native
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float32 if dtype.itemsize == 2 else np.float64)
