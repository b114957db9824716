"""What functions with SciPy's arguments are given, checked; messages as in :mod:`fastconv.arguments`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]


class WrongValue(ValueError, RuntimeError):
    """What SciPy raises a RuntimeError for, and this package a ValueError: caught as either."""


class WrongType(TypeError, RuntimeError):
    """What SciPy raises a RuntimeError for, and this package a TypeError: caught as either."""


def is_long(dtype: np.dtype[Any]) -> bool:
    """Whether it has more digits than float64: the core has nothing for it."""
    return dtype.kind in "fc" and dtype.itemsize > (8 if dtype.kind == "f" else 16)


def as_numbers(value: object, name: str, *, long: bool = False) -> AnyArray:
    """An array of numbers or truth values, of any shape; lists too, as SciPy takes them.

    Args:
        long: Whether `numpy.longdouble` will do.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an array without a mask, got a masked array; fill it first")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected an array of numbers, got {error}") from None
    if array.dtype.kind not in "biufc" or (is_long(array.dtype) and not long):
        raise WrongType(
            f"{name}: expected integers, float16 to float64 or complex numbers, or truth values, got {array.dtype.name}"
        )
    return array


def one_of(value: object, names: Iterable[str], name: str) -> str:
    """One of these names."""
    if not isinstance(value, str) or value not in names:
        error = WrongValue if isinstance(value, str) else WrongType
        raise error(f"{name}: expected one of {', '.join(names)}, got {value!r}")
    return value


def as_number(value: object, name: str) -> complex:
    """A number, real or complex; what NumPy has, too."""
    number = np.asarray(value)
    if number.ndim != 0 or number.dtype.kind not in "biufc":
        raise TypeError(f"{name}: expected a number, got {value!r}")
    result: complex = number.item()
    return result
