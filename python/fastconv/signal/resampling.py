"""Changes of a signal's rate by whole numbers, up and down, with a filter between."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.conv import conv1d
from fastconv.filtering.edges import strip
from fastconv.filtering.numbers import AnyArray, as_number, as_numbers, one_of
from fastconv.geometry import as_int
from fastconv.signal.sums import computed_in

# SciPy's names of what lies beyond a signal, and the names in fastconv.borders.
_MODES = {
    "constant": "constant",
    "edge": "replicate",
    "wrap": "circular",
    "symmetric": "symmetric",
    "reflect": "reflect",
}
_BACKGROUNDS: dict[str, Callable[..., AnyArray]] = {
    "mean": np.mean,
    "median": np.median,
    "minimum": np.min,
    "maximum": np.max,
}
_WINDOWS: dict[str, Callable[[int], AnyArray]] = {
    "boxcar": np.ones,
    "bartlett": np.bartlett,
    "blackman": np.blackman,
    "hamming": np.hamming,
    "hann": np.hanning,
}


def upfirdn(
    h: npt.ArrayLike,
    x: npt.ArrayLike,
    up: int = 1,
    down: int = 1,
    axis: int = -1,
    mode: str = "constant",
    cval: float = 0,
) -> npt.NDArray[Any]:
    """Put `up` - 1 zeros behind each value, filter, and keep each `down`-th output: ``scipy.signal.upfirdn``.

    Neither the zeros nor the other outputs are computed with: each phase is a convolution of stride `down`.

    Args:
        h: The filter's taps.
        x: Any number of axes.
        up, down: At least 1.
        axis: That of the signals.
        mode: What lies beyond a signal: ``"constant"`` (`cval`), ``"edge"``, ``"wrap"``, ``"symmetric"`` or
            ``"reflect"``.
        cval: For ``mode="constant"``.
    Returns:
        ``ceil(((n - 1) * up + len(h)) / down)`` values for each n; at least float32.
    Raises:
        ValueError: Other numbers or names, more axes in `h`, an empty signal.
        TypeError: A dtype that is none of numbers.
    Source: the documentation of ``scipy.signal.upfirdn``; phases: Crochiere and Rabiner, Multirate Digital Signal
        Processing, 1983.

    >>> upfirdn([1, 1, 1], [1, 2, 3], up=3)
    array([1., 1., 1., 2., 2., 2., 3., 3., 3.])
    """
    taps, values = as_numbers(h, "h"), as_numbers(x, "x")
    if taps.ndim != 1 or not len(taps):
        raise ValueError(f"h: expected one axis with at least one tap, got shape {taps.shape}")
    if not values.ndim or not values.size:
        raise ValueError(f"x: expected axes with at least one value, got shape {values.shape}")
    up, down = _as_rate(up, "up"), _as_rate(down, "down")
    own = as_int(axis, "axis", -values.ndim, values.ndim - 1) % values.ndim
    boundary, beyond = _MODES[one_of(mode, _MODES, "mode")], as_number(cval, "cval")
    dtype = computed_in(np.result_type(taps, values, np.float32))
    if dtype.kind != "c" and isinstance(beyond, complex):
        raise ValueError(f"cval: expected a real number for real signals, got {cval!r}")
    lines = np.moveaxis(values, own, -1)
    outer, length = lines.shape[:-1], lines.shape[-1]
    lines = lines.reshape(1, -1, length)[0]
    outputs = -(-((length - 1) * up + len(taps)) // down)
    # Output m meets tap p + j * up at value i - j, where m * down = i * up + p.
    longest = -(-len(taps) // up)
    last = (outputs - 1) * down // up
    box = (range(len(lines)), range(1 - longest, last + 1))
    around = strip(lines, box, ("constant", boundary), beyond, dtype, first=1)[:, np.newaxis]
    y = np.zeros((len(lines), outputs), dtype)
    for phase in range(min(up, outputs)):
        first, tap = divmod(phase * down, up)
        own_taps = taps[tap::up].astype(dtype)[::-1]
        if not len(own_taps):
            continue
        count = len(range(phase, outputs, up))
        begin = first + longest - len(own_taps)
        seen = around[..., begin : begin + (count - 1) * down + len(own_taps)]
        y[:, phase::up] = conv1d(seen, own_taps[np.newaxis, np.newaxis], stride=down, accuracy="strict")[:, 0]
    return np.ascontiguousarray(np.moveaxis(y.reshape(*outer, outputs), -1, own))


def resample_poly(
    x: npt.ArrayLike,
    up: int,
    down: int,
    axis: int = 0,
    window: str | tuple[str, float] | npt.ArrayLike = ("kaiser", 5.0),
    padtype: str = "constant",
    cval: float | None = None,
) -> npt.NDArray[Any]:
    """Resample by up / down with a filter that keeps what both rates hold: ``scipy.signal.resample_poly``.

    Args:
        x: Any number of axes.
        up, down: At least 1.
        axis: That of the signals.
        window: Of the filter that is made: ``("kaiser", beta)``, ``"boxcar"``, ``"bartlett"``, ``"blackman"``,
            ``"hamming"`` or ``"hann"``; or an array, the filter's taps.
        padtype: What lies beyond a signal: a mode of :func:`upfirdn`, or ``"mean"``, ``"median"``, ``"minimum"`` or
            ``"maximum"`` of it.
        cval: For ``padtype="constant"``; None for 0.
    Returns:
        ``ceil(n * up / down)`` values for each n.
    Raises:
        ValueError, TypeError: As :func:`upfirdn` does.
    Source: the documentation of ``scipy.signal.resample_poly``.

    >>> resample_poly(np.ones(4), 1, 2, window=[0.5, 0.5, 0.5], padtype="edge")
    array([1.5, 1.5])
    """
    values = as_numbers(x, "x")
    up, down = _as_rate(up, "up"), _as_rate(down, "down")
    one_of(padtype, (*_MODES, *_BACKGROUNDS), "padtype")
    if cval is not None and padtype != "constant":
        raise ValueError(f"cval: expected None beside padtype={padtype!r}, got {cval!r}")
    if not values.ndim or not values.size:
        raise ValueError(f"x: expected axes with at least one value, got shape {values.shape}")
    own = as_int(axis, "axis", -values.ndim, values.ndim - 1) % values.ndim
    divisor = math.gcd(up, down)
    up, down = up // divisor, down // divisor
    if up == down == 1:
        unchanged: AnyArray = values.copy()
        return unchanged
    length = values.shape[own]
    outputs = -(-length * up // down)
    if isinstance(window, str | tuple):
        half = 10 * max(up, down)
        taps = _low_pass(2 * half + 1, 1 / max(up, down), window)
        taps = taps.astype(values.dtype) if values.dtype.kind in "fc" else taps
    else:
        taps = as_numbers(window, "window")
        if taps.ndim != 1 or not len(taps):
            raise ValueError(f"window: expected one axis with at least one tap, got shape {taps.shape}")
        half = (len(taps) - 1) // 2
    taps = taps * taps.dtype.type(up)
    # Zeros before the taps make the middle one fall on an output; those behind them, that there are enough outputs.
    before = down - half % down
    removed = (half + before) // down
    missing = (outputs + removed - 1) * down + 1 - ((length - 1) * up + len(taps) + before)
    taps = np.concatenate((np.zeros(before, taps.dtype), taps, np.zeros(max(missing, 0), taps.dtype)))
    background = _BACKGROUNDS[padtype](values, axis=own, keepdims=True) if padtype in _BACKGROUNDS else None
    if background is not None:
        values = values - background
    mode = padtype if padtype in _MODES else "constant"
    y = upfirdn(taps, values, up, down, own, mode, 0 if cval is None else cval)
    y = y[(slice(None),) * own + (slice(removed, removed + outputs),)]
    return np.ascontiguousarray(y if background is None else y + background)


def _as_rate(value: object, name: str) -> int:
    """At least 1; a float that is whole, too."""
    return as_int(int(value) if isinstance(value, float) and value.is_integer() else value, name, 1)


def _low_pass(count: int, cutoff: float, window: object) -> npt.NDArray[np.float64]:
    """A windowed sinc whose taps sum to 1."""
    if isinstance(window, tuple):
        if len(window) != 2 or window[0] != "kaiser":
            raise ValueError(f"window: expected ('kaiser', beta), a name or taps, got {window!r}")
        shape: AnyArray = np.kaiser(count, as_number(window[1], "window").real)
    else:
        shape = _WINDOWS[one_of(window, _WINDOWS, "window")](count)
    taps: npt.NDArray[np.float64] = cutoff * np.sinc(cutoff * (np.arange(count) - (count - 1) / 2)) * shape
    taps /= taps.sum()
    return taps
