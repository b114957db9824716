"""What is right, in float64 by NumPy, for any number of spatial axes: from windows and from scattered sums."""

from __future__ import annotations

import itertools

import numpy as np


def every(axes, number):
    """`number` for each axis if it is one, else as it is."""
    return (number,) * axes if isinstance(number, int) else tuple(number)


def pairs(axes, pads):
    """(before, after) per axis."""
    return tuple((pad, pad) if isinstance(pad, int) else tuple(pad) for pad in every(axes, pads))


def conv(x, w, bias=None, stride=1, pads=0, dilation=1, groups=1):
    """(N, C, ...) by (K, C // groups, ...), from windows."""
    axes = x.ndim - 2
    stride, dilation = every(axes, stride), every(axes, dilation)
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *pairs(axes, pads)))
    N, C, K = *x.shape[:2], w.shape[0]
    field = tuple(d * (size - 1) + 1 for d, size in zip(dilation, w.shape[2:], strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, field, axis=tuple(range(2, 2 + axes)))
    steps = [slice(None, None, step) for step in (*stride, *dilation)]
    windows = windows[(slice(None), slice(None), *steps)]
    outputs = windows.shape[2 : 2 + axes]
    windows = windows.reshape(N, groups, C // groups, *outputs, *w.shape[2:])
    filters = w.astype(np.float64).reshape(groups, K // groups, *w.shape[1:])
    p, t = "pqo"[:axes], "rst"[:axes]
    y = np.einsum(f"ngc{p}{t},gkc{t}->ngk{p}", windows, filters).reshape(N, K, *outputs)
    return y if bias is None else y + bias.astype(np.float64).reshape(-1, *(1,) * axes)


def scattered(x, w, extents, stride=1, pads=0, dilation=1, groups=1):
    """Each of (N, C, ...) adds its multiple of (C, K // groups, ...) to an output of these extents.

    A transposed convolution without bias; with a convolution's filters, the gradient of its input.
    """
    axes = x.ndim - 2
    stride, dilation, pads = every(axes, stride), every(axes, dilation), pairs(axes, pads)
    N, C = x.shape[:2]
    images = x.astype(np.float64).reshape(N, groups, C // groups, *x.shape[2:])
    filters = w.astype(np.float64).reshape(groups, C // groups, *w.shape[1:])
    p = "pqo"[:axes]
    # Large enough for every product; cropped in the end.
    room = [
        max((size - 1) * s + d * (taps - 1) + 1, low + extent)
        for size, s, d, taps, (low, _), extent in zip(
            x.shape[2:], stride, dilation, w.shape[2:], pads, extents, strict=True
        )
    ]
    y = np.zeros((N, groups, w.shape[1], *room))
    for taps in itertools.product(*map(range, w.shape[2:])):
        product = np.einsum(f"ngc{p},gck->ngk{p}", images, filters[(..., *taps)])
        where = [
            slice(tap * d, tap * d + (size - 1) * s + 1, s)
            for tap, d, size, s in zip(taps, dilation, x.shape[2:], stride, strict=True)
        ]
        y[(..., *where)] += product
    crop = [slice(low, low + extent) for (low, _), extent in zip(pads, extents, strict=True)]
    return y[(..., *crop)].reshape(N, groups * w.shape[1], *extents)


def weight_gradient(x, dy, kernel, stride=1, pads=0, dilation=1, groups=1):
    """(K, C // groups, *kernel) of a convolution of x, from the gradient of its output."""
    axes = x.ndim - 2
    stride, dilation = every(axes, stride), every(axes, dilation)
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *pairs(axes, pads)))
    N, C, K = *x.shape[:2], dy.shape[1]
    x = x.reshape(N, groups, C // groups, *x.shape[2:])
    dy = dy.astype(np.float64).reshape(N, groups, K // groups, *dy.shape[2:])
    p = "pqo"[:axes]
    dw = np.zeros((groups, K // groups, C // groups, *kernel))
    for taps in itertools.product(*map(range, kernel)):
        where = [
            slice(tap * d, tap * d + (size - 1) * s + 1, s)
            for tap, d, size, s in zip(taps, dilation, dy.shape[3:], stride, strict=True)
        ]
        dw[(..., *taps)] = np.einsum(f"ngc{p},ngk{p}->gkc", x[(..., *where)], dy)
    return dw.reshape(K, C // groups, *kernel)


def assert_close(y, expected, epsilons=64):
    """Of one shape, and apart by at most so many epsilons of the largest value, or of 1."""
    assert y.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    assert float(np.abs(y - expected).max(initial=0)) <= epsilons * np.finfo(y.dtype).eps * scale
