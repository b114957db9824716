"""fastconv.convolve and fastconv.correlate against NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_signal import DTYPES, numbers

import fastconv


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_numpys_results(data):
    a, v = (numbers((data.draw(st.integers(1, 20)),), data.draw(st.sampled_from(DTYPES))) for _ in range(2))
    name = data.draw(st.sampled_from(["convolve", "correlate"]))
    mode = data.draw(st.sampled_from(["full", "same", "valid"]))
    y, expected = getattr(fastconv, name)(a, v, mode), getattr(np, name)(a, v, mode)
    assert y.dtype == expected.dtype and y.shape == expected.shape
    if y.dtype.kind in "iub":
        assert np.array_equal(y, expected)
    else:
        scale = max(1.0, float(np.abs(expected).max()))
        assert float(np.abs(y - expected).max()) <= 64 * np.finfo(y.dtype).eps * scale


def test_defaults_and_numbers_without_axes():
    assert np.array_equal(fastconv.convolve([1, 2, 3], [0, 1, 0.5]), np.convolve([1, 2, 3], [0, 1, 0.5]))
    assert np.array_equal(fastconv.correlate([1, 2, 3], [0, 1, 0.5]), np.correlate([1, 2, 3], [0, 1, 0.5]))
    assert np.array_equal(fastconv.convolve(3, [1, 2]), [3, 6])


@pytest.mark.parametrize(
    ("a", "mode", "error", "message"),
    [
        ([], "full", ValueError, r"a: expected one axis with at least one value, got shape \(0,\)"),
        ([[1]], "full", ValueError, r"a: expected one axis with at least one value, got shape \(1, 1\)"),
        ([1], "half", ValueError, "mode: expected one of full, same, valid, got 'half'"),
        (["1"], "full", TypeError, "a: expected integers, float16 to float64"),
    ],
)
def test_mistakes_are_named(a, mode, error, message):
    for function in (fastconv.convolve, fastconv.correlate):
        with pytest.raises(error, match="^" + message):
            function(a, [1], mode)
