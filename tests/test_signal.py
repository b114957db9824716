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
DTYPES = ["float32", "float64", "complex64", "complex128", "int8", "int32", "uint8", "int64", "float16", "bool"]
NAN, INF = np.nan, np.inf


def numbers(shape, dtype):
    if np.dtype(dtype).kind in "iub":
        low = 0 if dtype == "uint8" else -9
        return rng.integers(low, 9, shape).astype(dtype)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


def assert_same(y, expected, epsilon, largest=1.0):
    assert y.dtype == expected.dtype and y.shape == expected.shape
    if y.dtype.kind in "iub":
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
        except ValueError as error:
            if "not available for this type" in str(error) or "Unsupported type" in str(error):  # of float16, of bool
                return
            with pytest.raises(ValueError, match=r"^\w+: expected"):
                getattr(signal, name)(x, w, *args, **options)
            return
    # SciPy transforms each array in its own precision.
    epsilon = max((np.finfo(a.dtype).eps for a in (x, w) if a.dtype.kind in "fc"), default=np.finfo(np.float64).eps)
    if expected.dtype.kind in "fc":
        epsilon = max(epsilon, np.finfo(expected.dtype).eps)
    # A transform's errors are relative to the whole of both arrays, however small an output is; these are SciPy's.
    norms = (
        [float(np.linalg.norm(np.asarray(a, complex))) for a in (x, w)]
        if name.endswith("aconvolve") or name == "fftconvolve"
        else [1.0]
    )
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
    axes = data.draw(st.integers(0, 5))
    shape = st.tuples(*[st.integers(1, 8 if axes < 4 else 4)] * axes)
    name = data.draw(st.sampled_from(["convolve", "correlate", "fftconvolve", "oaconvolve"]))
    mode = data.draw(st.sampled_from(["full", "same", "valid"]))
    x, w = (numbers(data.draw(shape), data.draw(st.sampled_from(DTYPES))) for _ in range(2))
    same_result(name, x, w, mode)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_over_some_axes(data):
    ndim = data.draw(st.integers(1, 4))
    axes = data.draw(st.lists(st.integers(0, ndim - 1), min_size=1, unique=True))
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


def exactly(x, w, places):
    """The full convolution of two integer arrays of one axis, in Python's integers."""
    y = [0] * (len(x) + len(w) - 1)
    for i, a in enumerate(x.tolist()):
        for j, b in enumerate(w.tolist()):
            y[i + j] += a * b
    return np.array([value % 2**64 for value in y], np.uint64)[places]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whole_numbers_are_exact_modulo_their_range(data):
    dtype = data.draw(st.sampled_from(["int64", "uint64", "int32", "uint16"]))
    limits = np.iinfo(dtype)
    value = st.integers(limits.min, limits.max) | st.sampled_from([limits.min, limits.max, limits.max - 1])
    x, w = (np.array(data.draw(st.lists(value, min_size=1, max_size=40)), dtype) for _ in range(2))
    y = signal.convolve(x, w)
    assert y.dtype == dtype and np.array_equal(y, exactly(x, w, slice(None)).astype(dtype))
    mirrored = signal.correlate2d(x[None], w[None, ::-1], "same", "wrap")
    assert np.array_equal(mirrored, scipy.signal.correlate2d(x[None], w[None, ::-1], "same", "wrap"))


def test_many_large_whole_numbers_are_exact():
    x, w = (rng.integers(-(2**63), 2**63 - 1, n) for n in (3000, 2000))
    assert np.array_equal(signal.convolve(x, w), np.convolve(x, w))


VALUES = {
    "large integers": ("convolve", [2**30, 1], [2**30, 3], [2**60, 2**32, 3]),
    "integers that leave int64": ("convolve", [2**40, 1], [2**40, 3], [0, 2**42, 3]),
    "no axes": ("convolve", 3, 4, 12),
    "no axes, conjugated": ("correlate", 3, 4j, -12j),
    "truth values": ("convolve", [True, False, True], [True, True], [True] * 4),
    "truth values to float64": ("fftconvolve", [True, False], [True, True], [1.0, 1.0, 0.0]),
    "nothing to float64": ("fftconvolve", [], [1.0], []),
    "no columns": ("convolve2d", [[]], [[1.0]], np.empty((1, 0))),
    "no columns, and yet outputs": ("convolve2d", [[]], [[1.0, 2]], [[0.0]]),
    "no part is lost in the other": ("convolve", [1e17 + 1j], [1.0], [1e17 + 1j]),
    "complex by complex": ("convolve", [1e17 + 1j], [1j], [-1 + 1e17j]),
    "NaN stays where it belongs": ("convolve", [NAN, 1, 2], [1.0, 1], [NAN, NAN, 3, 2]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    function, x, w, expected = VALUES[name]
    y = getattr(signal, function)(np.array(x), np.array(w))
    assert y.shape == np.shape(expected) and y.dtype == np.asarray(expected).dtype
    assert np.array_equal(y, expected, equal_nan=True)


def test_complex_numbers_up_to_the_largest():
    z = np.array([3e38 + 3e38j], np.complex64)
    for function in (signal.convolve, signal.correlate, signal.fftconvolve):
        y = function(z, np.ones(1, np.complex64))
        assert y.dtype == np.complex64 and np.array_equal(y, z)
    assert np.array_equal(signal.convolve2d(np.tile(z, (2, 2)), [[1]]).ravel(), np.tile(z, 4))


@pytest.mark.parametrize("method", ["auto", "direct", "fft"])
def test_every_method_keeps_nan_and_infinities_where_they_belong(method):
    y = signal.convolve(np.array([NAN, 1, 2, 3, 4, INF]), [1.0, 1], method=method)
    assert np.array_equal(y, [NAN, NAN, 3, 5, 7, INF, INF], equal_nan=True)


def test_half_precision():
    x = np.array([1, 2, 3], np.float16)
    assert signal.fftconvolve(x, x).dtype == np.float32
    assert signal.convolve(x, x).dtype == np.float16
    assert signal.fftconvolve(x, x[:1]).dtype == np.float16  # nothing is transformed


def test_more_digits_than_float64():
    x, w = np.array([1, 1e-18], "longdouble") + 1, np.array([1, 2, 3], "longdouble")
    assert signal.convolve(x, w).dtype == np.longdouble
    assert np.array_equal(signal.convolve(x, w), np.convolve(x, w))
    assert np.allclose(signal.fftconvolve(x * 1j, w), np.convolve(x * 1j, w))


def test_a_small_array_may_be_convolved_with_a_large_one():
    """The smaller is the filter, whichever it is: else this would be 10^12 products."""
    x, w = np.ones(3), np.ones(1_000_000)
    for mode, total in (("full", 3e6), ("same", 9.0), ("valid", 3.0 * 999_998)):
        assert signal.convolve(x, w, mode).sum() == signal.convolve(x[::-1], w, mode).sum() == total
    assert signal.convolve(w, x, "same").sum() == 3e6 - 2


@pytest.mark.parametrize("value", [300, -1, np.int64(300), 256.0, NAN, 1j, 1 + 0j, [], [1, 2]])
def test_fill_values_that_bytes_do_not_hold(value):
    x = np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match=r"^fillvalue: expected"):
        signal.convolve2d(x, x + 1, fillvalue=value)


def test_fractions_of_fill_values_are_cut_from_integers():
    x, w = np.zeros((2, 2), int), np.ones((2, 2), int)
    assert np.array_equal(signal.convolve2d(x, w, fillvalue=3.7), scipy.signal.convolve2d(x, w, fillvalue=3.7))


MISTAKES = [
    ("convolve2d", ([1, 2], [[1]]), {}, ValueError, "in1: expected 2 axes, got shape (2,)"),
    ("convolve2d", ([[1]], [[1]]), {"mode": "half"}, ValueError, "mode: expected one of full, same, valid"),
    ("convolve2d", ([[1]], [[1]]), {"boundary": "no"}, ValueError, "boundary: expected one of fill, wrap"),
    ("convolve", ([1], [[1]]), {}, ValueError, "in2: expected as many axes as in1, got shapes (1,) and (1, 1)"),
    ("convolve", ([1], [1]), {"method": "best"}, ValueError, "method: expected one of auto, direct, fft, got 'best'"),
    ("convolve", ([], [1]), {}, ValueError, "in1: expected at least one value, got shape (0,)"),
    (
        "fftconvolve",
        (np.ones((2, 2)), np.ones((3, 2))),
        {"axes": 1},
        ValueError,
        "in2: expected the size of in1 along axis 0, or 1",
    ),
    ("fftconvolve", ([1], [[1]]), {"axes": 0}, ValueError, "in2: expected as many axes as in1, got shapes"),
    ("fftconvolve", ([1], [1]), {"axes": 1}, ValueError, "axes: expected at most 0, got 1"),
    ("fftconvolve", ([1], [1]), {"axes": []}, ValueError, "axes: expected at least one axis, each once, got []"),
    ("fftconvolve", ([1], [1]), {"axes": (0, -1)}, ValueError, "axes: expected at least one axis, each once, got"),
    ("fftconvolve", ([1], [1]), {"axes": 0.5}, TypeError, "axes: expected an int, got 0.5"),
    ("correlate", (["a"], [1]), {}, TypeError, "in1: expected integers, float16 to float64 or complex numbers"),
    ("correlate2d", ([[1, 2]], [[1], [2]]), {"mode": "valid"}, ValueError, "in2: expected one array at least as large"),
]


@pytest.mark.parametrize(("name", "arrays", "options", "error", "message"), MISTAKES, ids=[row[-1] for row in MISTAKES])
def test_mistakes_are_named(name, arrays, options, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        getattr(signal, name)(*arrays, **options)
