"""A moment of fuzz.py, which runs for as long as one likes; and what it has found."""

import re

import fuzz
import numpy as np
import pytest

import fastconv

X, W = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 2, 2), np.float32)
IMAGE, TAPS = np.ones((4, 4)), np.ones((2, 2))


def test_hostile_calls():
    finding, calls = fuzz.run(seed=1, examples=fuzz.PROFILES["quick"])
    assert finding == ""
    assert calls["all"] >= fuzz.PROFILES["quick"]
    assert calls["returned"] > 0.2 * calls["all"], "they are not only refused"
    assert calls["compared"] > 0.1 * calls["all"]


def test_what_is_wrong_is_found():
    """The contract, on functions that break it."""
    with pytest.raises(AssertionError, match="an input was written to"):
        fuzz.check(lambda x: x.fill(2), {"x": X.copy()}, lambda a: None, 0)
    with pytest.raises(AssertionError, match="off by 1"):
        fuzz.check(lambda x: x + 1, {"x": X}, lambda a: a["x"], 0)
    with pytest.raises(AssertionError, match="shape"):
        fuzz.check(lambda x: x[0], {"x": X}, lambda a: a["x"], 0)
    with pytest.raises(AssertionError, match="names no argument"):
        fuzz.check(lambda x: int("x"), {"x": X}, lambda a: None, 0)
    with pytest.raises(ZeroDivisionError):
        fuzz.check(lambda x: 1 // 0, {"x": X}, lambda a: None, 0)
    with pytest.raises(AssertionError, match="other bits with 3 threads"):
        fuzz.check(lambda x: x * fastconv.get_num_threads(), {"x": X}, lambda a: None, 3)


def test_a_process_that_dies_is_reported(monkeypatch, tmp_path):
    dying = tmp_path / "dying.py"
    dying.write_text("import os, sys\nopen(sys.argv[4], 'w').write('conv2d(...)')\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setattr(fuzz, "__file__", str(dying))
    assert re.match(r"seed 7, exit code -11, last call:\nconv2d\(\.\.\.\)\n", fuzz.run(7, 1)[0])


class Wrapped:
    """What says that it is an array, and gives a list."""

    def __array__(self, dtype=None, copy=None):
        return [1.0]


BYTES = np.ones((2, 2), np.uint8)
MASKED = np.ma.masked_greater(IMAGE, 0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fastconv.conv2d(Wrapped(), W), TypeError, "input: expected memory that NumPy can view"),
        (lambda: fastconv.unfold(Wrapped(), 1), TypeError, "input: expected memory that NumPy can view"),
        (lambda: fastconv.conv2d(X, W, activation=("clip", 0, 10**400)), ValueError, "activation: expected a number"),
        (lambda: fastconv.Conv2d(W, activation=("leaky_relu", -(10**400))), ValueError, "activation: expected a num"),
        (lambda: fastconv.conv2d(X, W, max_error=10**400), ValueError, "max_error: expected a number that float64"),
        (lambda: fastconv.signal.convolve2d(Wrapped(), TAPS), TypeError, "in1: expected an array of numbers"),
        (lambda: fastconv.signal.convolve2d(IMAGE, [[1], [1, 2]]), TypeError, "in2: expected an array of numbers"),
        (lambda: fastconv.signal.convolve2d(MASKED, TAPS), TypeError, "in1: expected an array without a mask"),
        (lambda: fastconv.signal.convolve2d(IMAGE, TAPS, mode=[]), TypeError, "mode: expected one of full, same"),
        (lambda: fastconv.signal.convolve2d(IMAGE, TAPS, boundary={}), TypeError, "boundary: expected one of fill"),
        (lambda: fastconv.signal.convolve2d(IMAGE, TAPS, fillvalue="1"), TypeError, "fillvalue: expected a number"),
        (lambda: fastconv.signal.convolve(IMAGE, TAPS, method=None), TypeError, "method: expected one of auto"),
        (lambda: fastconv.ndimage.convolve(MASKED, TAPS), TypeError, "input: expected an array without a mask"),
        (lambda: fastconv.ndimage.convolve(IMAGE, TAPS, mode=None), TypeError, "mode: expected one of reflect"),
        (lambda: fastconv.ndimage.convolve(IMAGE, TAPS, cval=[1, 2]), TypeError, "cval: expected a number, got"),
        (lambda: fastconv.ndimage.convolve(IMAGE, TAPS, cval=1j), TypeError, "cval: expected a real number"),
        (lambda: fastconv.conv2d(X.view([("x", "f4")]), W, promote=True), TypeError, "promote: expected dtypes that"),
        (lambda: fastconv.conv_transpose3d(X[..., :2, None], W[..., None], dilation=2**31 - 1), ValueError,
         "input: expected an output that fits 2^62 bytes"),
        (lambda: fastconv.conv2d(None, W.astype("f2")), TypeError, "input: expected a NumPy array, got NoneType"),
        (lambda: fastconv.explain(X.shape, W.shape, dtype="\ud800"), TypeError, "dtype: expected float32 or float64"),
        (lambda: fastconv.onnx.conv(0, W), TypeError, "X: expected a NumPy array, got int"),
        (lambda: fastconv.onnx.conv_integer(X.astype("u1"), 0), TypeError, "w: expected a NumPy array, got int"),
        (lambda: fastconv.onnx.conv(X, W, strides=[1.5, 1]), TypeError, "strides: expected an int, got 1.5"),
    ],
)  # fmt: skip
def test_found_by_it(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
