"""Axes, modes, origins and outputs, as all filters of ``scipy.ndimage`` take them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastconv.filtering.numbers import AnyArray, WrongType, WrongValue, as_number, one_of
from fastconv.geometry import as_int, is_int

Output: TypeAlias = npt.NDArray[Any] | npt.DTypeLike | None
Mode: TypeAlias = str | Iterable[str]

# SciPy's name, and the name in fastconv.borders.
MODES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "constant": "constant",
    "grid-constant": "constant",
    "nearest": "replicate",
    "mirror": "reflect",
    "wrap": "circular",
    "grid-wrap": "circular",
}


def as_mode(mode: object) -> str:
    return MODES[one_of(mode, MODES, "mode")]


def as_axes(axes: object, ndim: int) -> tuple[int, ...]:
    """Each once, not negative."""
    if axes is None:
        return tuple(range(ndim))
    numbers = tuple(axes) if isinstance(axes, Iterable) and not isinstance(axes, str) else (axes,)
    own = tuple(as_axis(axis, ndim, "axes") for axis in numbers)
    if len(set(own)) < len(own):
        raise ValueError(f"axes: expected each axis once, got {axes!r}: axes must be unique")
    return own


def as_axis(axis: object, ndim: int, name: str = "axis") -> int:
    """Not negative."""
    if not is_int(axis):
        raise TypeError(f"{name}: expected an int, got {axis!r}, which cannot be interpreted as an integer")
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: expected an axis of {ndim}, got {axis}, which is out of range")
    return int(axis) % ndim


def per_axis(value: object, count: int, name: str) -> list[Any]:
    """One for all axes, or a sequence of as many."""
    if isinstance(value, str) or not np.iterable(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise WrongValue(
            f"{name}: expected {count} {'modes' if name == 'mode' else 'numbers'}, got {value!r}: "
            "a sequence argument must have length equal to input rank, or to the number of axes"
        )
    return values


def low_places(origin: object, size: int, shape: tuple[int, ...], flipped: bool = False) -> int:
    """How many places before an output its first tap lies."""
    least, most = -(size // 2), (size - 1) // 2
    if flipped:  # what it becomes when the weights are flipped has to be within these
        least, most = -most - (1 - size % 2), -least - (1 - size % 2)
    number = as_int(origin, "origin", -(2**31))
    if not least <= number <= most:
        raise ValueError(f"origin: expected {least} to {most} for weights of shape {shape}, got {origin!r}")
    return size // 2 + (-number - (1 - size % 2) if flipped else number)


def as_cval(cval: object, complex_input: bool, complex_weights: bool = False) -> complex:
    number = as_number(cval, "cval")
    if isinstance(number, complex) and not complex_input:
        error = ValueError if complex_weights else TypeError
        raise error(f"cval: expected a real number for an input of real ones, got {cval!r}")
    return number


def as_target(output: Output, x: AnyArray, complex_result: bool) -> AnyArray:
    """The array to write to: the one given, or a new one of the dtype given, or of that of the input."""
    if output is not None and not isinstance(output, type | np.dtype | str):
        y = np.asarray(output)
        if y.shape != x.shape:
            raise WrongValue(f"output: expected shape {x.shape}, got {y.shape}")
    else:
        dtype = x.dtype if output is None else np.dtype(output)
        if complex_result and dtype.kind != "c":
            if isinstance(output, str):
                raise WrongType(f"output: expected complex numbers for a complex result, got {output!r}")
            if output is not None:
                warnings.warn("output: promoting specified output dtype to complex", stacklevel=4)
            dtype = np.promote_types(dtype, np.complex64)
        y = np.empty(x.shape, dtype.newbyteorder("="))
        if isinstance(output, str) and dtype.kind == "b":
            raise WrongType(f"output: expected numbers, got {output!r}")
    if y.dtype.kind not in "biufc":
        raise WrongType(f"output: expected numbers, got {y.dtype.name}")
    if complex_result and y.dtype.kind != "c":
        raise WrongType(f"output: expected complex numbers for a complex result, got {y.dtype.name}")
    return y
