"""Sums of products over any number of axes: by the core's convolutions of one to three, or place by place.

`x` has axes before those that are summed over; NumPy's broadcasting joins them with those of `w`. The core is asked
for plain sums (``accuracy="strict"``): a transform's errors are relative to the whole array, not to an output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import add
from typing import Any

import numpy as np

from fastconv.conv import conv1d, conv2d, conv3d
from fastconv.filtering.edges import Pads
from fastconv.filtering.numbers import AnyArray, is_long

_FUNCTIONS: dict[int, Callable[..., AnyArray]] = {1: conv1d, 2: conv2d, 3: conv3d}


def correlated(x: AnyArray, w: AnyArray, pads: Pads) -> AnyArray:
    """The cross-correlation, with zeros beyond the edges, over as many of the last axes as there are pads.

    Args:
        x, w: Of one dtype: float32, float64, of more digits, or complex.
    Returns:
        At each place at which all of `w` lies on the padded array.
    """
    if is_long(x.dtype):
        return in_order(np.pad(x, ((0, 0),) * (x.ndim - len(pads)) + pads), w, len(pads))
    return _batched(x, w, pads)


def in_order(x: AnyArray, w: AnyArray, axes: int, kept: AnyArray | None = None) -> AnyArray:
    """The same, tap by tap in the order of `w`, each product rounded before it is added, as plain C code does it.

    Args:
        axes: How many of the last axes are summed over; no padding.
        kept: Which taps are used at all; None for all.
    """
    taps = w.shape[w.ndim - axes :]
    outputs = tuple(size - own + 1 for size, own in zip(x.shape[x.ndim - axes :], taps, strict=True))
    outer = np.broadcast_shapes(x.shape[: x.ndim - axes], w.shape[: w.ndim - axes])
    y = np.zeros(outer + outputs, x.dtype)
    product = np.empty_like(y)
    for tap in np.ndindex(*taps):
        if kept is None or kept[tap]:
            own: tuple[Any, ...] = (..., *tap)
            window: tuple[Any, ...] = (..., *map(slice, tap, map(add, tap, outputs)))
            np.multiply(x[window], w[own].reshape(w.shape[: w.ndim - axes] + (1,) * axes), out=product)
            y += product
    return y


def _batched(x: AnyArray, w: AnyArray, pads: Pads) -> AnyArray:
    axes = len(pads)
    own, others = x.shape[: x.ndim - axes], w.shape[: w.ndim - axes]
    outer = np.broadcast_shapes(own, others)
    if axes == 0:
        return np.multiply(x, w)
    places, filters = math.prod(own), math.prod(others)
    inner, taps = x.shape[x.ndim - axes :], w.shape[w.ndim - axes :]
    if math.prod(outer) == 0:
        return np.zeros(outer + tuple(n + sum(p) - k + 1 for n, p, k in zip(inner, pads, taps, strict=True)), x.dtype)
    if filters == 1:
        y = by_core(x.reshape(places, 1, *inner), w.reshape(1, 1, *taps), pads)
    elif places == 1:
        y = by_core(x.reshape(1, 1, *inner), w.reshape(filters, 1, *taps), pads)
    else:
        count = math.prod(outer)
        x, w = np.broadcast_to(x, outer + inner), np.broadcast_to(w, outer + taps)
        y = by_core(x.reshape(1, count, *inner), w.reshape(count, 1, *taps), pads, count)
    return y.reshape(outer + y.shape[2:])


def by_core(x: AnyArray, w: AnyArray, pads: Pads, groups: int = 1) -> AnyArray:
    """(N, C, ...) by (K, C // groups, ...) of any number of axes, float32, float64 or complex.

    Neighbouring axes along which there is a single tap and no padding are one axis to the core. Of more than three
    axes that are left, the first is summed over here.
    """
    N, C, *inner = x.shape
    K = w.shape[0]
    merged: list[tuple[int, int, tuple[int, int]]] = []
    for size, taps, own in zip(inner, w.shape[2:], pads, strict=True):
        if merged and taps == merged[-1][1] == 1 and own == merged[-1][2] == (0, 0):
            merged[-1] = (merged[-1][0] * size, 1, own)
        else:
            merged.append((size, taps, own))
    if len(merged) > 2 and C == K == 1 and merged[0][1:] == (1, (0, 0)):
        N *= merged.pop(0)[0]
    outputs = tuple(n + sum(p) - k + 1 for n, k, p in zip(inner, w.shape[2:], pads, strict=True))
    extents, kernel, around = (tuple(column) for column in zip(*merged, strict=True))
    images, filters = x.reshape(N, C, *extents), w.reshape(K, C // groups, *kernel)
    if len(merged) <= 3:
        y = _FUNCTIONS[len(merged)](images, filters, padding=around, groups=groups, accuracy="strict")
        return y.reshape(x.shape[0], K, *outputs)
    first = next(axis for axis, (_, taps, own) in enumerate(merged) if taps > 1 or own != (0, 0))
    low, high = around[first]
    if low or high:
        images = np.pad(images, [(low, high) if axis == first + 2 else (0, 0) for axis in range(images.ndim)])
    rest = tuple((0, 0) if axis == first else own for axis, own in enumerate(around))
    count = images.shape[first + 2] - kernel[first] + 1
    images, filters = np.moveaxis(images, first + 2, 0), np.moveaxis(filters, first + 2, 0)
    total: AnyArray | None = None
    for tap in range(kernel[first]):
        part, weights = images[tap : tap + count], filters[tap : tap + 1]
        y = by_core(np.moveaxis(part, 0, first + 2), np.moveaxis(weights, 0, first + 2), rest, groups)
        total = y if total is None else np.add(total, y, out=total)
    assert total is not None
    return total.reshape(x.shape[0], K, *outputs)
