"""From the arrays a user passes to those the core takes; messages as in :mod:`fastconv.arguments`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.arguments import DTYPES, Array, Shape


def _is_viewable(value: object) -> bool:
    """Whether NumPy can make an array of it without going through its items."""
    if any(hasattr(value, a) for a in ("__array_interface__", "__array_struct__", "__array__")):
        return True
    try:
        memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def as_array(value: object, name: str, dtype: str | None = None, whose: str = "") -> Array:
    """A float32 or float64 array, of any strides and byte order, not copied; of `dtype`, that of `whose`, if given.

    Lists are refused: their dtype would be a guess. So are masked arrays, since the mask would be lost.
    """
    array = viewed(value, name)
    if array.dtype.name not in DTYPES:
        raise TypeError(f"{name}: expected dtype float32 or float64, got {array.dtype.name}; nothing is converted")
    if dtype is not None and array.dtype.name != dtype:
        raise TypeError(f"{name}: expected {dtype}, the dtype of {whose}, got {array.dtype.name}; nothing is converted")
    return array


def viewed(value: object, name: str) -> npt.NDArray[Any]:
    """The array itself, or a view of what NumPy can make an array of without going through its items."""
    if not isinstance(value, np.ndarray):
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            try:
                return np.from_dlpack(value)
            except (BufferError, RuntimeError, TypeError) as error:
                raise TypeError(f"{name}: expected memory that NumPy can view, got {error}") from None
        if not _is_viewable(value):
            raise TypeError(f"{name}: expected a NumPy array, got {type(value).__name__}")
        try:
            return np.asarray(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}: expected memory that NumPy can view, got {error}") from None
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an array without a mask, got a masked array; fill it first")
    return _as_it_lies(value)


def _as_it_lies(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array itself, or of a subclass, whose attributes may be code of its own, a plain view of its memory."""
    return array if type(array) is np.ndarray else np.ndarray.view(array, np.ndarray)


def as_bias(bias: object, weight: Array) -> Array | None:
    """One value per filter, of the weights' dtype, or None."""
    return as_bias_of(weight.shape[0], bias, weight)


def as_bias_of(K: int, bias: object, weight: Array) -> Array | None:
    """K values, of the weights' dtype, or None."""
    if bias is None:
        return None
    b = as_array(bias, "bias", weight.dtype.name, "weight")
    return fit_bias(b, K)


def fit_bias(bias: npt.NDArray[Any], K: int) -> npt.NDArray[Any]:
    """The array, if it has K values."""
    if bias.shape != (K,):
        raise ValueError(f"bias: expected shape ({K},), one value per filter, got {bias.shape}")
    return bias


def as_out(out: object, shape: Shape, dtype: str, **operands: Array | None) -> npt.NDArray[Any] | None:
    """The array to write to, or None. `operands` are the arrays it must not overlap, by the name of the argument."""
    if out is None:
        return None
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out: expected a NumPy array, got {type(out).__name__}")
    memory = _as_it_lies(out)
    if memory.dtype.name != dtype:
        raise TypeError(f"out: expected {dtype}, the dtype of the other arrays, got {memory.dtype.name}")
    if memory.shape != shape:
        raise ValueError(f"out: expected shape {shape}, got {memory.shape}")
    if not memory.flags.writeable:
        raise ValueError("out: expected a writable array, got one that is read-only")
    for name, operand in operands.items():
        # By bounds: the exact question (np.shares_memory) can take exponential time.
        if operand is not None and np.may_share_memory(memory, operand):
            raise ValueError(f"out: expected memory of its own, got an array that overlaps {name}")
    return out


def as_added(residual: object, accumulate: object, out: object) -> object:
    """What is added to the output: `residual`, or with ``accumulate=True`` the array `out`."""
    if not isinstance(accumulate, bool):
        raise TypeError(f"accumulate: expected True or False, got {accumulate!r}")
    if not accumulate:
        return residual
    if out is None:
        raise ValueError("accumulate: expected an array `out` to add to, got none")
    if residual is not None:
        raise ValueError("accumulate: expected no residual beside it; give one of them")
    return out


def as_residual(residual: object, shape: Shape, dtype: str, out: npt.NDArray[Any] | None) -> Array | None:
    """What is added to an output of this shape and dtype, or None."""
    if residual is None:
        return None
    return fit_residual(as_array(residual, "residual", dtype, "input"), shape, out)


def fit_residual(residual: npt.NDArray[Any], shape: Shape, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """The array, if it has that shape, and lies apart from `out` or is the same values."""
    if residual.shape != shape:
        raise ValueError(f"residual: expected shape {shape}, that of the output, got {residual.shape}")
    if out is not None and not _are_same(residual, out) and np.may_share_memory(residual, out):
        raise ValueError("residual: expected memory apart from out, or all of out's, got an array that overlaps it")
    return residual


def _are_same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether two arrays of one shape are the same values in memory."""
    return (a.ctypes.data, a.strides, a.dtype) == (b.ctypes.data, b.strides, b.dtype)


def ready(array: Array) -> Array:
    """The array as the core has it: C-contiguous, aligned, native byte order, exactly an ndarray; copied if need be."""
    return np.require(array, array.dtype.newbyteorder("="), ["C", "A", "E"])


def is_ready(array: npt.NDArray[Any]) -> bool:
    return type(array) is np.ndarray and array.flags.carray and array.dtype.isnative
