"""fastconv.ndimage against SciPy's: all modes, origins, kinds of numbers, random shapes."""

import re
import warnings

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import ndimage

rng = np.random.default_rng(0)
MODES = ["reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap", "grid-wrap"]


def numbers(shape, dtype):
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0 if dtype == "uint8" else -9, 9, shape).astype(dtype)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_scipys_results(data):
    axes = data.draw(st.integers(1, 3))
    name = data.draw(st.sampled_from(["convolve", "correlate"]))
    dtype = data.draw(st.sampled_from(["float32", "float64", "complex64", "complex128", "int8", "uint8", "int32"]))
    whole = np.dtype(dtype).kind in "iu"
    weights = "int32" if whole else data.draw(st.sampled_from(["float32", "float64", "complex128", "int8"]))
    x = numbers(data.draw(st.tuples(*[st.integers(1, 9)] * axes)), dtype)
    w = numbers(data.draw(st.tuples(*[st.integers(1, 6)] * axes)), weights)
    mode = data.draw(st.sampled_from(MODES))
    cval = data.draw(st.sampled_from([0, 2] if whole else [0.0, 1.5]))
    origin = tuple(data.draw(st.integers(-3, 3)) for _ in range(axes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = getattr(scipy.ndimage, name)(x, w, mode=mode, cval=cval, origin=origin)
        except ValueError:
            with pytest.raises(ValueError, match=r"^origin: expected"):
                getattr(ndimage, name)(x, w, mode=mode, cval=cval, origin=origin)
            return
    y = getattr(ndimage, name)(x, w, mode=mode, cval=cval, origin=origin)
    assert y.dtype == expected.dtype and y.shape == expected.shape
    if whole:
        assert np.array_equal(y, expected)
    else:
        scale = max(1.0, float(np.abs(expected).max()))
        assert float(np.abs(y - expected).max()) <= 8 * np.finfo(y.dtype).eps * scale


def test_output():
    x, w = numbers((5, 6), "float32"), numbers((3, 3), "float64")
    y = np.empty((5, 6), np.float64)
    assert ndimage.convolve(x, w, output=y) is y
    assert np.allclose(y, scipy.ndimage.convolve(x, w, output=np.float64), atol=1e-14)
    assert ndimage.convolve(x, w, np.float64).dtype == np.float64
    assert np.allclose(ndimage.convolve(x, w, np.float64), y, atol=1e-14)
    ints = numbers((5, 6), "int32")
    expected = scipy.ndimage.correlate(ints, w, output=np.float64)
    assert np.allclose(ndimage.correlate(ints, w, output=np.float64), expected, atol=1e-13)


MISTAKES = [
    (([1, 2], [[1]]), {}, ValueError, "weights: expected as many axes as input, got shapes (2,) and (1, 1)"),
    (([1, 2], [1]), {"mode": "edge"}, ValueError, "mode: expected one of reflect, grid-mirror, constant"),
    (([1, 2], [1, 2, 3]), {"origin": 2}, ValueError, "origin: expected -1 to 1 for weights of shape (3,), got 2"),
    (([1, 2], [1, 2]), {"origin": (0, 0)}, ValueError, "origin: expected 1 numbers, got (0, 0)"),
    (([1, 2], [1]), {"origin": 0.5}, TypeError, "origin: expected an int, got 0.5"),
    (([1, 2], [0.5]), {}, TypeError, "weights: expected whole numbers for an input of integers"),
    (([1, 2**40], [2**20, 1]), {}, TypeError, "input: expected integers whose sums of products stay below 2^53"),
    (([1.0, 2], [1]), {"output": np.empty(3)}, ValueError, "output: expected shape (2,), got (3,)"),
    (([], [1]), {}, ValueError, "input: expected at least one value, got shape (0,)"),
]


@pytest.mark.parametrize(("arrays", "options", "error", "message"), MISTAKES, ids=[row[-1] for row in MISTAKES])
def test_mistakes_are_named(arrays, options, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        ndimage.correlate(*arrays, **options)
