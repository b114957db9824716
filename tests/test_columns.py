"""Images one column wide are rows of pixels: the same choices, the same bits, in the user's own shapes."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import _core
from fastconv.arguments import as_layer
from fastconv.geometry import PLANE

# (N, C, length), (K, C // groups, taps) and options of the one axis.
LAYERS = {
    "depthwise": ((2, 16, 400), (16, 1, 9), {"padding": 4, "groups": 16}),
    "depthwise by 2": ((1, 16, 101), (32, 1, 5), {"padding": 2, "groups": 16, "stride": 2}),
    "one channel": ((1, 1, 3000), (1, 1, 5), {}),
    "dense": ((2, 24, 70), (20, 24, 3), {"padding": 1}),
    "dense by 3, dilated": ((1, 24, 170), (20, 24, 4), {"padding": 5, "stride": 3, "dilation": 3}),
    "groups": ((1, 12, 33), (6, 4, 3), {"groups": 3, "padding": 1}),
    "one tap": ((2, 8, 50), (8, 8, 1), {"stride": 2}),
    "as long as the image": ((3, 8, 12), (4, 8, 12), {}),
}


def of_axis(options, column):
    """Options of a plane from those of one axis."""
    return {
        name: value if name == "groups" else ((value, neutral) if column else (neutral, value))
        for name, value in options.items()
        for neutral in (0 if name == "padding" else 1,)
    }


def standing(array, layout="NCHW"):
    """(N, C, length) as images one column wide."""
    image = array[..., np.newaxis]
    return image if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(image, 1, -1))


def lying(array, layout="NCHW"):
    image = array[:, :, np.newaxis]
    return image if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(image, 1, -1))


def turned(array, layout):
    return array.swapaxes(*(i for i, axis in enumerate(layout) if axis in "HW"))


def normal(shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("layout", PLANE.layouts)
@pytest.mark.parametrize("name", LAYERS)
def test_all_that_is_said_of_a_column_is_what_is_said_of_the_row(name, layout):
    image, weight, options = LAYERS[name]
    N, C, length = image
    shapes = {"NCHW": ((N, C, length, 1), (N, C, 1, length)), "NHWC": ((N, length, 1, C), (N, 1, length, C))}[layout]
    column = as_layer(shapes[0], (*weight, 1), **of_axis(options, True), layout=layout).problem
    row = as_layer(shapes[1], (*weight[:2], 1, weight[2]), **of_axis(options, False), layout=layout).problem
    for algorithm in fastconv.algorithms():
        assert _core.rejects(algorithm, column) == _core.rejects(algorithm, row)
        if _core.rejects(algorithm, row) is None:
            for question in (_core.cost, _core.variant, _core.workspace_bytes, _core.packed_bytes):
                assert question(algorithm, column) == question(algorithm, row), algorithm
            assert _core.expected_error(algorithm, column) == _core.expected_error(algorithm, row)
    explained = fastconv.explain(shapes[0], (*weight, 1), **of_axis(options, True), layout=layout)
    assert explained.problem.input_shape == shapes[0]
    assert (
        explained.chosen
        == fastconv.explain(shapes[1], row.weight_shape, **of_axis(options, False), layout=layout).chosen
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", PLANE.layouts)
@pytest.mark.parametrize("name", LAYERS)
def test_columns_have_the_bits_of_rows(name, layout, dtype):
    image, weight, options = LAYERS[name]
    x, w, b = normal(image, dtype), normal(weight, dtype, 1), normal(weight[:1], dtype, 2)
    x_column, x_row, w_column, w_row = standing(x, layout), lying(x, layout), standing(w), lying(w)
    column, row = of_axis(options, True), of_axis(options, False)
    expected = fastconv.conv2d(x_row, w_row, b, **row, layout=layout, activation="relu")
    y = fastconv.conv2d(x_column, w_column, b, **column, layout=layout, activation="relu")
    assert np.array_equal(y, turned(expected, layout))
    prepared = fastconv.Conv2d(w_column, b, **column, layout=layout)
    out = np.empty_like(y)
    residual = normal(y.shape, dtype, 3)
    assert prepared(x_column, out=out, residual=residual) is out
    of_row = fastconv.Conv2d(w_row, b, **row, layout=layout)
    residual_row = np.ascontiguousarray(turned(residual, layout))
    assert np.array_equal(out, turned(of_row(x_row, residual=residual_row), layout))
    assert np.array_equal(prepared(x_column, out=out), turned(of_row(x_row), layout))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", PLANE.layouts)
@pytest.mark.parametrize("name", LAYERS)
def test_transposed_columns_and_gradients_have_the_bits_of_rows(name, layout, dtype):
    image, weight, options = LAYERS[name]
    column, row = of_axis(options, True), of_axis(options, False)
    x, w = normal(image, dtype), normal(weight, dtype, 1)
    shapes = standing(x, layout).shape, lying(x, layout).shape
    w_column, w_row = standing(w), lying(w)
    x_column, x_row = standing(x, layout), lying(x, layout)
    dy_column = fastconv.conv2d(x_column, w_column, **column, layout=layout)
    dy_row = np.ascontiguousarray(turned(dy_column, layout))
    dx = fastconv.grad.conv2d_input(shapes[0], w_column, dy_column, **column, layout=layout)
    assert np.array_equal(
        dx, turned(fastconv.grad.conv2d_input(shapes[1], w_row, dy_row, **row, layout=layout), layout)
    )
    dw = fastconv.grad.conv2d_weight(x_column, w_column.shape, dy_column, **column, layout=layout)
    assert np.array_equal(
        dw, fastconv.grad.conv2d_weight(x_row, w_row.shape, dy_row, **row, layout=layout).swapaxes(2, 3)
    )
    spread = fastconv.conv_transpose2d(dy_column, w_column, **column, layout=layout)
    expected = fastconv.conv_transpose2d(dy_row, w_row, **row, layout=layout)
    assert np.array_equal(spread, turned(expected, layout))
    op = fastconv.ConvTranspose2d(w_column, **column, layout=layout)
    lain = fastconv.ConvTranspose2d(w_row, **row, layout=layout)
    assert np.array_equal(op(dy_column), turned(lain(dy_row), layout))
    problems = [e.problem for e in op.explain(dy_column.shape)]
    assert problems == [e.problem for e in lain.explain(dy_row.shape)]
    assert all(problem.H == 1 for problem in problems)


def test_volumes_one_column_wide_have_the_bits_of_those_one_row_high():
    x, w = normal((1, 4, 5, 30, 1)), normal((8, 4, 2, 3, 1), seed=1)
    v = normal((4, 8, 2, 4, 1), seed=2)
    for op, weight, image, options in (
        (fastconv.Conv3d, w, x, {"padding": (1, 1, 0)}),
        (fastconv.ConvTranspose3d, v, x, {"stride": (2, 2, 1)}),
    ):
        lain = {name: (depth, width, height) for name, (depth, height, width) in options.items()}
        y = op(weight, **options)(image)
        row = op(np.ascontiguousarray(weight.swapaxes(3, 4)), **lain)(np.ascontiguousarray(image.swapaxes(3, 4)))
        assert np.array_equal(y, row.swapaxes(3, 4))


@pytest.mark.parametrize("name", LAYERS)
def test_columns_of_bytes(name):
    image, weight, options = LAYERS[name]
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 256, image).astype(np.uint8), rng.integers(-128, 128, weight).astype(np.int8)
    y = fastconv.conv_integer(standing(x), standing(w), 3, 1, **of_axis(options, True))
    assert np.array_equal(
        y[..., 0], fastconv.conv_integer(lying(x), lying(w), 3, 1, **of_axis(options, False))[:, :, 0]
    )


def test_a_column_that_is_padded_at_its_sides_stays_one():
    x, w = normal((1, 3, 20, 1)), normal((4, 3, 3, 1), seed=1)
    y = fastconv.conv2d(x, w, padding=(0, 2))
    assert y.shape == (1, 4, 18, 5)
    assert np.array_equal(y[..., [0, 1, 3, 4]], np.zeros((1, 4, 18, 4), np.float32))
    np.testing.assert_allclose(y[..., 2:3], fastconv.conv2d(x, w), rtol=1e-5, atol=1e-5)
