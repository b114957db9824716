"""What layers should return for any arguments that are sound, in whatever form: for fuzz.py."""

from __future__ import annotations

import numpy as np
from truth import conv, every, pairs, scattered, weight_gradient

NUMPYS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _plain(value):
    """As float64 or complex128, for the definition."""
    a = np.asarray(value)
    return a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)


def _by_parts(function, x, w, *rest):
    """A function of real arrays, of complex ones."""
    return sum(
        factor * function(a, b, *rest)
        for factor, a, b in ((1, x.real, w.real), (-1, x.imag, w.imag), (1j, x.real, w.imag), (1j, x.imag, w.real))
        if factor == 1 or np.iscomplexobj(x) or np.iscomplexobj(w)
    )


def _first(a, layout):
    """Channels first, with N."""
    a = np.moveaxis(a, -1, -(a.ndim - (len(layout) == a.ndim))) if layout.endswith("C") else a
    return a if a.ndim == len(layout) else a[np.newaxis]


def _as_users(y, like, layout):
    y = y if np.ndim(like) == len(layout) else y[0]
    return np.moveaxis(y, 1 - (np.ndim(like) != len(layout)), -1) if layout.endswith("C") else y


def _finished(y, a, layout):
    """With bias and residual, as the user has it."""
    b, residual = a["bias"], a.get("residual")
    y = _as_users(y if b is None else y + _plain(b).reshape(-1, *(1,) * (y.ndim - 2)), a["input"], layout)
    return y if residual is None else y + _plain(residual)


def _pads(padding, extents, kernel, stride, dilation):
    axes = len(extents)
    if padding in ("same", "same_lower"):
        numbers = zip(extents, kernel, stride, dilation, strict=True)
        totals = [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in numbers]
        return tuple((t // 2, t - t // 2)[:: 1 if padding == "same" else -1] for t in totals)
    return pairs(axes, _each(axes, 0 if padding == "valid" else padding))


def _each(axes, number):
    if np.ndim(number) == 0:
        return every(axes, int(number))
    number = tuple(number)
    return number * axes if len(number) == 1 and np.ndim(number[0]) == 0 else number


def expected_conv(a):
    """What :func:`fastconv.conv2d` and its like should return; None where the definition does not say."""
    if a["activation"] is not None:
        return None
    layout = a["layout"] or {3: "NCW", 4: "NCHW", 5: "NCDHW"}[np.ndim(a["weight"])]  # None: a prepared form's default
    x, w = _first(_plain(a["input"]), layout), _plain(a["weight"])
    axes = x.ndim - 2
    stride, dilation = _each(axes, a["stride"]), _each(axes, a["dilation"])
    pads = _pads(a["padding"], x.shape[2:], w.shape[2:], stride, dilation)
    if a.get("padding_mode", "zeros") != "zeros":
        x, pads = np.pad(x, ((0, 0), (0, 0), *pads), mode=NUMPYS[a["padding_mode"]]), ((0, 0),) * axes
    if np.prod([n + sum(p) for n, p in zip(x.shape[2:], pads, strict=True)], dtype=float) > 1e6:
        return None
    y = _by_parts(conv, x, w, None, stride, pads, dilation, int(a["groups"]))
    return _finished(y, a, layout)


def expected_transposed(a):
    """The same of a transposed convolution."""
    if a["activation"] is not None:
        return None
    layout = a["layout"] or {3: "NCW", 4: "NCHW", 5: "NCDHW"}[np.ndim(a["weight"])]  # None: a prepared form's default
    x, w = _first(_plain(a["input"]), layout), _plain(a["weight"])
    axes = x.ndim - 2
    stride, dilation = _each(axes, a["stride"]), _each(axes, a["dilation"])
    padding = 0 if a["padding"] == "valid" else a["padding"]
    pads, more = pairs(axes, _each(axes, padding)), _each(axes, a["output_padding"])
    numbers = zip(x.shape[2:], stride, pads, dilation, w.shape[2:], more, strict=True)
    extents = [(n - 1) * s - sum(p) + d * (k - 1) + m + 1 for n, s, p, d, k, m in numbers]
    if np.prod(extents, dtype=float) > 1e6 or max(map(max, pads)) > 1e3:
        return None
    y = _by_parts(scattered, x, w, extents, stride, pads, dilation, int(a["groups"]))
    return _finished(y, a, layout)


def expected_gradient(a):
    """The same of a gradient."""
    name = next(name for name in ("weight_size", "input_size") if name in a)
    size, dy = a[name], _first(_plain(a["grad_output"]), a["layout"])
    axes = dy.ndim - 2
    options = [_each(axes, a["stride"]), None, _each(axes, a["dilation"]), int(a["groups"])]
    if name == "weight_size":
        x = _first(_plain(a["input"]), a["layout"])
        options[1] = _pads(a["padding"], x.shape[2:], size[2:], options[0], options[2])
        return weight_gradient(x, dy, size[2:], *options)
    w = _plain(a["weight"])
    extents = _first(np.empty(size), a["layout"]).shape[2:]
    options[1] = _pads(a["padding"], extents, w.shape[2:], options[0], options[2])
    return _as_users(scattered(dy, w, extents, *options), np.empty(size), a["layout"])
