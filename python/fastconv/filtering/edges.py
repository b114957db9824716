"""Parts of arrays as filters see them: with what lies beyond the edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.borders import source
from fastconv.filtering.numbers import AnyArray

Pads = tuple[tuple[int, int], ...]


def strip(
    x: AnyArray, box: tuple[range, ...], modes: tuple[str, ...], value: complex, dtype: np.dtype[Any], first: int = 0
) -> AnyArray:
    """The values in a box that may reach beyond the array, converted.

    Args:
        box: Places per axis; on all axes but `first` they hold the whole extent.
        modes: Per axis "constant", or one of :func:`fastconv.borders.source`.
        value: What lies beyond where the mode is "constant".
    """
    y = np.empty(tuple(map(len, box)), dtype)
    if y.size == 0:
        return y
    if x.size == 0:
        y[...] = value
        return y
    # Places of the box that lie in the array; what is outside along an axis is made of what is inside along it.
    inside = [
        range(min(max(places.start, 0), size), min(max(places.stop, 0), size))
        for places, size in zip(box, x.shape, strict=True)
    ]
    into = [slice(own.start - places.start, own.stop - places.start) for own, places in zip(inside, box, strict=True)]
    taken = [slice(own.start, own.stop) for own in inside]
    np.copyto(y[tuple(into)], x[tuple(taken)], casting="unsafe")
    for axis in (first, *(axis for axis in range(x.ndim) if axis != first)):
        places, own, size = box[axis], inside[axis], x.shape[axis]
        for outside in (range(places.start, min(places.stop, 0)), range(max(places.start, size), places.stop)):
            if not len(outside):
                continue
            to, start = list(into), places.start
            to[axis] = slice(outside.start - start, outside.stop - start)
            if modes[axis] == "constant":
                y[tuple(to)] = value
                continue
            seen = source(np.arange(outside.start, outside.stop), size, modes[axis])
            if axis == first:
                values = x[tuple(taken[:axis])].take(seen, axis)[(slice(None),) * (axis + 1) + tuple(taken[axis + 1 :])]
            else:
                values = y[tuple(into[:axis])].take(seen - start, axis)[
                    (slice(None),) * (axis + 1) + tuple(into[axis + 1 :])
                ]
            np.copyto(y[tuple(to)], values, casting="unsafe")
        into[axis] = slice(None)
        taken[axis] = slice(own.start, own.stop)
    return y


def padded(x: AnyArray, pads: Pads, mode: str, value: complex = 0) -> AnyArray:
    """The whole array with pads of (before, after) per axis."""
    box = tuple(range(-low, size + high) for (low, high), size in zip(pads, x.shape, strict=True))
    return strip(x, box, (mode,) * x.ndim, value, x.dtype)
