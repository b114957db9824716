"""Convolutions of volumes, transposed ones and gradients, against NumPy in float64."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth import assert_close, conv, scattered, weight_gradient

import fastconv
from fastconv import _core

rng = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def last(x):
    return np.ascontiguousarray(np.moveaxis(x, -4, -1))


def first(y):
    return np.moveaxis(y, -1, -4)


FORMS = [
    ({}, {}),
    ({"stride": 2}, {"stride": 2}),
    ({"stride": (1, 2, 3), "padding": 1}, {"stride": (1, 2, 3), "pads": 1}),
    ({"padding": ((0, 3), (1, 2), (2, 0))}, {"pads": ((0, 3), (1, 2), (2, 0))}),
    ({"padding": "same", "stride": (2, 1, 1)}, {"pads": ((0, 1), (1, 1), (0, 1)), "stride": (2, 1, 1)}),
    ({"dilation": (2, 1, 2), "padding": (2, 0, 1)}, {"dilation": (2, 1, 2), "pads": (2, 0, 1)}),
    ({"groups": 2, "padding": 1}, {"groups": 2, "pads": 1}),
    ({"groups": 4, "stride": (2, 1, 1)}, {"groups": 4, "stride": (2, 1, 1)}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("options", "numbers"), FORMS, ids=[str(options) for options, _ in FORMS])
def test_every_form_of_the_arguments(options, numbers, dtype):
    x, b = normal(2, 4, 6, 7, 5, dtype=dtype), normal(8, dtype=dtype)
    w = normal(8, 4 // options.get("groups", 1), 3, 3, 2, dtype=dtype)
    expected = conv(x, w, b, **numbers)
    op = fastconv.Conv3d(w, b, **options)
    for y in (fastconv.conv3d(x, w, b, **options), op(x), op(x)):
        assert y.dtype == dtype and y.flags.c_contiguous
        assert_close(y, expected)
    assert_close(op(x[1]), expected[1])
    assert_close(first(fastconv.conv3d(last(x), w, b, layout="NDHWC", **options)), expected)
    out = np.full(expected.shape, np.nan, dtype)
    assert op(x, out=out) is out
    assert_close(out, expected)
    assert_close(fastconv.conv3d(x, w, b, activation="relu", **options), np.maximum(expected, 0))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_geometry_and_its_gradients(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    some = lambda low, high: tuple(draw(low, high) for _ in range(3))  # noqa: E731
    groups, N = draw(1, 3), draw(1, 2)
    C, K = groups * draw(1, 3), groups * draw(1, 3)
    stride, dilation, kernel = some(1, 3), some(1, 3), some(1, 3)
    pads = tuple((draw(0, 3), draw(0, 3)) for _ in range(3))
    extents = tuple(
        draw(max(1, d * (taps - 1) + 1 - sum(p)), 7) for d, taps, p in zip(dilation, kernel, pads, strict=True)
    )
    x, w, b = normal(N, C, *extents), normal(K, C // groups, *kernel), normal(K)
    rest = stride, pads, dilation, groups
    expected = conv(x, w, b, *rest)
    assert_close(fastconv.conv3d(x, w, b, *rest), expected)
    assert_close(first(fastconv.conv3d(last(x), w, b, *rest, layout="NDHWC")), expected)
    dy = normal(*expected.shape)
    dx, dw = scattered(dy, w, extents, *rest), weight_gradient(x, dy, kernel, *rest)
    assert_close(fastconv.grad.conv3d_input(x.shape, w, dy, *rest), dx)
    assert_close(fastconv.grad.conv3d_weight(x, w.shape, dy, *rest), dw)
    sizes = last(x).shape
    assert_close(first(fastconv.grad.conv3d_input(sizes, w, last(dy), *rest, layout="NDHWC")), dx)
    assert_close(fastconv.grad.conv3d_weight(last(x), w.shape, last(dy), *rest, layout="NDHWC"), dw)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_transposed_geometry(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    some = lambda low, high: tuple(draw(low, high) for _ in range(3))  # noqa: E731
    groups, N = draw(1, 2), draw(0, 2)
    C, K = groups * draw(1, 3), groups * draw(1, 3)
    stride, dilation, kernel = some(1, 4), some(1, 3), some(1, 4)
    more = tuple(draw(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
    pads = tuple((draw(0, 3), draw(0, 3)) for _ in range(3))
    x, w, b = normal(N, C, *some(1, 4)), normal(C, K // groups, *kernel), normal(K)
    numbers = zip(x.shape[2:], stride, pads, dilation, kernel, more, strict=True)
    size = tuple((i - 1) * s - sum(p) + d * (taps - 1) + m + 1 for i, s, p, d, taps, m in numbers)
    arguments = x, w, b, stride, pads, more, groups, dilation
    if min(size) < 1:
        with pytest.raises(ValueError, match="input: expected outputs of at least 1 pixel"):
            fastconv.conv_transpose3d(*arguments)
        return
    expected = scattered(x, w, size, stride, pads, dilation, groups) + b.astype(np.float64).reshape(-1, 1, 1, 1)
    assert_close(fastconv.conv_transpose3d(*arguments), expected)
    y = fastconv.conv_transpose3d(last(x), *arguments[1:], layout="NDHWC")
    assert_close(first(y), expected)
    op = fastconv.ConvTranspose3d(*arguments[1:])
    assert np.array_equal(op(x), op(x))
    assert_close(op(x), expected)


@pytest.mark.parametrize("layout", ["NCDHW", "NDHWC"])
@pytest.mark.parametrize(
    ("kernel", "options", "as_images"),
    [
        ((1, 1, 1), {}, True),
        ((3, 1, 1), {"padding": (1, 0, 0), "stride": (2, 1, 1)}, True),
        ((1, 3, 3), {"padding": (0, 1, 1)}, "NDHWC"),
        ((1, 3, 3), {"stride": (2, 1, 1)}, False),
        ((1, 1, 1), {"stride": 2}, False),
        ((3, 3, 3), {"padding": 1}, False),
    ],
)
def test_what_is_a_convolution_of_images_as_it_is(layout, kernel, options, as_images):
    x, w = normal(2, 3, 5, 6, 7), normal(4, 3, *kernel)
    given = x if layout == "NCDHW" else last(x)
    op = fastconv.Conv3d(w, **options, layout=layout)
    plan, _ = op._prepare(op._recipe, given.shape)
    in_place = plan.workspace_bytes == _core.workspace_bytes(plan.algorithm, plan.problem)  # no planes are copied
    assert in_place == (as_images is True or as_images == layout)
    y = op(given) if layout == "NCDHW" else first(op(given))
    assert_close(y, conv(x, w, None, options.get("stride", 1), options.get("padding", 0)))


def test_planes_wait_in_portions_with_the_same_bits_for_any_number_of_threads():
    op = fastconv.Conv3d(normal(9, 40, 3, 3, 3), padding=1)
    x = normal(2, 40, 10, 50, 60)
    plan, _ = op._prepare(op._recipe, x.shape)
    assert plan.workspace_bytes < 6 * 2**20
    with fastconv.num_threads(1):
        y = op(x)
    assert_close(y[:, :, 3:5], conv(x[:, :, 2:6], op._recipe.weight, None, 1, (0, 1, 1)))
    with fastconv.num_threads(3):
        assert np.array_equal(op(x), y)


def test_planes_that_see_no_tap_are_the_bias():
    x, w, b = normal(1, 2, 2, 3, 3), normal(2, 3, 1, 1, 1), np.array([1, -2, 3], np.float32)
    y = fastconv.conv_transpose3d(x, w, b, stride=(2, 1, 1), activation="relu")
    assert np.array_equal(y[0, :, 1, 2, 2], [1, 0, 3])
    assert_close(y[:, :, ::2], np.maximum(scattered(x, w, (2, 3, 3)) + b.reshape(-1, 1, 1, 1), 0))


def test_operators_run_without_python_code_and_can_be_pickled(monkeypatch):
    op = fastconv.Conv3d(normal(4, 2, 2, 2, 2), stride=2, layout="NDHWC")
    x = normal(3, 5, 6, 7, 2)
    y = op(x)
    assert np.array_equal(pickle.loads(pickle.dumps(op))(x), y)
    assert repr(op) == "Conv3d(weight=float32[4, 2, 2, 2, 2], stride=(2, 2, 2), layout='NDHWC')"
    monkeypatch.setattr(fastconv.Conv3d, "_checked_call", None)
    assert np.array_equal(op(x), y)


def test_no_volumes_give_no_volumes():
    assert fastconv.conv3d(normal(0, 2, 4, 4, 4), normal(3, 2, 2, 2, 2)).shape == (0, 3, 3, 3, 3)


X, W = np.ones((1, 4, 5, 5, 5), np.float32), np.ones((6, 4, 3, 3, 3), np.float32)
MISTAKES = [
    ({"stride": (1, 2)}, TypeError, "stride: expected an int or a (depth, height, width) triple of ints, got (1, 2)"),
    ({"layout": "NCHW"}, ValueError, "layout: expected 'NCDHW' or 'NDHWC', got 'NCHW'"),
    ({"weight": W[0]}, ValueError, "weight: expected (K, C, T, R, S), got 4 dimensions"),
    ({"input": X[0, 0]}, ValueError, "input: expected (N, C, D, H, W) or (C, D, H, W), got 3 dimensions"),
    ({"dilation": 3}, ValueError, "input: expected a padded image of at least the effective kernel, 7 x 7 x 7"),
    ({"algorithm": "pointwise"}, ValueError, "algorithm: 'pointwise' cannot run this problem: needs a 1x1 kernel"),
    ({"out": X}, ValueError, "out: expected shape (1, 6, 3, 3, 3), got (1, 4, 5, 5, 5)"),
]


@pytest.mark.parametrize(("change", "error", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes_are_named(change, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        fastconv.conv3d(**{"input": X, "weight": W, **change})
