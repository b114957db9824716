"""fastconv.ndimage's separable filters against SciPy's: all arguments, random shapes and dtypes; and values apart."""

import warnings

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ndimage import MODES, assert_scipys, numbers

from fastconv import ndimage

DTYPES = ["float32", "float64", "complex64", "uint8", "int16", "int64"]


def filters(draw, ndim, axes, complex_input):
    """(name, arguments, options) of one of the filters."""
    name = draw(st.sampled_from(sorted(set(ndimage.__all__) - {"correlate", "convolve", "correlate1d", "convolve1d"})))
    count = ndim if axes is None else len(axes)

    def each(values):
        return draw(st.one_of(values, st.lists(values, min_size=count, max_size=count)))

    sigma = each(st.sampled_from([0.0, 0.4, 1.0, 2.3]))
    mode = draw(st.sampled_from(MODES))
    options = {"mode": mode, "cval": draw(st.sampled_from([0.0, 1.5]))}
    if name in ("gaussian_filter1d", "uniform_filter1d"):
        options["axis"] = draw(st.integers(-ndim, ndim - 1))
    elif name in ("sobel", "prewitt"):
        options |= {"axis": draw(st.integers(-ndim, ndim - 1)), "mode": draw(st.sampled_from([mode, [mode] * ndim]))}
    else:
        options |= {"axes": axes, "mode": draw(st.sampled_from([mode, [mode] * count]))}
    if name == "gaussian_filter1d":
        options |= {"order": draw(st.integers(0, 3)), "truncate": draw(st.sampled_from([4.0, 1.7]))}
        options["radius"] = draw(st.none() | st.integers(0, 4))
        return name, (draw(st.sampled_from([0.4, 1.0, 2.3])),), options
    if name == "gaussian_filter":
        return (
            name,
            (sigma,),
            options | {"order": each(st.integers(0, 2)), "radius": each(st.none() | st.integers(0, 3))},
        )
    if name == "uniform_filter1d":
        return name, (draw(st.integers(1, 6)),), options | {"origin": draw(st.integers(-1, 1))}
    if name == "uniform_filter":
        return name, (each(st.integers(1, 6)),), options | {"origin": each(st.integers(-1, 0))}
    if name in ("gaussian_laplace", "gaussian_gradient_magnitude"):
        own = sigma if name == "gaussian_laplace" else draw(st.sampled_from([0.5, 1.2]))
        return name, (own,), options | {"truncate": 2.5}
    if name == "generic_laplace":
        return name, (scipy.ndimage.sobel,), options
    if name == "generic_gradient_magnitude":
        return name, (scipy.ndimage.prewitt,), options
    return name, (), options


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_scipys_results(data):
    ndim = data.draw(st.integers(1, 4))
    axes = data.draw(st.none() | st.lists(st.integers(0, ndim - 1), max_size=ndim, unique=True))
    x = numbers(data.draw(st.tuples(*[st.integers(1, 8 - ndim)] * ndim)), data.draw(st.sampled_from(DTYPES)))
    name, arguments, options = filters(data.draw, ndim, axes, x.dtype.kind == "c")
    output = data.draw(st.sampled_from([None, np.complex128] if x.dtype.kind == "c" else [None, np.float64, np.int32]))
    if name.endswith("magnitude") and x.dtype.kind in "iu":
        output = np.float64  # SciPy's roots of sums that left their dtype are warnings or not numbers
    assert_scipys(name, x, *arguments, output=output, **options)


@pytest.mark.parametrize("name", ["gaussian_filter", "uniform_filter", "laplace", "sobel"])
def test_an_output_may_be_the_input(name):
    x = numbers((600, 900), "float64")
    arguments = {"gaussian_filter": (1.5,), "uniform_filter": (4,)}.get(name, ())
    expected = getattr(scipy.ndimage, name)(x, *arguments)
    y = x.copy()
    assert getattr(ndimage, name)(y, *arguments, output=y) is y
    assert np.allclose(y, expected, atol=1e-12)


def test_bytes_are_scipys_bit_by_bit():
    x = np.random.default_rng(0).integers(0, 256, (300, 411)).astype(np.uint8)
    x[100:200, 100:300] = 200  # where sums of weights are 1 but for rounding, cutting shows the order of sums
    for name, arguments in (("gaussian_filter", (2.0,)), ("uniform_filter", (5,)), ("gaussian_laplace", (1.0,))):
        assert np.array_equal(getattr(ndimage, name)(x, *arguments), getattr(scipy.ndimage, name)(x, *arguments)), name


def test_nan_spreads_as_far_as_weights_reach():
    x = np.zeros((9, 9))
    x[4, 4] = np.nan
    for name, arguments in (("gaussian_filter", (0.5,)), ("sobel", ()), ("laplace", ())):
        ours, theirs = (getattr(module, name)(x, *arguments) for module in (ndimage, scipy.ndimage))
        assert np.array_equal(np.isnan(ours), np.isnan(theirs)), name


MISTAKES = [
    (lambda x: ndimage.gaussian_filter(x, [1.0]), RuntimeError, r"sigma: expected 2 numbers, got \[1.0\]"),
    (lambda x: ndimage.gaussian_filter(x, 1, mode=["wrap"]), RuntimeError, r"mode: expected 2 modes, got \['wrap'\]"),
    (lambda x: ndimage.gaussian_filter1d(x, 1, order=-1), ValueError, "order: expected at least 0, got -1"),
    (lambda x: ndimage.gaussian_filter1d(x, 1, radius=-1), ValueError, "radius: expected at least 0, got -1"),
    (lambda x: ndimage.gaussian_filter1d(x, 1, radius=1.5), ValueError, "radius: expected an int, got 1.5"),
    (lambda x: ndimage.gaussian_filter1d(x, "1"), TypeError, "sigma: expected a number, got '1'"),
    (lambda x: ndimage.uniform_filter1d(x, 0), RuntimeError, "size: expected at least 1, got 0"),
    (lambda x: ndimage.uniform_filter1d(x, 3, origin=2), ValueError, "origin: expected -1 to 1 for size 3, got 2"),
    (lambda x: ndimage.sobel(x, 2), ValueError, "axis: expected an axis of 2, got 2, which is out of range"),
    (lambda x: ndimage.correlate1d(x, []), RuntimeError, "weights: expected one axis with at least one weight"),
    (lambda x: ndimage.laplace(x, axes=(0, 0)), ValueError, "axes: expected each axis once"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=[row[-1] for row in MISTAKES])
def test_mistakes_are_named(call, error, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match="^" + message):
            call(np.ones((3, 3)))
