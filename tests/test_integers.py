"""Convolutions of int8 and uint8 against int64 NumPy, exactly: every instruction set, signedness, zero point."""

import doctest
import pickle
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv
from fastconv import ConvInteger, Requantization, conv_integer

TYPES = ("int8", "uint8")
PAIRS = [(x, w) for x in TYPES for w in TYPES]
# N, C, extents, K, kernel, options
LAYERS = {
    "3x3": (2, 8, (9, 11), 15, (3, 3), {"padding": 1}),
    "wide": (1, 5, (3, 75), 4, (2, 3), {"padding": ((0, 1), (2, 5))}),
    "pads over the kernel": (1, 4, (5, 9), 3, (3, 3), {"padding": ((6, 5), (7, 4))}),
    "first layer": (1, 3, (30, 29), 20, (7, 7), {"stride": 2, "padding": 3}),
    "strides": (1, 9, (14, 17), 6, (3, 4), {"stride": (3, 4), "padding": 2}),
    "dilated": (2, 6, (19, 23), 5, (3, 3), {"dilation": (2, 5), "padding": ((4, 1), (6, 9))}),
    "stride and dilation": (1, 5, (30, 31), 5, (3, 5), {"stride": (2, 3), "dilation": (3, 2), "padding": 3}),
    "1x1": (2, 37, (7, 7), 29, (1, 1), {}),
    "1x1 by 2": (1, 12, (13, 13), 9, (1, 1), {"stride": 2}),
    "many channels": (1, 300, (6, 6), 3, (3, 3), {}),
    "groups": (2, 12, (8, 9), 18, (3, 3), {"groups": 3, "padding": 1}),
    "depthwise 3x3": (2, 20, (14, 33), 20, (3, 3), {"groups": 20, "padding": 1}),
    "depthwise 3x3 by 2": (1, 7, (15, 40), 7, (3, 3), {"groups": 7, "padding": 1, "stride": 2}),
    "depthwise 5x5": (1, 7, (12, 70), 7, (5, 5), {"groups": 7, "padding": ((2, 2), (0, 4))}),
    "depthwise 5x5 by 2": (1, 7, (12, 90), 7, (5, 5), {"groups": 7, "padding": 2, "stride": 2}),
    "depthwise 7x7": (1, 3, (9, 20), 3, (7, 7), {"groups": 3, "padding": 3}),
    "depthwise 7x7 by 2, 3x8": (1, 3, (9, 50), 3, (3, 8), {"groups": 3, "padding": 3, "stride": 2}),
    "depthwise 3x1": (1, 3, (9, 50), 3, (3, 1), {"groups": 3}),
    "depthwise dilated": (1, 5, (20, 20), 5, (3, 3), {"groups": 5, "dilation": 2}),
    "depthwise multiplied": (1, 5, (20, 20), 15, (3, 3), {"groups": 5, "padding": "same"}),
    "several blocks": (1, 260, (24, 90), 3, (3, 3), {"padding": 1}),
    "signal": (2, 6, (50,), 7, (9,), {"stride": 2, "padding": 4}),
    "long signal": (1, 1, (3000,), 9, (30,), {"stride": 5, "dilation": 2}),
    "volume": (2, 6, (5, 8, 9), 4, (3, 2, 3), {"groups": 2, "padding": ((1, 2), (0, 1), (1, 1)), "stride": (2, 1, 1)}),
    "nothing": (0, 3, (5, 5), 2, (3, 3), {}),
}


def numbers(rng, shape, dtype, extreme=False):
    limits = np.iinfo(dtype)
    if extreme:
        return rng.choice(np.array([limits.min, limits.max], dtype), shape)
    return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def expected_sums(x, w, x_zero, w_zero, stride=1, padding=0, dilation=1, groups=1):
    """The definition, in int64."""
    axes = x.ndim - 2
    geometry = fastconv.geometry.as_geometry(stride, padding, dilation, groups, fastconv.geometry.SPACES[axes])
    pads = geometry.pads(x.shape[2:], w.shape[2:])
    values = np.pad(x.astype(np.int64) - x_zero, ((0, 0), (0, 0), *pads))
    weights = w.astype(np.int64) - np.reshape(w_zero, (-1, *(1,) * (axes + 1)))
    fields = geometry.fields(w.shape[2:])
    windows = np.lib.stride_tricks.sliding_window_view(values, fields, axis=tuple(range(2, axes + 2)))
    steps = tuple(slice(None, None, step) for step in geometry.stride)
    taps = tuple(slice(None, None, step) for step in geometry.dilation)
    windows = windows[(slice(None), slice(None), *steps, *taps)]
    K, Cg = w.shape[:2]
    parts = []
    for g in range(groups):
        part = windows[:, g * Cg : (g + 1) * Cg]
        filters = weights[g * K // groups : (g + 1) * K // groups]
        inner = [1, *range(axes + 2, 2 * axes + 2)]
        parts.append(np.moveaxis(np.tensordot(part, filters, (inner, list(range(1, axes + 2)))), -1, 1))
    return np.concatenate(parts, 1)


def wrapped(sums):
    return sums.astype(np.uint64).astype(np.uint32).view(np.int32)


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize(("x_type", "w_type"), PAIRS)
@pytest.mark.parametrize("name", LAYERS)
def test_sums_are_exact(name, x_type, w_type, isa):
    N, C, extents, K, kernel, options = LAYERS[name]
    rng = np.random.default_rng(0)
    x_limits, w_limits = np.iinfo(x_type), np.iinfo(w_type)
    for extreme, x_zero, w_zero in (
        (False, 3, 0),
        (True, x_limits.max, w_limits.min),
        (True, x_limits.min, rng.integers(w_limits.min, w_limits.max + 1, K)),
        (False, x_limits.max, (w_limits.min + w_limits.max + 1) // 2),
    ):
        x = numbers(rng, (N, C, *extents), x_type, extreme)
        w = numbers(rng, (K, C // options.get("groups", 1), *kernel), w_type, extreme)
        expected = wrapped(expected_sums(x, w, x_zero, w_zero, **options))
        with fastconv.use_isa(isa):
            y = conv_integer(x, w, x_zero, w_zero, **options)
        assert y.dtype == np.int32 and y.flags.c_contiguous
        assert np.array_equal(y, expected)


def exactly_requantised(sums, scale, zero, dtype):
    """Rounded half to even from exact products."""
    limits = np.iinfo(dtype)
    values = [round(Fraction(int(s)) * Fraction(float(c))) + zero for s, c in zip(sums.flat, scale.flat, strict=True)]
    return np.clip(np.array(values).reshape(sums.shape), limits.min, limits.max).astype(dtype)


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("y_type", TYPES)
@pytest.mark.parametrize("name", ["3x3", "1x1", "groups", "depthwise 3x3", "depthwise 5x5 by 2", "signal", "volume"])
def test_requantised(name, y_type, isa):
    N, C, extents, K, kernel, options = LAYERS[name]
    rng = np.random.default_rng(1)
    x, w = numbers(rng, (N, C, *extents), "uint8"), numbers(rng, (K, C // options.get("groups", 1), *kernel), "int8")
    bias = rng.integers(-(10**5), 10**5, K).astype(np.int32)
    limits = np.iinfo(y_type)
    column = (-1, *(1,) * len(extents))
    sums = expected_sums(x, w, 7, 0, **options) + bias.reshape(column)
    for scale, zero in (
        (rng.uniform(1e-4, 0.01, K).astype(np.float32), limits.min),
        (np.full(K, 2.0**-9, np.float32), 5),  # many halves
        (np.float32(0.5) * rng.integers(1, 9, K).astype(np.float32), limits.max),
        (np.full(K, -3e-5, np.float32), -1 if y_type == "int8" else 1),
    ):
        with fastconv.use_isa(isa):
            y = conv_integer(x, w, 7, bias=bias, requantization=Requantization(scale, zero, y_type), **options)
        assert y.dtype == y_type
        assert np.array_equal(
            y, exactly_requantised(sums, np.broadcast_to(scale.reshape(column), y.shape), zero, y_type)
        )


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("scale", [0.2, 0.24, 0.3, 1e30, -1e30, 1e-30])
def test_requantised_at_the_limits(scale, isa):
    """Sums of nearly 32 bits, by way of the bias."""
    bias = np.array([2**31 - 1, -(2**31), 2**30, -1, 1, 0], np.int32)
    x, w = np.zeros((1, 1, 1, 20), np.uint8), np.zeros((6, 1, 1, 1), np.int8)
    with fastconv.use_isa(isa):
        y = conv_integer(x, w, bias=bias, requantization=Requantization(scale, 3, "int8"))
    exact = exactly_requantised(bias, np.full(6, scale, np.float32), 3, "int8")
    assert np.array_equal(y, np.broadcast_to(exact.reshape(1, 6, 1, 1), y.shape))


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_sums_wrap_around(isa):
    x, w = np.full((1, 40000, 1, 3), 255, np.uint8), np.full((2, 40000, 1, 1), 255, np.uint8)
    with fastconv.use_isa(isa):
        y = conv_integer(x, w)
    assert (y == wrapped(np.array(40000 * 255 * 255))).all()


@st.composite
def layers(draw):
    groups, Cg, Kg = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 16))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 9)))
    dilation, stride = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(st.tuples(*[st.integers(1, 4)] * 2))
    padding = draw(st.tuples(*[st.tuples(*[st.integers(0, 6)] * 2)] * 2))
    least = [max(1, d * (k - 1) + 1 - sum(pads)) for d, k, pads in zip(dilation, kernel, padding, strict=True)]
    extents = tuple(size + draw(st.integers(0, 30)) for size in least)
    shapes = (draw(st.integers(1, 2)), Cg * groups, *extents), (Kg * groups, Cg, *kernel)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return shapes, options, draw(st.sampled_from(PAIRS)), draw(st.integers(0, 2**32)), draw(st.booleans())


@settings(max_examples=150, deadline=None)
@given(layers())
def test_any_layer(layer):
    (x_shape, w_shape), options, (x_type, w_type), seed, extreme = layer
    rng = np.random.default_rng(seed)
    x, w = numbers(rng, x_shape, x_type, extreme), numbers(rng, w_shape, w_type, extreme)
    x_zero, w_zero = numbers(rng, (), x_type), numbers(rng, w_shape[0], w_type)
    expected = expected_sums(x, w, int(x_zero), w_zero.astype(int), **options)
    for isa in fastconv.available_isas():
        with fastconv.use_isa(isa):
            assert np.array_equal(conv_integer(x, w, x_zero, w_zero, **options), expected)


@pytest.mark.parametrize("name", ["3x3", "several blocks", "depthwise 3x3", "groups", "1x1"])
def test_threads_change_nothing(name):
    N, C, extents, K, kernel, options = LAYERS[name]
    rng = np.random.default_rng(2)
    x, w = numbers(rng, (N, C, *extents), "uint8"), numbers(rng, (K, C // options.get("groups", 1), *kernel), "int8")
    results = []
    for threads in (1, 2, 5):
        with fastconv.num_threads(threads):
            results.append(conv_integer(x, w, 9, 1, **options))
    assert all(np.array_equal(result, results[0]) for result in results)


def test_prepared_operators_keep_plans_and_take_any_array():
    rng = np.random.default_rng(3)
    w = numbers(rng, (6, 4, 3, 3), "int8")
    op = ConvInteger("uint8", w, 5, padding=1)
    assert "weight=int8[6, 4, 3, 3]" in repr(op)
    for size in range(20, 0, -1):
        x = numbers(rng, (2, 4, size, 7), "uint8")
        expected = conv_integer(x, w, 5, padding=1)
        assert np.array_equal(op(x), expected)
        assert np.array_equal(op(x), expected), "by a plan that is kept"
        assert np.array_equal(op(x[::-1, :, ::-1])[::-1], op(np.ascontiguousarray(x[:, :, ::-1])))
        out = np.empty(expected.shape, np.int32)
        assert op(x, out=out) is out and np.array_equal(out, expected)
        apart = np.empty((2, 6, size, 14), np.int32)[..., ::2]
        assert op(x, out=apart) is apart and np.array_equal(apart, expected)
    assert op._plans() == 20
    assert np.array_equal(pickle.loads(pickle.dumps(op))(x), op(x))
    before = op(x)
    w[...] = 0
    assert np.array_equal(op(x), before), "the weights are the operator's own"
    assert op(x[0]).shape == before.shape[1:]
    with pytest.raises(TypeError, match=r"^x: expected uint8, got int8"):
        op(x.view(np.int8))


def test_tensors_in_tensors_out():
    torch = pytest.importorskip("torch")
    x, w = torch.ones((1, 2, 4, 4), dtype=torch.uint8), torch.ones((3, 2, 3, 3), dtype=torch.int8)
    y = conv_integer(x, w)
    assert y.dtype == torch.int32 and (y == 18).all()
    assert torch.equal(ConvInteger("uint8", w)(x), y)


def test_examples():
    assert doctest.testmod(fastconv.integers, extraglobs={"np": np}).attempted >= 5
    assert doctest.testmod(fastconv.integers, extraglobs={"np": np}).failed == 0


X, W = np.ones((1, 2, 5, 5), np.uint8), np.ones((3, 2, 3, 3), np.int8)
MISTAKES = [
    ((X.astype("f4"), W), {}, TypeError, "input: expected int8 or uint8, got float32"),
    ((X, W.astype("i2")), {}, TypeError, "weight: expected int8 or uint8, got int16"),
    (([1], W), {}, TypeError, "input: expected a NumPy array, got list"),
    ((X, W[0, 0]), {}, ValueError, "weight: expected (K, C // groups, ...) of 1 to 3 spatial axes, got shape (3, 3)"),
    ((X[0, 0], W), {}, ValueError, "input: expected"),
    ((X, W, 256), {}, ValueError, "input_zero_point: expected 0 to 255, as uint8 has them, got 256"),
    ((X, W, 0, 128), {}, ValueError, "weight_zero_point: expected -128 to 127, as int8 has them, got 128"),
    ((X, W, 0.5), {}, TypeError, "input_zero_point:"),
    ((X, W, 0, np.zeros(2, int)), {}, ValueError, "weight_zero_point: expected a number or shape (3,), one per filter"),
    ((X, W, np.zeros(2, int)), {}, ValueError, "input_zero_point: expected a number, got shape (2,)"),
    ((X, W), {"stride": 0}, ValueError, "stride: expected at least 1, got 0"),
    ((X, W), {"groups": 2}, ValueError, "groups: expected a divisor of the 3 filters of weight"),
    ((X, W), {"dilation": 3}, ValueError, "input: expected a padded image of at least the effective kernel"),
    ((X, W), {"bias": np.zeros(3)}, TypeError, "bias: expected int32, got float64"),
    ((X, W), {"bias": np.zeros(2, "i4")}, ValueError, "bias: expected shape (3,), one value per filter, got (2,)"),
    ((X, W), {"requantization": 0.5}, TypeError, "requantization: expected a Requantization or None, got 0.5"),
    ((X, W), {"requantization": Requantization(np.nan)}, ValueError, "requantization.scale: expected finite numbers"),
    ((X, W), {"requantization": Requantization(1e300)}, ValueError, "requantization.scale: expected finite numbers"),
    ((X, W), {"requantization": Requantization(np.ones(2))}, ValueError, "requantization.scale: expected a number or"),
    ((X, W), {"requantization": Requantization("1")}, TypeError, "requantization.scale: expected real numbers"),
    ((X, W), {"requantization": Requantization(1, -1)}, ValueError, "requantization.zero_point: expected 0 to 255"),
    ((X, W), {"requantization": Requantization(1, 0, "int16")}, TypeError, "requantization.dtype: expected int8 or"),
    ((X, W), {"requantization": Requantization(1, 0, "byte8")}, TypeError, "requantization.dtype: expected int8 or"),
    ((X, W), {"requantization": Requantization([[1], [1, 2]])}, TypeError, "requantization.scale: expected real"),
    ((X, W), {"out": np.empty((1, 3, 3, 3))}, TypeError, "out: expected int32, got float64"),
    ((X, W), {"out": np.empty((1, 3, 3, 2), "i4")}, ValueError, "out: expected shape (1, 3, 3, 3), got (1, 3, 3, 2)"),
]


@pytest.mark.parametrize(("arrays", "options", "error", "message"), MISTAKES, ids=[row[-1] for row in MISTAKES])
def test_mistakes_are_named(arrays, options, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        conv_integer(*arrays, **options)
