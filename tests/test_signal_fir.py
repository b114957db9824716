"""fastconv.signal's filters without feedback and its resampling, against SciPy's."""

import re
import warnings

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from test_signal import numbers

from fastconv import signal

FLOATS = ["float32", "float64", "complex64", "complex128"]


def assert_close(y, expected):
    assert y.dtype == expected.dtype and y.shape == expected.shape
    if y.dtype.kind == "i":  # what is not resampled is returned as it is
        assert np.array_equal(y, expected)
        return
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    assert float(np.abs(y - expected).max(initial=0)) <= 64 * np.finfo(y.dtype).eps * scale


def array(draw, dtypes, axes, low=1, high=8):
    return numbers(draw(st.tuples(*[st.integers(low, high)] * axes)), draw(st.sampled_from(dtypes)))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_upfirdn(data):
    axes = data.draw(st.integers(1, 3))
    x, h = array(data.draw, [*FLOATS, "int16"], axes), array(data.draw, [*FLOATS, "int8"], 1, high=12)
    up, down = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    mode = data.draw(st.sampled_from(["constant", "edge", "wrap", "symmetric", "reflect"]))
    axis = data.draw(st.integers(-axes, axes - 1))
    if mode == "reflect" and x.shape[axis] == 1:  # SciPy reads beyond such a signal
        mode = "edge"
    cval = data.draw(st.sampled_from([0, 1.5])) if mode == "constant" else 0
    options = {"up": up, "down": down, "axis": axis, "mode": mode, "cval": cval}
    assert_close(signal.upfirdn(h, x, **options), scipy.signal.upfirdn(h, x, **options))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_resample_poly(data):
    axes = data.draw(st.integers(1, 3))
    x = array(data.draw, ["float32", "float64", "complex128", "int32"], axes, high=9)
    own = numbers((data.draw(st.integers(1, 9)),), "float64")
    windows = ["hamming", "hann", ("kaiser", 5.0), ("kaiser", 2.0), "blackman", "boxcar", own]
    padtypes = ["constant", "edge", "wrap", "symmetric", "mean", "median", "minimum", "maximum"]
    padtype = data.draw(st.sampled_from(padtypes))
    if x.dtype.kind == "c" and padtype in ("median", "minimum", "maximum"):
        padtype = "mean"
    options = {"axis": data.draw(st.integers(-axes, axes - 1)), "padtype": padtype}
    options["window"] = windows[data.draw(st.integers(0, len(windows) - 1))]
    up, down = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    assert_close(signal.resample_poly(x, up, down, **options), scipy.signal.resample_poly(x, up, down, **options))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_lfilter(data):
    axes = data.draw(st.integers(1, 3))
    x, b = array(data.draw, FLOATS, axes), array(data.draw, [*FLOATS, "int8"], 1)
    axis = data.draw(st.integers(-axes, axes - 1))
    zi = None
    if data.draw(st.booleans()):
        zi = np.ones([len(b) - 1 if own == axis % axes else size for own, size in enumerate(x.shape)], np.float32)
    ours, theirs = (module.lfilter(b, [2.0], x, axis, zi) for module in (signal, scipy.signal))
    for y, expected in zip(*((ours, theirs) if zi is not None else ((ours,), (theirs,))), strict=True):
        assert_close(y, expected)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_filtfilt(data):
    axes = data.draw(st.integers(1, 3))
    b = array(data.draw, ["float64", "complex128"], 1, low=2, high=6)
    x = array(data.draw, ["float64", "complex128"], axes, low=20, high=24)
    options = {
        "axis": data.draw(st.integers(-axes, axes - 1)),
        "padtype": data.draw(st.sampled_from(["odd", "even", "constant", None])),
        "padlen": data.draw(st.sampled_from([None, 0, 5, 19])),
    }
    assert_close(signal.filtfilt(b, [0.5], x, **options), scipy.signal.filtfilt(b, [0.5], x, **options))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_sepfir2d(dtype):
    x, row, column = numbers((9, 11), dtype), numbers((5,), "float32"), numbers((3,), "float32")
    y, expected = signal.sepfir2d(x, row, column), scipy.signal.sepfir2d(x, row.astype(dtype), column.astype(dtype))
    assert np.allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_upfirdn_does_not_compute_what_it_throws_away():
    """10^5 taps on 10^5 values by 1000: with the zeros these would be 10^13 products."""
    y = signal.upfirdn(np.ones(100_000), np.ones(100_000), 1000, 1000)
    assert len(y) == 100_099 and y[50_000] == 100.0


def test_there_is_one_method():
    x = np.ones(9)
    assert signal.choose_conv_method(x, x) == "direct"
    method, seconds = signal.choose_conv_method(x, x, "same", measure=True)
    assert method == "direct" and set(seconds) == {"fft", "direct"} and min(seconds.values()) > 0


ONE = np.ones(4)
MISTAKES = [
    (lambda: signal.lfilter(ONE, [1, 0.5], ONE), ValueError, "a: expected one number other than 0, since there is no"),
    (lambda: signal.lfilter(ONE, [0.0], ONE), ValueError, "a: expected one number other than 0"),
    (lambda: signal.lfilter([1], [1], [1, 2]), NotImplementedError, "x: expected a result of float32, float64 or"),
    (lambda: signal.lfilter([1], [1], [1, 2]), TypeError, "x: expected a result of float32, float64 or"),
    (lambda: signal.lfilter(ONE, 1, ONE, zi=ONE), ValueError, "zi: expected shape (3,), or 1 along other axes than 0"),
    (lambda: signal.lfilter([[1.0]], 1, ONE), ValueError, "b: expected one axis with at least one tap, got"),
    (lambda: signal.filtfilt(ONE, 1, ONE), ValueError, "x: expected more than padlen, 12, values along axis 0, got 4"),
    (lambda: signal.filtfilt(ONE, 1, ONE, padtype="no"), ValueError, "padtype: expected one of odd, even, constant"),
    (lambda: signal.filtfilt(ONE, 1, ONE, method="gust"), ValueError, "method: expected one of pad, got 'gust'"),
    (lambda: signal.upfirdn(ONE, ONE, 0), ValueError, "up: expected at least 1, got 0"),
    (lambda: signal.upfirdn(ONE, ONE, 1, 1.5), TypeError, "down: expected an int, got 1.5"),
    (lambda: signal.upfirdn([], ONE), ValueError, "h: expected one axis with at least one tap, got shape (0,)"),
    (lambda: signal.upfirdn(ONE, ONE, mode="line"), ValueError, "mode: expected one of constant, edge, wrap"),
    (lambda: signal.resample_poly(ONE, 2, 1, window="flat"), ValueError, "window: expected one of boxcar, bartlett"),
    (lambda: signal.resample_poly(ONE, 2, 1, padtype="mean", cval=1), ValueError, "cval: expected None beside padtype"),
    (lambda: signal.sepfir2d(np.ones((2, 2)), ONE, [1]), ValueError, "hrow: expected an odd number of taps, got 4"),
    (lambda: signal.sepfir2d(ONE, [1], [1]), ValueError, "input: expected 2 axes, got shape (4,)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call, error, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match="^" + re.escape(message)):
            call()
