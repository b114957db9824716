"""Calls of what is no layer: windows, SciPy's functions, answers without data, ONNX's operators, settings."""

from __future__ import annotations

import numpy as np
import scipy
from fuzz_calls import _array
from hypothesis import strategies as st

import fastconv


def scipys(function):
    """What SciPy returns for the same arguments; None where it refuses them."""

    def expected(arguments):
        sizes = [a.size for a in arguments.values() if isinstance(a, np.ndarray)]
        if np.prod(sizes, dtype=float) > 1e6:  # SciPy takes minutes
            return None
        # Copies: of arrays with strides of zero scipy.ndimage.convolve (1.17) makes what is wrong.
        own = {name: a.copy() if isinstance(a, np.ndarray) else a for name, a in arguments.items()}
        try:
            return function(**own)
        except (TypeError, ValueError, RuntimeError, OverflowError, MemoryError):
            return None

    return expected


def nothing(arguments):
    return None


def set_threads(n):
    with fastconv.num_threads(n):
        return None


def set_isa(name):
    with fastconv.use_isa(name):
        return None


def rejected(algorithm, problem):
    return fastconv.rejects(
        algorithm, fastconv.explain((1, 2, 5, 5), (3, 2, 3, 3)).problem if type(problem) is int else problem
    )


@st.composite
def others(draw):
    """(function, arguments, expected)."""
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    dtype = pick("f4", "f8", "i4", "u1", "c16")
    kernel, extents = (number(1, 4), number(1, 4)), (number(4, 9), number(4, 9))
    geometry = {"stride": number(1, 3), "padding": number(0, 2), "dilation": 1}
    shapes = {"input_shape": (1, 2, *extents), "weight_shape": (2, 2, *kernel)}
    a, b = _array(draw, dtype, *extents), _array(draw, dtype, *kernel)
    x, w = _array(draw, "f4", 1, 2, *extents), _array(draw, "f4", 2, 2, *kernel)
    if a.dtype.kind in "iu":
        a, b = a * a.dtype.type(3), b * b.dtype.type(3)
    boundary = {"mode": pick("full", "same", "valid"), "boundary": pick("fill", "wrap", "symm"), "fillvalue": 0}
    filtered = {"mode": pick("reflect", "constant", "nearest", "mirror", "wrap"), "cval": 0.0, "origin": 0}
    columns = fastconv.unfold(x, kernel, **geometry)
    bytes_x, bytes_w = (np.abs(9 * value).astype("u1") for value in (x, w))
    scale, zero = np.float32(0.5), np.uint8(3)
    quantized = {"x_scale": scale, "x_zero_point": zero, "w_scale": scale, "w_zero_point": zero, "y_scale": scale,
                 "y_zero_point": zero}  # fmt: skip
    ours, theirs, filters = fastconv.signal, scipy.signal, scipy.ndimage
    calls = (
        (fastconv.unfold, {"input": x, "kernel_size": kernel, **geometry}, nothing),
        (fastconv.fold, {"input": columns, "output_size": extents, "kernel_size": kernel, **geometry}, nothing),
        (ours.convolve2d, {"in1": a, "in2": b, **boundary}, scipys(theirs.convolve2d)),
        (ours.correlate2d, {"in1": a, "in2": b, **boundary}, scipys(theirs.correlate2d)),
        (ours.convolve, {"in1": a, "in2": b, "mode": boundary["mode"]}, scipys(theirs.convolve)),
        (ours.correlate, {"in1": a, "in2": b, "mode": boundary["mode"]}, scipys(theirs.correlate)),
        (ours.fftconvolve, {"in1": a, "in2": b, "mode": boundary["mode"]}, scipys(theirs.fftconvolve)),
        (fastconv.ndimage.convolve, {"input": a, "weights": b, **filtered}, scipys(scipy.ndimage.convolve)),
        (fastconv.ndimage.correlate, {"input": a, "weights": b, **filtered}, scipys(scipy.ndimage.correlate)),
        (fastconv.ndimage.gaussian_filter, {"input": a, "sigma": 1.0, "axes": (1,)}, scipys(filters.gaussian_filter)),
        (fastconv.ndimage.uniform_filter, {"input": a, "size": 3, "axes": (0,)}, scipys(filters.uniform_filter)),
        (fastconv.ndimage.sobel, {"input": a, "axis": 0, "mode": "wrap"}, scipys(filters.sobel)),
        (ours.upfirdn, {"h": b[0], "x": a, "up": 2, "down": 3}, scipys(theirs.upfirdn)),
        (ours.lfilter, {"b": b[0], "a": 2.0, "x": a, "axis": 0}, scipys(theirs.lfilter)),
        (fastconv.convolve, {"a": a[0], "v": b[0], "mode": "same"}, scipys(np.convolve)),
        (fastconv.explain, {**shapes, **geometry, "groups": 1, "dtype": "float32", "layout": "NCHW"}, nothing),
        (fastconv.conv_output_shape, {**shapes, **geometry, "groups": 1}, nothing),
        (fastconv.dense_matrix, {"weight": w, "input_shape": x.shape, **geometry, "groups": 1}, nothing),
        (fastconv.dense_structure, {**shapes, **geometry, "groups": 1}, nothing),
        (fastconv.kernel_from_dense, {"matrix": a, **shapes, **geometry, "tolerance": 0.0}, nothing),
        (fastconv.summary, {"algorithm": "direct"}, nothing),
        (rejected, {"algorithm": "direct", "problem": 1}, nothing),
        (set_threads, {"n": number(1, 32)}, nothing),
        (set_isa, {"name": "scalar"}, nothing),
        (fastconv.onnx.conv, {"X": x, "W": w, "B": None, "auto_pad": "NOTSET", "strides": [1, 2]}, nothing),
        (fastconv.onnx.conv_transpose, {"X": x, "W": w, "auto_pad": "NOTSET", "strides": [1, 2]}, nothing),
        (fastconv.onnx.conv_integer, {"x": bytes_x, "w": bytes_w, "x_zero_point": zero, "w_zero_point": zero}, nothing),
        (fastconv.onnx.qlinear_conv, {"x": bytes_x, "w": bytes_w, **quantized}, nothing),
    )  # fmt: skip
    return draw(st.sampled_from(calls))
