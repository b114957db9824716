"""Transposed convolutions as one product with the weights as they lie, against sums scattered one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth import assert_close, scattered

import fastconv
from fastconv import _core, dispatch

rng = np.random.default_rng(0)
FUNCTIONS = fastconv.conv_transpose1d, fastconv.conv_transpose2d, fastconv.conv_transpose3d
LAST = "NWC", "NHWC", "NDHWC"


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def truth(x, w, bias, stride, padding, dilation, groups):
    numbers = zip(x.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    extents = tuple((i - 1) * s - 2 * p + d * (taps - 1) + 1 for i, taps, s, p, d in numbers)
    y = scattered(x, w, extents, stride, [(p, p) for p in padding], dilation, groups)
    return y + bias.astype(np.float64).reshape(-1, *(1,) * (x.ndim - 2))


def both_layouts(x, w, bias, stride, padding, dilation=1, groups=1, **options):
    function, last = FUNCTIONS[x.ndim - 3], LAST[x.ndim - 3]
    y = function(x, w, bias, stride, padding, 0, groups, dilation, **options)
    x = np.moveaxis(x, 1, -1)
    other = function(x, w, bias, stride, padding, 0, groups, dilation, layout=last, **options)
    return y, np.moveaxis(other, -1, 1)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_geometry(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    axes, groups, N = draw(1, 3), draw(1, 3), draw(1, 3)
    some = lambda low, high: tuple(draw(low, high) for _ in range(axes))  # noqa: E731
    extents, kernel, stride, dilation = some(1, 5), some(1, 5), some(1, 4), some(1, 3)
    numbers = zip(extents, kernel, stride, dilation, strict=True)
    padding = tuple(draw(0, ((i - 1) * s + d * (taps - 1)) // 2) for i, taps, s, d in numbers)
    x, w = normal(N, groups * draw(1, 20), *extents), None
    w = normal(x.shape[1], draw(1, 20), *kernel) / np.float32(np.sqrt(x.shape[1] * np.prod(kernel)))
    bias = normal(w.shape[1] * groups)
    expected = truth(x, w, bias, stride, padding, dilation, groups)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "pays_as_one_product", lambda layer: True)
        for y in both_layouts(x, w, bias, stride, padding, dilation, groups):
            assert_close(y, expected)


SHAPES = {
    "one input": ((1, 100, 1, 1), (100, 70, 4, 4), 1, 0),
    "several parts of the sum": ((1, 1100, 3), (1100, 9, 5), 2, 1),
    "a filter longer than a block": ((1, 300, 7), (300, 2, 1024), 256, 512),
    "several chunks of lines": ((2, 600, 23, 19), (600, 5, 3, 3), 2, 1),
    "chunks of a line": ((1, 700, 1300), (700, 3, 8), 4, 2),
    "several images to a chunk": ((5, 40, 2, 3, 2), (40, 50, 2, 3, 4), 2, 1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_blocks(name, dtype, monkeypatch):
    of_x, of_w, stride, padding = SHAPES[name]
    x, w, bias = normal(*of_x, dtype=dtype), normal(*of_w, dtype=dtype), normal(of_w[1], dtype=dtype)
    w /= np.asarray(np.sqrt(of_w[0] * 4), dtype)
    every = lambda number: (number,) * (x.ndim - 2)  # noqa: E731
    expected = truth(x, w, bias, every(stride), every(padding), every(1), 1)
    monkeypatch.setattr(dispatch, "pays_as_one_product", lambda layer: True)
    for y in both_layouts(x, w, bias, stride, padding):
        assert_close(y, expected)
    results = []
    for threads in (1, 2, 3):
        with fastconv.num_threads(threads):
            results.append(FUNCTIONS[x.ndim - 3](x, w, bias, stride, padding).tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("activation", ["relu6", "sigmoid", ("leaky_relu", 0.1)])
def test_activations(activation, monkeypatch):
    x, w, bias = normal(2, 90, 3, 3), normal(90, 6, 4, 4), normal(6)
    expected = fastconv.conv_transpose2d(x, w, bias, 2, 1, activation=activation, algorithm="direct")
    monkeypatch.setattr(dispatch, "pays_as_one_product", lambda layer: True)
    for y in both_layouts(x, w, bias, 2, 1, activation=activation):
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_it_runs_where_weights_outnumber_outputs_and_only_for_auto(monkeypatch):
    x, w, calls = normal(1, 256, 8, 8), normal(256, 8, 4, 4), []
    core = _core.spread_product
    monkeypatch.setattr(_core, "spread_product", lambda *numbers: [calls.append(numbers), core(*numbers)][1])
    y = fastconv.conv_transpose2d(x, w, stride=2)
    assert len(calls) == 1
    np.testing.assert_allclose(fastconv.conv_transpose2d(x, w, stride=2, algorithm="direct"), y, atol=2e-4)
    np.testing.assert_allclose(fastconv.conv_transpose2d(x, w, stride=2, max_error=1e-4), y, atol=2e-4)
    fastconv.conv_transpose2d(normal(1, 8, 8, 8), w[:8], stride=2)
    assert len(calls) == 1


def test_the_core_checks_shapes():
    layer = _core.Layer("transposed", "float32", "NCHW", 1, 4, 3, 1, [(2, 3, 5, 2, 1, 0, 0)])
    x, w, y = normal(1, 4, 2), normal(4, 3, 3), np.empty((1, 3, 5), np.float32)
    _core.spread_product(layer, None, x, w, None, y)
    for arrays in ((x, normal(4, 3, 4), y), (x[..., :1], w, y), (x, w, y[..., :4])):
        with pytest.raises(ValueError, match="expected"):
            _core.spread_product(layer, None, *arrays[:2], None, arrays[2])
    forward = _core.Layer("forward", "float32", "NCHW", 1, 4, 3, 1, [(2, 1, 2, 1, 1, 0, 0)])
    with pytest.raises(ValueError, match="expected a transposed layer"):
        _core.spread_product(forward, None, x, normal(3, 4, 1), None, normal(1, 3, 2))
    with pytest.raises(ValueError, match="axes: expected extents"):
        _core.Layer("transposed", "float32", "NCHW", 1, 4, 3, 1, [(2, 3, 0, 2, 1, 0, 0)])
