"""fastconv.ndimage's correlations against SciPy's: axes, modes, dtypes, origins; and each kind of value apart."""

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
DTYPES = ["float32", "float64", "complex64", "complex128", "int8", "uint8", "int32", "int64", "uint64", "bool"]
NAN, INF = np.nan, np.inf


def numbers(shape, dtype):
    kind = np.dtype(dtype).kind
    if kind in "iub":
        return rng.integers(0 if kind != "i" else -9, 9, shape).astype(dtype)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if kind == "c" else values).astype(dtype)


def assert_scipys(name, *args, **options):
    """The same result, or an exception of the same class; integers bit by bit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = getattr(scipy.ndimage, name)(*args, **options)
        except (ValueError, TypeError, RuntimeError) as error:
            with pytest.raises(type(error), match=r"^[\w.]+: expected"):
                getattr(ndimage, name)(*args, **options)
            return
        y = getattr(ndimage, name)(*args, **options)
    assert y.dtype == expected.dtype and y.shape == expected.shape
    if y.dtype.kind in "iub":
        assert np.array_equal(y, expected)
    else:
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        if args[0].dtype == np.complex64:  # of which SciPy rounds two of the four products
            scale *= np.finfo(np.float32).eps / np.finfo(y.dtype).eps
        assert float(np.abs(y - expected).max(initial=0)) <= 32 * np.finfo(y.dtype).eps * scale


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_scipys_results(data):
    ndim = data.draw(st.sampled_from([0, 1, 1, 2, 2, 2, 3, 3, 4, 5]))
    name = data.draw(st.sampled_from(["convolve", "correlate"]))
    axes = data.draw(st.none() | st.lists(st.integers(0, max(ndim - 1, 0)), max_size=ndim, unique=True))
    taps = ndim if axes is None else len(axes)
    x = numbers(
        data.draw(st.tuples(*[st.integers(0 if ndim < 3 else 1, 9 - ndim)] * ndim)), data.draw(st.sampled_from(DTYPES))
    )
    w = numbers(data.draw(st.tuples(*[st.integers(1, 6 - ndim // 2)] * taps)), data.draw(st.sampled_from(DTYPES)))
    complex_result = "c" in (x.dtype.kind, w.dtype.kind)
    outputs = (
        [None, np.complex64, "complex128", np.float32]
        if complex_result
        else [None, "f8", np.float32, "i2", "u1", "i8", "u8", bool]
    )
    options = {
        "mode": data.draw(st.sampled_from(MODES)),
        "cval": data.draw(st.sampled_from([0, 2, 1.5] + [1 - 2j] * (x.dtype.kind == "c"))),
        "origin": [data.draw(st.integers(-2, 1)) for _ in range(taps)] if data.draw(st.booleans()) else 0,
        "axes": None if axes is None else tuple(axes),
        "output": data.draw(st.sampled_from(outputs)),
    }
    if options["output"] is bool and x.dtype.kind != "b":
        options["output"] = None  # SciPy's truth values are then bytes of any value
    if (x.dtype == bool and options["output"] is None) or options["output"] is bool:
        w = np.abs(w)  # likewise where sums are negative
    assert_scipys(name, x, w, **options)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_along_one_axis(data):
    ndim = data.draw(st.integers(1, 4))
    x = numbers(data.draw(st.tuples(*[st.integers(1, 7)] * ndim)), data.draw(st.sampled_from(DTYPES[:-1])))
    w = numbers((data.draw(st.integers(1, 7)),), data.draw(st.sampled_from(DTYPES)))
    symmetry = data.draw(st.integers(-1, 1))
    if w.dtype.kind in "fc":
        w = w + symmetry * w[::-1]
    output = data.draw(
        st.sampled_from([None, "complex64"] if "c" in (x.dtype.kind, w.dtype.kind) else [None, "i4", "u1"])
    )
    name = data.draw(st.sampled_from(["correlate1d", "convolve1d"]))
    mode, origin = data.draw(st.sampled_from(MODES)), data.draw(st.integers(-3, 3))
    assert_scipys(name, x, w, data.draw(st.integers(-ndim, ndim - 1)), output, mode, 1.25, origin)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_infinities_and_nan_are_where_scipy_has_them(data):
    ndim = data.draw(st.integers(1, 3))
    x = numbers(data.draw(st.tuples(*[st.integers(1, 8)] * ndim)), "float64")
    w = numbers(data.draw(st.tuples(*[st.integers(1, 4)] * ndim)), "float64")
    w[rng.random(w.shape) < data.draw(st.sampled_from([0.2, 0.6, 1.0]))] = data.draw(
        st.sampled_from([0.0, 1e-17, 2.0**-52])
    )
    for value in (NAN, INF, -INF):
        x[rng.random(x.shape) < 0.1] = value
    options = {"mode": data.draw(st.sampled_from(MODES)), "cval": data.draw(st.sampled_from([0.0, NAN, INF]))}
    name = data.draw(st.sampled_from(["convolve", "correlate"]))
    with np.errstate(invalid="ignore"):
        expected = getattr(scipy.ndimage, name)(x, w, **options)
        y = getattr(ndimage, name)(x, w, **options)
    assert np.allclose(y, expected, rtol=1e-12, atol=1e-12, equal_nan=True)


VALUES = {
    "a weight of zero sees no NaN": ("convolve", [NAN, 1, 2, 3], [0, 1, 0.0], {}, [NAN, 1, 2, 3]),
    "a weight of zero sees no infinity": ("convolve", [INF, 1, 2, 3], [0, 1, 0.0], {}, [INF, 1, 2, 3]),
    "weights up to 2^-52 are left out": ("correlate", [1e20, 1.0, 3, 4], [1e-17, 1, 0], {}, [1e20, 1, 3, 4]),
    "weights over 2^-52 are not": ("correlate", [1.0, 2], [2.0**-51, 1, 0], {}, [1 + 2.0**-51, 2 + 2.0**-51]),
    "one axis of two": ("correlate", [[1.0, 2, 4], [3, 5, 9]], [1, 2, 3], {"axes": (1,)}, [[9, 17, 22], [24, 40, 50]]),
    "nothing": ("correlate", [], [1, 1], {}, []),
    "no axes": ("correlate", 3.0, 2.0, {}, 6.0),
    "truth values as weights": ("convolve", [1.0, 2, 5], [True, False, True], {}, [3.0, 6, 7]),
    "sums are cut to integers": ("correlate", [10, 20, 40], [0.25, 0.5, 0.25], {}, [12, 22, 35]),
    "large integers": ("correlate", [2**60, 1, 2], [1, -1], {}, [0, 2**60, -1]),
    "complex results": ("convolve", [1 + 2j, 3 - 1j, 2j], [1.0, 2.0], {}, [5 + 3j, 6, 6j]),
    "no part is lost in the other": ("convolve", [1e17 + 1j], [1.0], {}, [1e17 + 1j]),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    function, x, w, options, expected = VALUES[name]
    y = getattr(ndimage, function)(np.array(x), np.array(w), **options)
    assert y.shape == np.shape(expected)
    assert np.array_equal(y, expected, equal_nan=True)
    assert np.array_equal(y, getattr(scipy.ndimage, function)(np.array(x), np.array(w), **options), equal_nan=True)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_that_float64_does_not_hold_are_filtered_exactly(dtype):
    x = np.array([2**53 + 1, 7, 2**62 + 3], dtype)
    assert np.array_equal(ndimage.correlate(x, [1]), x)
    expected = np.array([3 * (2**53 + 1) - 7, 21 - 2**62 - 3], object).astype(np.int64).astype(dtype)
    assert np.array_equal(ndimage.correlate(x, [3, -1], mode="nearest")[1:], expected)


def test_integers_beyond_their_dtype_wrap_around():
    x = np.array([[200, 100], [7, 255]], np.uint8)
    for output in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"):
        for w in ([[1, 1], [1, 1]], [[-3, 1], [0, -1]]):
            assert np.array_equal(ndimage.correlate(x, w, output), scipy.ndimage.correlate(x, w, output))


def test_truth_values():
    x = np.array([True, False, False, True])
    assert np.array_equal(ndimage.correlate(x, [1, 1, 1], mode="constant"), [True, True, True, True])
    assert np.array_equal(ndimage.correlate(x, [0.5, 0.4, 0], mode="constant"), [False] * 4)
    assert ndimage.correlate(x, [1]).dtype == bool


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
    both = np.empty((5, 6), np.complex128)
    assert np.array_equal(ndimage.correlate(ints, [[2]], both), 2 * ints) and not both.imag.any()


@pytest.mark.parametrize("w", [[[1.0, 2], [3, 4]], [[1j, 2], [3, 4]]], ids=["real", "complex"])
def test_an_output_may_be_the_input(w):
    x = numbers((300, 2000), "complex128" if np.iscomplexobj(w) else "float64")
    for axes in (None, (1,), (0,)):
        own = np.array(w) if axes is None else np.array(w)[0]
        expected = ndimage.correlate(x, own, axes=axes)
        for y in (x.copy(), np.concatenate([x, x])[20 : 20 + len(x)]):
            y[...] = x
            assert ndimage.correlate(y, own, y, axes=axes) is y and np.array_equal(y, expected)
    rows = np.concatenate([x, x])
    expected = ndimage.correlate(rows[5:305].copy(), [[1, 1]])
    assert np.array_equal(ndimage.correlate(rows[5:305], [[1, 1]], rows[:300]), expected)


def test_a_real_output_is_made_complex_with_a_warning():
    with pytest.warns(UserWarning, match="promoting specified output dtype to complex"):
        y = ndimage.correlate(np.array([1, 2, 5], "i1"), [1j, 2], output=np.float32)
    assert y.dtype == np.complex64 and np.array_equal(y, [2 - 1j, 4 - 1j, 10 - 2j])


def test_blocks_do_not_show():
    x = numbers((3, 700, 801), "float64")  # several blocks along either axis
    w = numbers((2, 5, 3), "float64")
    for mode in ("reflect", "wrap", "constant"):
        assert np.allclose(ndimage.correlate(x, w, mode=mode), scipy.ndimage.correlate(x, w, mode=mode), atol=1e-13)
    line, taps = numbers((600_000,), "int32"), numbers((9,), "float64")
    assert np.array_equal(ndimage.correlate(line, taps, mode="wrap"), scipy.ndimage.correlate(line, taps, mode="wrap"))


MISTAKES = [
    (([1, 2], [[1]]), {}, ValueError, "weights: expected as many axes as input, got shapes (2,) and (1, 1)"),
    (([1, 2], []), {}, RuntimeError, "weights: expected as many axes as input, got shapes (2,) and (0,)"),
    (([[1, 2]], [[1]]), {"axes": 0}, RuntimeError, "weights: expected as many axes as 0 has, got shapes (1, 2) and"),
    (([1, 2], [1]), {"mode": "edge"}, ValueError, "mode: expected one of reflect, grid-mirror, constant"),
    (([1, 2], [1]), {"mode": "edge"}, RuntimeError, "mode: expected one of reflect, grid-mirror, constant"),
    (([1, 2], [1]), {"mode": ["wrap"]}, RuntimeError, "mode: expected one of them, since a sequence of modes is not"),
    (([1, 2], [1, 2, 3]), {"origin": 2}, ValueError, "origin: expected -1 to 1 for weights of shape (3,), got 2"),
    (([1, 2], [1, 2]), {"origin": (0, 0)}, RuntimeError, "origin: expected 1 numbers, got (0, 0)"),
    (([1, 2], [1]), {"origin": 0.5}, TypeError, "origin: expected an int, got 0.5"),
    (([1.0, 2], [1]), {"output": np.empty(3)}, RuntimeError, "output: expected shape (2,), got (3,)"),
    (([1.0, 2], [1]), {"output": "M8[s]"}, RuntimeError, "output: expected numbers, got datetime64"),
    (([1.0, 2], [1j]), {"output": np.empty(2)}, RuntimeError, "output: expected complex numbers for a complex result"),
    (([1.0, 2], [1j]), {"output": "f8"}, RuntimeError, "output: expected complex numbers for a complex result"),
    (([1.0, 2], [1j]), {"cval": 2 + 1j}, ValueError, "cval: expected a real number for an input of real ones"),
    (([1.0, 2], [1]), {"cval": 2 + 1j}, TypeError, "cval: expected a real number for an input of real ones"),
    (([[1, 2]], [1]), {"axes": (1, 1)}, ValueError, "axes: expected each axis once, got (1, 1)"),
    (([[1, 2]], [1]), {"axes": 2}, ValueError, "axes: expected an axis of 2, got 2"),
    (([[1, 2]], [1]), {"axes": 0.5}, TypeError, "axes: expected an int, got 0.5"),
    ((np.ones(2, "longdouble"), [1]), {}, RuntimeError, "input: expected integers, float16 to float64 or complex"),
    ((["a"], [1]), {}, TypeError, "input: expected integers, float16 to float64 or complex"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "options", "error", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(arrays, options, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        ndimage.correlate(*arrays, **options)
