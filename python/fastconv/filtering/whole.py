"""Cross-correlations of whole numbers, exact in 64 bits."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
import numpy.typing as npt

from fastconv.filtering.edges import Pads
from fastconv.filtering.numbers import AnyArray
from fastconv.filtering.sums import by_core

_HELD = {"float32": 24, "float64": 53}  # bits up to which sums of whole numbers are exact


def reach(x: AnyArray) -> int:
    """The largest absolute value, as an int of Python's; of small dtypes what they can hold."""
    if x.size == 0:
        return 0
    if x.dtype.kind == "b":
        return 1
    if x.dtype.itemsize == 1:
        limits = np.iinfo(x.dtype)
        return max(-int(limits.min), int(limits.max))
    return max(-int(x.min()), int(x.max()))


def total(w: AnyArray) -> int:
    """At least the sum of the absolute values, and hardly more."""
    return math.ceil(float(np.abs(w.astype(np.float64)).sum()) * (1 + 2.0**-30))


def held_by(largest: int) -> np.dtype[np.floating] | None:
    """The floating-point type in which sums are exact that stay up to this; None beyond float64."""
    for name, bits in _HELD.items():
        if largest <= 2**bits:
            return np.dtype(name)
    return None


def exact(x: AnyArray, w: AnyArray, pads: Pads, bits: int = 64) -> npt.NDArray[np.int64]:
    """The sums modulo 2^bits, in as many low bits of the result; zeros lie beyond the edges.

    Sums that float64 does not hold are made of parts: numbers are cut into limbs so short that the sums of their
    products are exact. Limbs are channels, and the sums whose products belong at one place of the result are a filter.

    Args:
        x, w: Integers or truth values, of one number of axes.
    """
    kind = held_by(reach(x) * total(w))
    if kind is not None:
        sums = by_core(x.astype(kind)[None, None], w.astype(kind)[None, None], pads)[0, 0]
        whole: npt.NDArray[np.int64] = sums.astype(np.int64)
        return whole
    for limbs in count(2):
        length = -(-bits // limbs)
        if 2 * length + (limbs * w.size).bit_length() <= _HELD["float64"]:
            break
    parts, taps = _limbs(x, limbs, length), _limbs(w, limbs, length)
    filters = np.zeros((limbs, limbs, *w.shape))
    for place in range(limbs):
        for limb in range(place + 1):
            filters[place, limb] = taps[place - limb]
    sums = by_core(parts[None], filters, pads)[0]
    y = np.zeros(sums.shape[1:], np.uint64)
    for place in range(limbs):
        y += sums[place].astype(np.uint64) << np.uint64(place * length)
    return y.view(np.int64)


def _limbs(a: AnyArray, limbs: int, length: int) -> npt.NDArray[np.float64]:
    """Of the numbers modulo 2^64, the lowest first."""
    bits = a.astype(np.int64 if a.dtype.kind == "i" else np.uint64).view(np.uint64)
    mask = np.uint64(2**length - 1)
    return np.stack([(bits >> np.uint64(limb * length) & mask).astype(np.float64) for limb in range(limbs)])
