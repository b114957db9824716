"""Convolutions and correlations over all axes, with zeros around the arrays."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering.numbers import one_of
from fastconv.signal.sums import as_mode, convolved, flipped, none_empty, of_same_axes, window


def convolve(in1: npt.ArrayLike, in2: npt.ArrayLike, mode: str = "full", method: str = "auto") -> npt.NDArray[Any]:
    """Convolve two arrays of as many axes, with zeros around them: ``scipy.signal.convolve``.

    Args:
        in1, in2: Numbers or truth values, `numpy.longdouble` included.
        mode: ``"full"``: every output that both reach; ``"same"``: of the shape of `in1`, the middle of these;
            ``"valid"``: those that see no boundary; there one array must be at least as large as the other.
        method: ``"auto"``, ``"direct"`` or ``"fft"``, as SciPy has it; the results are the same here.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError: Other axes, empty arrays, an unknown name, or in mode "valid" arrays of which neither holds the
            other.
        TypeError: A dtype that is none of numbers.
    Source: the documentation of ``scipy.signal.convolve``.

    >>> convolve([1, 2, 3], [1, 1])
    array([1, 3, 5, 3])
    """
    x, w = of_same_axes(in1, in2)
    if x.ndim == 0:
        return np.multiply(x, w)
    one_of(method, ("auto", "direct", "fft"), "method")
    none_empty(x, w)
    return convolved(x, w, window(as_mode(mode), x.shape, w.shape))


def correlate(in1: npt.ArrayLike, in2: npt.ArrayLike, mode: str = "full", method: str = "auto") -> npt.NDArray[Any]:
    """Cross-correlate two arrays of as many axes: ``scipy.signal.correlate``. The second is conjugated.

    Args:
        in1, in2, mode, method: As in :func:`convolve`.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError, TypeError: As :func:`convolve` does.
    Source: the documentation of ``scipy.signal.correlate``.

    >>> correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    x, w = of_same_axes(in1, in2)
    return convolve(x, flipped(w.conj()) if w.ndim else w.conj(), mode, method)


def choose_conv_method(in1: npt.ArrayLike, in2: npt.ArrayLike, mode: str = "full", measure: bool = False) -> Any:
    """Which method :func:`convolve` takes: always ``"direct"``, whatever is asked for, since there is no other here.

    Args:
        in1, in2, mode: As in :func:`convolve`.
        measure: Whether to return, too, how many seconds each method takes.
    Returns:
        ``"direct"``; with `measure` a pair of that and the seconds by name.
    Raises:
        ValueError, TypeError: As :func:`convolve` does.
    Source: the documentation of ``scipy.signal.choose_conv_method``.

    >>> choose_conv_method([1, 2, 3], [1, 1])
    'direct'
    """
    x, w = of_same_axes(in1, in2)
    as_mode(mode)
    if not measure:
        return "direct"
    begin = time.perf_counter()
    convolve(x, w, mode)
    seconds = time.perf_counter() - begin
    return "direct", {"fft": seconds, "direct": seconds}
