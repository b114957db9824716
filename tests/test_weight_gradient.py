"""Gradients by the weights, against NumPy in float64."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth import assert_close, conv, weight_gradient

import fastconv

rng = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def case(N, C, extents, K, kernel, stride=1, pads=0, dilation=1, groups=1, dtype=np.float32):
    """An input, the shape of the weights, and a gradient of the output; scaled so that sums stay near 1."""
    x, size = normal(N, C, *extents, dtype=dtype), (K, C // groups, *kernel)
    y = conv(np.zeros_like(x), np.zeros(size), None, stride, pads, dilation, groups)
    return x, size, normal(*y.shape, dtype=dtype) / np.sqrt(max(1, y.size // K)).astype(dtype)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_geometry(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    axes, groups, N = draw(1, 2), draw(1, 3), draw(0, 3)
    some = lambda low, high: tuple(draw(low, high) for _ in range(axes))  # noqa: E731
    C, K = groups * draw(1, 20), groups * draw(1, 40)
    stride, dilation, kernel = some(1, 4), some(1, 3), some(1, 5)
    pads = tuple((draw(0, 4), draw(0, 4)) for _ in range(axes))
    extents = tuple(
        draw(max(1, d * (taps - 1) + 1 - sum(p)), 24) for d, taps, p in zip(dilation, kernel, pads, strict=True)
    )
    x, size, dy = case(N, C, extents, K, kernel, stride, pads, dilation, groups)
    expected = weight_gradient(x, dy, kernel, stride, pads, dilation, groups)
    function = fastconv.grad.conv1d_weight if axes == 1 else fastconv.grad.conv2d_weight
    assert_close(function(x, size, dy, stride, pads, dilation, groups), expected)
    last, dy_last = np.moveaxis(x, 1, -1), np.moveaxis(dy, 1, -1)
    layout = "NWC" if axes == 1 else "NHWC"
    assert_close(function(last, size, dy_last, stride, pads, dilation, groups, layout=layout), expected)


SHAPES = {
    "several blocks of rows": {"C": 20, "extents": (60, 50), "K": 40, "kernel": (3, 3), "pads": 1},
    "blocks of columns": {"C": 5, "extents": (3, 1500), "K": 7, "kernel": (2, 3), "pads": 1, "stride": (1, 2)},
    "several images to a block": {"C": 18, "extents": (5, 7), "K": 33, "kernel": (3, 3), "pads": 1, "N": 19},
    "portions of channels": {"C": 300, "extents": (20, 20), "K": 17, "kernel": (3, 3), "N": 2},
    "portions of filters": {"C": 9, "extents": (9, 9), "K": 700, "kernel": (1, 3)},
    "a first layer": {"C": 3, "extents": (64, 64), "K": 64, "kernel": (7, 7), "pads": 3, "stride": 2},
    "few channels, dilated": {"C": 3, "extents": (30, 31), "K": 20, "kernel": (3, 3), "dilation": (1, 2)},
    "depthwise": {"C": 70, "extents": (30, 29), "K": 70, "kernel": (3, 5), "pads": 1, "groups": 70},
    "depthwise, several images": {"C": 33, "extents": (6, 5), "K": 33, "kernel": (3, 3), "groups": 33, "N": 9},
    "depthwise by 2, dilated": {
        "C": 5,
        "extents": (40, 300),
        "K": 5,
        "kernel": (3, 3),
        "groups": 5,
        "stride": 2,
        "dilation": 3,
    },
    "depthwise 5x5": {"C": 5, "extents": (9, 70), "K": 5, "kernel": (5, 5), "groups": 5, "pads": 2},
    "depthwise 7x7, few pixels": {"C": 4, "extents": (3, 5), "K": 4, "kernel": (7, 7), "groups": 4, "pads": 3},
    "depthwise 2x7": {"C": 3, "extents": (60, 90), "K": 3, "kernel": (2, 7), "groups": 3, "N": 2},
    "depthwise, much padding": {
        "C": 3,
        "extents": (6, 20),
        "K": 3,
        "kernel": (3, 3),
        "groups": 3,
        "pads": ((5, 4), (40, 6)),
    },
    "a depthwise signal": {"C": 3, "extents": (5000,), "K": 6, "kernel": (7,), "groups": 3, "pads": 3},
    "twofold depthwise": {"C": 6, "extents": (20, 20), "K": 12, "kernel": (3, 3), "groups": 6, "pads": 1},
    "a long signal": {"C": 1, "extents": (16000,), "K": 40, "kernel": (400,), "stride": 160},
    "all padding": {"C": 3, "extents": (1, 1), "K": 4, "kernel": (2, 2), "pads": 3},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_blocks(name, dtype):
    options = {"N": 1, **SHAPES[name]}
    x, size, dy = case(**options, dtype=dtype)
    rest = [options.get("stride", 1), options.get("pads", 0), options.get("dilation", 1), options.get("groups", 1)]
    expected = weight_gradient(x, dy, options["kernel"], *rest)
    function = fastconv.grad.conv1d_weight if x.ndim == 3 else fastconv.grad.conv2d_weight
    results = []
    for isa in fastconv.available_isas():
        with fastconv.use_isa(isa):
            for threads in (1, 3):
                with fastconv.num_threads(threads):
                    results.append(function(x, size, dy, *rest))
            assert np.array_equal(results[-1], results[-2]), "the same bits for any number of threads"
            assert_close(results[-1], expected)


@pytest.mark.parametrize("taps", [3, 4, 5])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_what_a_tap_does_not_see_does_not_matter(taps, layout):
    """The last column of the input is only under the last column of taps."""
    x, size, dy = case(1, 6, (20, 30), 6, (taps, taps), groups=6)
    x[..., -1] = np.inf
    if layout == "NHWC":
        x, dy = np.moveaxis(x, 1, -1), np.moveaxis(dy, 1, -1)
    for isa in fastconv.available_isas():
        with fastconv.use_isa(isa):
            dw = fastconv.grad.conv2d_weight(x, size, dy, groups=6, layout=layout)
        assert np.isfinite(dw[..., :-1]).all()
        assert not np.isfinite(dw[..., -1]).any()


def test_forms_of_the_arguments():
    x, size, dy = case(2, 4, (9, 8), 6, (3, 2), 2, ((1, 1), (0, 0)))
    expected = weight_gradient(x, dy, (3, 2), 2, ((1, 1), (0, 0)))
    assert_close(fastconv.grad.conv2d_weight(x, size, dy, 2, "same"), expected)
    out = np.empty(size, np.float32)
    assert fastconv.grad.conv2d_weight(x, size, dy, 2, "same", out=out) is out
    assert_close(out, expected)
    strided = np.zeros((6, 4, 3, 4), np.float32)[..., ::2]
    assert fastconv.grad.conv2d_weight(x[:, :, ::-1][:, :, ::-1], size, dy, 2, "same", out=strided) is strided
    assert_close(strided, expected)
    assert_close(
        fastconv.grad.conv2d_weight(x[0], size, dy[0], 2, "same"),
        weight_gradient(x[:1], dy[:1], (3, 2), 2, ((1, 1), (0, 0))),
    )
    assert not fastconv.grad.conv2d_weight(x[:0], size, dy[:0], 2, "same").any()


X, DY, SIZE = np.ones((1, 4, 5, 5), np.float32), np.ones((1, 6, 3, 3), np.float32), (6, 4, 3, 3)
MISTAKES = [
    ({"weight_size": (6, 4, 3)}, ValueError, "weight_size: expected (K, C, R, S), got 3 dimensions: (6, 4, 3)"),
    (
        {"weight_size": (6, 3, 3, 3)},
        ValueError,
        "weight_size: expected shape[1] * groups to be the 4 channels of input",
    ),
    ({"grad_output": DY[..., 1:]}, ValueError, "grad_output: expected shape (1, 6, 3, 3), that of the convolution's"),
    (
        {"grad_output": DY.astype(np.float64)},
        TypeError,
        "grad_output: expected float32, the dtype of input, got float64",
    ),
    (
        {"padding": "full"},
        ValueError,
        "padding: expected 'valid', 'same' or 'same_lower' if it is a string, got 'full'",
    ),
    ({"out": X}, ValueError, "out: expected shape (6, 4, 3, 3), got (1, 4, 5, 5)"),
]


@pytest.mark.parametrize(("change", "error", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes_are_named(change, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        fastconv.grad.conv2d_weight(**{"input": X, "weight_size": SIZE, "grad_output": DY, **change})


# Maps so narrow that a column of taps sees left padding alone: its last pixel lies before the row.
NARROW = [
    ((1,), (3,), 1), ((2,), (5,), 2), ((3,), (7,), 3), ((1,), (7,), 3), ((2,), (7,), 6),
    ((9, 1), (3, 3), 1), ((1, 1), (3, 3), 1), ((2, 2), (5, 5), 2), ((3, 3), (7, 7), 3), ((2, 3), (7, 7), 3),
    ((5, 2), (7, 7), 3), ((4, 1), (5, 5), 2), ((3, 4), (7, 7), (3, 6)), ((4, 17), (5, 5), (2, 4)),
]  # fmt: skip


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("extents", "kernel", "pads"), NARROW)
def test_taps_that_see_left_padding_alone_have_gradients_of_zero(extents, kernel, pads, dtype, isa):
    """What lies before an image's rows is infinite here, and must not be looked at."""
    channels = 5
    shape = (1, channels, *extents)
    x, size, dy = case(1, channels, extents, channels, kernel, 1, pads, 1, channels, dtype)
    memory = np.full(3 * x.size + 64, np.inf, dtype)
    inner = memory[x.size + 32 : 2 * x.size + 32].reshape(shape)
    inner[...] = x
    function = getattr(fastconv.grad, f"conv{len(extents)}d_weight")
    with fastconv.use_isa(isa):
        dw = function(inner, size, dy, 1, pads, 1, channels)
    assert_close(dw, weight_gradient(x, dy, kernel, 1, pads, 1, channels))


def test_the_gradient_of_a_signal_one_sample_long():
    x, dy = np.array([[[3.0], [5.0]]]), np.array([[[1.0], [10.0]]])
    for isa in fastconv.available_isas():
        with fastconv.use_isa(isa):
            dw = fastconv.grad.conv1d_weight(x, (2, 1, 3), dy, 1, 1, 1, 2)
        assert np.array_equal(dw, [[[0, 3, 0]], [[0, 50, 0]]])
