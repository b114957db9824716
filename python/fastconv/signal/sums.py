"""What these functions compute: places of the full convolution of two arrays, of any numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.dtypes import COMPLEX
from fastconv.filtering.edges import Pads
from fastconv.filtering.numbers import AnyArray, as_numbers, is_long, one_of
from fastconv.filtering.sums import correlated
from fastconv.filtering.whole import exact

MODES = ("full", "same", "valid")

Window = tuple[range, ...]
"""Places of the full convolution, per axis."""


def as_mode(mode: object) -> str:
    return one_of(mode, MODES, "mode")


def of_same_axes(in1: object, in2: object) -> tuple[AnyArray, AnyArray]:
    x, w = as_numbers(in1, "in1", long=True), as_numbers(in2, "in2", long=True)
    if x.ndim != w.ndim:
        raise ValueError(f"in2: expected as many axes as in1, got shapes {x.shape} and {w.shape}")
    return x, w


def none_empty(x: AnyArray, w: AnyArray) -> None:
    for name, array in (("in1", x), ("in2", w)):
        if array.size == 0:
            raise ValueError(f"{name}: expected at least one value, got shape {array.shape}")


def window(mode: str, first: tuple[int, ...], second: tuple[int, ...], earlier: int = 0) -> Window:
    """Which places a mode returns of arrays of these extents.

    Args:
        earlier: Whether the middle of even extents lies a place later, as `correlate2d` has it.
    """
    if mode == "full":
        return tuple(range(max(n + k - 1, 0)) for n, k in zip(first, second, strict=True))
    if mode == "same":
        starts = [k // 2 if earlier else max(k - 1, 0) // 2 for k in second]
        return tuple(range(start, start + n) for start, n in zip(starts, first, strict=True))
    holds = all(n >= k for n, k in zip(first, second, strict=True))
    held = all(n <= k for n, k in zip(first, second, strict=True))
    if not holds and not held:
        raise ValueError(
            f"in2: expected one array at least as large as the other for mode='valid', got {first} and {second}"
        )
    return tuple(range(min(n, k) - 1, max(n, k)) for n, k in zip(first, second, strict=True))


def flipped(w: AnyArray, axes: int | None = None) -> AnyArray:
    """Backwards along all axes, or so many of the last ones."""
    return np.flip(w, tuple(range(0 if axes is None else w.ndim - axes, w.ndim)))


def convolved(x: AnyArray, w: AnyArray, places: Window) -> AnyArray:
    """These places of the full convolution over as many of the last axes; the axes before are broadcast.

    The smaller array is the filter, and of both only that is used which meets something of the other.
    """
    axes = len(places)
    if math.prod(w.shape[w.ndim - axes :]) > math.prod(x.shape[x.ndim - axes :]):
        x, w = w, x
    values: tuple[Any, ...] = (...,)
    taps: tuple[Any, ...] = (...,)
    pads = []
    for n, k, own in zip(x.shape[x.ndim - axes :], w.shape[w.ndim - axes :], places, strict=True):
        seen = range(max(0, own.start - k + 1), min(n, own.stop))
        used = range(max(0, own.start - n + 1), min(k, own.stop))
        values += (slice(seen.start, seen.stop),)
        taps += (slice(used.start, used.stop),)
        start = own.start - seen.start - used.start
        pads.append((len(used) - 1 - start, start + len(own) - len(seen)))
    return summed(x[values], flipped(w[taps], axes), tuple(pads))


def summed(x: AnyArray, w: AnyArray, pads: Pads) -> AnyArray:
    """The cross-correlation, of the dtype of NumPy's promotion of both."""
    dtype = np.result_type(x, w).newbyteorder("=")
    if dtype.kind in "biu":
        y = exact(x.astype(dtype), w.astype(dtype), pads, 64 if dtype.kind == "b" else 8 * dtype.itemsize)
        return y.astype(dtype)
    inner = computed_in(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = correlated(x.astype(inner, copy=False), w.astype(inner, copy=False), pads)
        return sums.astype(dtype, copy=False)


def computed_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What floating-point or complex numbers are computed in: their own dtype, or the next that there is."""
    if dtype.name in ("float32", "float64", *COMPLEX) or is_long(dtype):
        native: np.dtype[Any] = dtype.newbyteorder("=")
        return native
    return np.dtype(np.float32)  # for float16
