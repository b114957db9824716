"""Reflected, replicated and circular padding, against NumPy's of the whole image."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth import assert_close, conv

import fastconv

rng = np.random.default_rng(0)
NUMPYS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def truth(x, w, b, stride, pads, dilation, groups, mode):
    padded = np.pad(x, ((0, 0), (0, 0), *pads), mode=NUMPYS[mode])
    return conv(padded, w, b, stride, 0, dilation, groups)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_geometry(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    axes, groups, N = draw(1, 3), draw(1, 2), draw(1, 2)
    mode = data.draw(st.sampled_from(sorted(NUMPYS)))
    some = lambda low, high: tuple(draw(low, high) for _ in range(axes))  # noqa: E731
    C, K = groups * draw(1, 3), groups * draw(1, 3)
    stride, dilation, kernel, extents = some(1, 3), some(1, 2), some(1, 4), some(1, 9)
    most = {"reflect": -1, "circular": 0, "replicate": 4}[mode]
    pads = tuple((draw(0, min(6, size + most)), draw(0, min(6, size + most))) for size in extents)
    fields = [d * (taps - 1) + 1 for d, taps in zip(dilation, kernel, strict=True)]
    if any(field > size + sum(p) for field, size, p in zip(fields, extents, pads, strict=True)):
        return
    x, w, b = normal(N, C, *extents), normal(K, C // groups, *kernel), normal(K)
    function = [fastconv.conv1d, fastconv.conv2d, fastconv.conv3d][axes - 1]
    expected = truth(x, w, b, stride, pads, dilation, groups, mode)
    arguments = w, b, stride, pads, dilation, groups
    assert_close(function(x, *arguments, padding_mode=mode), expected)
    layout = ["NWC", "NHWC", "NDHWC"][axes - 1]
    y = function(np.moveaxis(x, 1, -1)[0], *arguments, padding_mode=mode, layout=layout)
    assert_close(np.moveaxis(y, -1, 0), expected[0])


def test_other_forms_of_the_arguments():
    x, w = normal(1, 2, 9, 8), normal(3, 2, 3, 3)
    expected = truth(x, w, None, (2, 2), ((1, 1), (0, 1)), (1, 1), 1, "reflect")
    options = {"stride": 2, "padding": "same", "padding_mode": "reflect"}
    assert_close(fastconv.conv2d(x, w, **options), expected)
    out = np.empty(expected.shape, np.float32)
    assert fastconv.conv2d(x, w, **options, out=out) is out
    assert_close(out, expected)
    assert_close(fastconv.conv2d(x, w, **options, activation="relu"), np.maximum(expected, 0))
    half = fastconv.conv2d(x.astype(np.float16), w.astype(np.float16), **options)
    assert half.dtype == np.float16
    assert np.allclose(half, expected, atol=0.05)
    z = fastconv.conv2d(x + 1j * x, w.astype(np.complex64), **options)
    assert np.abs(z - (expected + 1j * expected)).max() < 1e-4


def test_infinities_outside_the_border_do_not_reach_it():
    x, w = np.ones((1, 1, 12), np.float32), np.ones((1, 1, 3), np.float32)
    x[0, 0, 6] = np.inf
    y = fastconv.conv1d(x, w, padding=1, padding_mode="replicate")
    assert np.isinf(y[0, 0, 5:8]).all()
    assert np.isfinite(np.delete(y[0, 0], [5, 6, 7])).all()


def test_a_tensor_gives_a_tensor():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    x = torch.randn(2, 3, 7, 6)
    y = fastconv.conv2d(x, layer.weight.detach(), layer.bias.detach(), padding=1, padding_mode="circular")
    assert torch.allclose(y, layer(x), atol=1e-5)


X, W = np.ones((1, 2, 5), np.float32), np.ones((3, 2, 3), np.float32)
MISTAKES = [
    ({"padding_mode": "mirror"}, ValueError, "padding_mode: expected one of zeros, reflect, replicate, circular, got"),
    ({"padding_mode": 1}, TypeError, "padding_mode: expected one of zeros, reflect, replicate, circular, got 1"),
    ({"padding": 5, "padding_mode": "reflect"}, ValueError, "padding: expected at most 4 with padding_mode='reflect'"),
    ({"padding": 6, "padding_mode": "circular"}, ValueError, "padding: expected at most 5 with padding_mode='circular"),
    ({"weight": W[0], "padding_mode": "circular"}, ValueError, "weight: expected (K, C, S), got 2 dimensions"),
    ({"input": [1.0], "padding_mode": "circular"}, TypeError, "input: expected a NumPy array, got list"),
    ({"weight": W.astype("f8"), "padding_mode": "circular"}, TypeError, "weight: expected float32, the dtype of input"),
]


@pytest.mark.parametrize(("change", "error", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes_are_named(change, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        fastconv.conv1d(**{"input": X, "weight": W, **change})
