"""How every filter goes over an array: block by block, so that nothing of the array's size is made beside the output.

A block's values are brought into what sums are made in, with what lies beyond the edges, and its outputs from there
into the output's dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv.filtering.edges import Pads, strip
from fastconv.filtering.numbers import AnyArray

# Values of a block: 2 MiB of float64, a core's cache; and of one that is gone over again and again, tap by tap.
BLOCK = 2**18
SMALL_BLOCK = 2**15


class Term(NamedTuple):
    """What an output is a sum of.

    Attributes:
        x: Real numbers.
        beyond: What lies beyond the edges where the mode is "constant".
        dtype: What `run` takes.
        run: From a block with the places that it sees around it to its outputs.
        sign: 1, or -1 if it is subtracted.
        block: How many values a block should have.
    """

    x: AnyArray
    beyond: float | int
    dtype: np.dtype[Any]
    run: Callable[[AnyArray], AnyArray]
    sign: int = 1
    block: int = BLOCK


def sweep(y: AnyArray, terms: Sequence[Term], seen: Pads, modes: tuple[str, ...]) -> None:
    """Write the sum of the terms to `y`.

    Args:
        y: Real numbers or truth values, of at least one axis, of the shape of the terms' arrays. Where it shares memory
            with one, it has to be :func:`may_be_input`.
        seen: Per axis, how many places before and after its own an output sees.
        modes: Per axis, as :func:`fastconv.filtering.edges.strip` takes them.
    """
    if y.size == 0:
        return
    most = min(term.block for term in terms)
    axis = _block_axis(y, seen, most)
    low, high = seen[axis]
    rows = max(most // (y.size // y.shape[axis]), 4 * (low + high), 1)
    for begin in range(0, y.shape[axis], rows):
        end = min(begin + rows, y.shape[axis])
        box = [range(-before, size + after) for (before, after), size in zip(seen, y.shape, strict=True)]
        box[axis] = range(begin - low, end + high)
        total: AnyArray | None = None
        for term in terms:
            part = term.run(strip(term.x, tuple(box), modes, term.beyond, term.dtype, axis))
            if total is None:
                total = part if term.sign == 1 else -part
            else:
                total = total + part if term.sign == 1 else total - part
        assert total is not None
        store(total, y[(slice(None),) * axis + (slice(begin, end),)])


def _block_axis(y: AnyArray, seen: Pads, most: int) -> int:
    """The first axis along which blocks do not see each other, or else the first of all, if there is enough of it."""
    extents: tuple[int, ...] = y.shape
    axes = list(range(len(extents)))
    for axis in [axis for axis in axes if seen[axis] == (0, 0)] + axes:
        if y.size <= most * extents[axis]:
            return axis
    return extents.index(max(extents))


def may_be_input(y: AnyArray, x: AnyArray, seen: Pads) -> bool:
    """Whether :func:`sweep` may write to the memory that it reads: blocks then read what they alone write."""
    same = y.__array_interface__["data"] == x.__array_interface__["data"] and y.strides == x.strides
    blocks = {_block_axis(y, seen, most) for most in (BLOCK, SMALL_BLOCK)}
    return same and y.dtype == x.dtype and all(seen[axis] == (0, 0) for axis in blocks)


def store(values: AnyArray, y: AnyArray) -> None:
    """Into the output's dtype: cut towards zero, and beyond what it holds modulo its range, as C does on x86."""
    if values.dtype.kind != "f" or y.dtype.kind not in "biu":
        with np.errstate(over="ignore", invalid="ignore"):
            if y.dtype.kind == "b":
                np.not_equal(values, 0, out=y)
            else:
                np.copyto(y, values, casting="unsafe")
        return
    with np.errstate(invalid="ignore"):
        if y.dtype.itemsize < 4 or y.dtype == np.int32:
            whole: AnyArray = values.astype(np.int32)
        elif y.dtype.name != "uint64":
            whole = values.astype(np.int64)
        else:
            above = values > -1
            whole = np.abs(np.where(np.isnan(values), 2.0**63, values)).astype(np.uint64)
            np.negative(whole, out=whole, where=~above)
    if y.dtype.kind == "b":
        np.not_equal(whole & 0xFF, 0, out=y)  # SciPy's truth values are bytes
    else:
        np.copyto(y, whole, casting="unsafe")
