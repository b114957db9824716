"""fastconv.signal against SciPy's: all modes, boundaries, kinds of numbers, random shapes."""

import re
import warnings

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import signal

rng = np.random.default_rng(0)
DTYPES = ["float32", "float64", "complex64", "complex128", "int8", "int32", "uint8", "int64"]


def numbers(shape, dtype):
    if np.dtype(dtype).kind in "iu":
        low = 0 if dtype == "uint8" else -9
        return rng.integers(low, 9, shape).astype(dtype)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def assert_same(y, expected, epsilon, largest=1.0):
    assert y.dtype == expected.dtype and y.shape == expected.shape
    if y.dtype.kind in "iu":
        assert np.array_equal(y, expected)
    else:
        scale = max(largest, float(np.abs(expected).max(initial=0)))
        assert float(np.abs(y - expected).max(initial=0)) <= 64 * epsilon * scale


def same_result(name, x, w, *args, **options):
    """Both functions' results agree, or both raise ValueError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = getattr(scipy.signal, name)(x, w, *args, **options)
        except ValueError:
            with pytest.raises(ValueError, match=r"^\w+: expected"):
                getattr(signal, name)(x, w, *args, **options)
            return
    # SciPy transforms each array in its own precision.
    epsilon = max((np.finfo(a.dtype).eps for a in (x, w) if a.dtype.kind in "fc"), default=np.finfo(np.float64).eps)
    # A transform's errors are relative to the whole of both arrays, however small an output is; these are SciPy's.
    norms = [float(np.linalg.norm(np.asarray(a, complex))) for a in (x, w)] if name == "fftconvolve" else [1.0]
    y = getattr(signal, name)(x, w, *args, **options)
    assert_same(y, expected, epsilon, max(1.0, float(np.prod(norms))))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_of_two_axes(data):
    shape = st.tuples(st.integers(1, 12), st.integers(1, 12))
    name = data.draw(st.sampled_from(["convolve2d", "correlate2d"]))
    mode = data.draw(st.sampled_from(["full", "same", "valid"]))
    boundary = data.draw(st.sampled_from(["fill", "wrap", "symm"]))
    x, w = (numbers(data.draw(shape), data.draw(st.sampled_from(DTYPES))) for _ in range(2))
    same_result(name, x, w, mode, boundary, data.draw(st.sampled_from([0, 2, 3])))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_of_any_axes(data):
    axes = data.draw(st.integers(1, 3))
    shape = st.tuples(*[st.integers(1, 8)] * axes)
    name = data.draw(st.sampled_from(["convolve", "correlate", "fftconvolve"]))
    mode = data.draw(st.sampled_from(["full", "same", "valid"]))
    x, w = (numbers(data.draw(shape), data.draw(st.sampled_from(DTYPES))) for _ in range(2))
    same_result(name, x, w, mode)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_over_some_axes(data):
    ndim = data.draw(st.integers(1, 4))
    axes = data.draw(st.lists(st.integers(0, ndim - 1), min_size=1, max_size=min(ndim, 3), unique=True))
    sizes = [[data.draw(st.integers(1, 6))] * 2 for _ in range(ndim)]
    for axis in range(ndim):
        if axis in axes:
            sizes[axis] = [data.draw(st.integers(1, 6)) for _ in range(2)]
        elif data.draw(st.booleans()):
            sizes[axis][data.draw(st.integers(0, 1))] = 1
    x, w = (numbers(tuple(own), data.draw(st.sampled_from(DTYPES))) for own in zip(*sizes, strict=True))
    mode = data.draw(st.sampled_from(["full", "same", "valid"]))
    signed = [axis - ndim * data.draw(st.booleans()) for axis in axes]
    same_result("fftconvolve", x, w, mode, signed[0] if len(signed) == 1 else signed)


def test_lists_and_methods():
    assert np.array_equal(signal.convolve([1, 2, 3], [1, 1], method="fft"), [1, 3, 5, 3])
    assert signal.convolve2d([[1.5]], [[2]]).dtype == np.float64


def test_whole_numbers_are_exact_or_refused():
    x, w = np.array([2**30, -(2**30)]), np.array([3, 5])
    assert np.array_equal(signal.convolve(x, w), scipy.signal.convolve(x, w, method="direct"))
    with pytest.raises(TypeError, match=r"^in1: expected integers whose sums of products stay below 2\^53"):
        signal.convolve(x * 2**10, w * 2**12)
    with pytest.raises(TypeError, match=r"^in1: expected integers whose sums of products stay below 2\^53"):
        signal.convolve2d([[1]], [[2**30]], fillvalue=2**30)


MISTAKES = [
    ("convolve2d", ([1, 2], [[1]]), {}, ValueError, "in1: expected 2 axes, got shape (2,)"),
    ("convolve2d", ([[1]], [[1]]), {"mode": "half"}, ValueError, "mode: expected one of full, same, valid"),
    ("convolve2d", ([[1]], [[1]]), {"boundary": "no"}, ValueError, "boundary: expected one of fill, wrap"),
    ("convolve", ([1], [[1]]), {}, ValueError, "in2: expected as many axes as in1, got shapes (1,) and (1, 1)"),
    ("convolve", ([1], [1]), {"method": "best"}, ValueError, "method: expected one of auto, direct, fft, got 'best'"),
    ("convolve", ([], [1]), {}, ValueError, "in1: expected at least one value, got shape (0,)"),
    ("correlate", (np.ones((1, 1, 1, 1)), [1]), {}, ValueError, "in1: expected 1 to 3 axes, got shape (1, 1, 1, 1)"),
    (
        "fftconvolve",
        (np.ones((2, 2)), np.ones((3, 2))),
        {"axes": 1},
        ValueError,
        "in2: expected the size of in1 along axis 0, or 1",
    ),
    ("fftconvolve", ([1], [[1]]), {"axes": 0}, ValueError, "in2: expected as many axes as in1, got shapes"),
    ("fftconvolve", ([1], [1]), {"axes": 1}, ValueError, "axes: expected at most 0, got 1"),
    ("fftconvolve", ([1], [1]), {"axes": []}, ValueError, "axes: expected one to three axes, each once, got []"),
    ("fftconvolve", ([1], [1]), {"axes": (0, -1)}, ValueError, "axes: expected one to three axes, each once, got"),
    ("fftconvolve", ([1], [1]), {"axes": 0.5}, TypeError, "axes: expected an int, got 0.5"),
    ("correlate", (["a"], [1]), {}, TypeError, "in1: expected integers, float16 to float64 or complex numbers"),
    ("correlate2d", ([[1, 2]], [[1], [2]]), {"mode": "valid"}, ValueError, "in2: expected one array at least as large"),
]


@pytest.mark.parametrize(("name", "arrays", "options", "error", "message"), MISTAKES, ids=[row[-1] for row in MISTAKES])
def test_mistakes_are_named(name, arrays, options, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        getattr(signal, name)(*arrays, **options)
