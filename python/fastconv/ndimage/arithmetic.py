"""In what a filter's sums of products are made, so that they are SciPy's: float64, in an order that matters only where
results are cut to integers, or whole numbers, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastconv.filtering.numbers import AnyArray
from fastconv.filtering.sums import by_core, in_order
from fastconv.filtering.whole import exact, held_by, reach, total
from fastconv.ndimage.sweep import BLOCK, SMALL_BLOCK

_DOUBLE = np.dtype(np.float64)
_EPSILON = float(np.finfo(np.float64).eps)

Run = Callable[[AnyArray], AnyArray]


class Taps(NamedTuple):
    """Real weights, of as many axes as the array.

    Attributes:
        kept: Which of them are used: SciPy leaves out those up to 2^-52, so that what they see, an infinity or NaN
            included, counts for nothing. None for all.
        axis: That of the only ones, if they are of one axis, whose sums SciPy makes in another order; else None.
    """

    weights: npt.NDArray[np.float64]
    kept: npt.NDArray[np.bool_] | None
    axis: int | None


def of_array(weights: AnyArray) -> Taps:
    with np.errstate(invalid="ignore"):
        kept = np.abs(weights) > _EPSILON
    return Taps(np.where(kept, weights, 0.0), None if kept.all() else kept, None)


def of_line(weights: AnyArray, axis: int, ndim: int) -> Taps:
    return Taps(weights.reshape([-1 if other == axis else 1 for other in range(ndim)]), None, axis)


class Way(NamedTuple):
    """What blocks are brought into, what makes outputs of them, and how large they should be."""

    dtype: np.dtype[Any]
    run: Run
    block: int = BLOCK


def arithmetic(x: AnyArray, taps: Taps, beyond: float, result: np.dtype[Any]) -> Way:
    """How outputs are made of x.

    Args:
        beyond: What lies beyond the edges, 0 where it is never looked at.
        result: The output's dtype.
    """
    weights, kept, axis = taps
    none = ((0, 0),) * weights.ndim
    whole = x.dtype.kind in "biu" and float(beyond).is_integer() and bool((weights == np.rint(weights)).all())
    if whole and np.isfinite(weights).all():
        kind = held_by(max(reach(x), abs(int(beyond))) * total(weights))
        if kind is not None:
            own = weights.astype(kind)
            return Way(kind, lambda block: _by_core(block, own))
        inside = max(np.abs(weights).max(), abs(beyond)) < 2**63
        if result.kind in "iu" and inside and not _held(x):
            whole_weights = weights.astype(np.int64)
            return Way(x.dtype.newbyteorder("="), lambda block: exact(block, whole_weights, none))
    if result.kind in "biu":
        if axis is not None:
            return Way(_DOUBLE, lambda block: _line_in_order(block, weights.ravel(), axis), SMALL_BLOCK)
        return Way(_DOUBLE, lambda block: in_order(block, weights, weights.ndim, kept), SMALL_BLOCK)
    if kept is None:
        return Way(_DOUBLE, lambda block: _by_core(block, weights))
    if np.isfinite(weights).all():
        return Way(_DOUBLE, lambda block: _without_left_out(block, weights))
    return Way(_DOUBLE, lambda block: in_order(block, weights, weights.ndim, kept), SMALL_BLOCK)


def _by_core(block: AnyArray, weights: AnyArray) -> AnyArray:
    y: AnyArray = by_core(block[None, None], weights[None, None], ((0, 0),) * weights.ndim)[0, 0]
    return y


def _held(x: AnyArray) -> bool:
    """Whether float64 holds all these integers."""
    with np.errstate(invalid="ignore"):
        return bool((x.astype(np.float64).astype(x.dtype) == x).all())


def _without_left_out(block: AnyArray, weights: AnyArray) -> AnyArray:
    """Where some weights are zero, and what they see counts for nothing, be it infinite or NaN."""
    y = _by_core(block, weights)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(y.sum()):
            return y
    finite = np.isfinite(block)
    if finite.all():
        return y
    # Finite sums, and over them what NaN and infinities make of them: whether a tap sees one.
    y = _by_core(np.where(finite, block, 0.0), weights)
    seen = np.stack([np.isnan(block), block == np.inf, block == -np.inf]).astype(np.float32)
    no = np.zeros(weights.shape, bool)
    above, below = weights > 0, weights < 0
    filters = np.array([[above | below, no, no], [no, above, below], [no, below, above]], np.float32)
    nan, plus, minus = by_core(seen[None], filters, ((0, 0),) * weights.ndim)[0] > 0.5
    y[plus] = np.inf
    y[minus] = -np.inf
    y[nan | (plus & minus)] = np.nan
    return y


def _line_in_order(block: AnyArray, weights: npt.NDArray[np.float64], axis: int) -> AnyArray:
    """Along one axis in SciPy's order: symmetric weights, or those that change sign, from pairs of values."""
    x = np.moveaxis(block, axis, 0)
    size = len(weights)
    half, outputs = size // 2, x.shape[0] - size + 1

    def at(tap: int) -> AnyArray:
        return x[tap : tap + outputs]

    left, right = weights[:half], weights[::-1][:half]
    sign = 0
    if size % 2:
        sign = 1 if not (np.abs(right - left) > _EPSILON).any() else 0
        sign = -1 if not sign and not (np.abs(right + left) > _EPSILON).any() else sign
    middle = half if sign else size - 1
    y = at(middle) * weights[middle]
    product = np.empty_like(y)
    for tap in range(middle):
        if sign:
            combine = np.add if sign == 1 else np.subtract
            combine(at(tap), at(size - 1 - tap), out=product)
            product *= weights[tap]
        else:
            np.multiply(at(tap), weights[tap], out=product)
        y += product
    return np.moveaxis(y, 0, axis)
