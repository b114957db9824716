"""Transposed convolutions and gradients by the input, against sums scattered one by one in float64."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth import assert_close, conv, every, pairs, scattered

import fastconv
from fastconv import _core

rng = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def outputs(x, w, stride, pads, dilation, more):
    axes = x.ndim - 2
    numbers = zip(
        x.shape[2:],
        w.shape[2:],
        every(axes, stride),
        pairs(axes, pads),
        every(axes, dilation),
        every(axes, more),
        strict=True,
    )
    return tuple((i - 1) * s - sum(p) + d * (taps - 1) + m + 1 for i, taps, s, p, d, m in numbers)


def truth(x, w, bias=None, stride=1, pads=0, more=0, groups=1, dilation=1):
    y = scattered(x, w, outputs(x, w, stride, pads, dilation, more), stride, pads, dilation, groups)
    return y if bias is None else y + bias.astype(np.float64).reshape(-1, *(1,) * (x.ndim - 2))


def functions(axes):
    return (
        (fastconv.conv_transpose1d, fastconv.ConvTranspose1d)
        if axes == 1
        else (
            fastconv.conv_transpose2d,
            fastconv.ConvTranspose2d,
        )
    )


@pytest.fixture(params=["call", "operator"])
def spread(request):
    """conv_transpose(x, w, ...) and ConvTranspose(w, ...)(x), twice, for one axis or two."""

    def call(x, w, *args, out=None, **options):
        function, operator = functions(w.ndim - 2)
        if request.param == "operator":
            op = operator(w, *args, **options)
            return [op(x, out=out), op(x, out=out)][1]
        return function(x, w, *args, out=out, **options)

    return call


FORMS = [
    ({}, {}),
    ({"stride": 2}, {"stride": 2}),
    ({"stride": (2, 3), "padding": 1, "output_padding": (1, 2)}, {"stride": (2, 3), "pads": 1, "more": (1, 2)}),
    ({"padding": ((0, 1), (2, 0)), "stride": 2}, {"pads": ((0, 1), (2, 0)), "stride": 2}),
    ({"dilation": (2, 1), "stride": (1, 2)}, {"dilation": (2, 1), "stride": (1, 2)}),
    ({"dilation": 2, "stride": 4, "output_padding": 3}, {"dilation": 2, "stride": 4, "more": 3}),
    ({"dilation": 4, "stride": 6}, {"dilation": 4, "stride": 6}),
    ({"stride": 3, "groups": 2}, {"stride": 3, "groups": 2}),
    ({"stride": 2, "groups": 4, "padding": 1}, {"stride": 2, "groups": 4, "pads": 1}),
    ({"stride": 5}, {"stride": 5}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("options", "numbers"), FORMS, ids=[str(options) for options, _ in FORMS])
def test_every_form_of_the_arguments(spread, options, numbers, dtype):
    groups = options.get("groups", 1)
    x, w, b = normal(2, 4, 6, 5, dtype=dtype), normal(4, 8 // groups, 3, 2, dtype=dtype), normal(8, dtype=dtype)
    expected = truth(x, w, b, **numbers)
    y = spread(x, w, b, **options)
    assert y.dtype == dtype and y.flags.c_contiguous
    assert_close(y, expected)
    assert_close(spread(x[1], w, b, **options), expected[1])
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    assert_close(spread(last, w, b, layout="NHWC", **options).transpose(0, 3, 1, 2), expected)
    out = np.full_like(y, np.nan)
    assert spread(x, w, b, out=out, **options) is out
    assert np.array_equal(out, y)
    assert_close(spread(x, w, b, activation="relu", **options), np.maximum(expected, 0))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_geometry(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    axes, groups, N = draw(1, 2), draw(1, 3), draw(0, 3)
    some = lambda low, high: tuple(draw(low, high) for _ in range(axes))  # noqa: E731
    C, K = groups * draw(1, 4), groups * draw(1, 4)
    stride, dilation, kernel = some(1, 5), some(1, 4), some(1, 6)
    more = tuple(draw(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
    pads = tuple((draw(0, 5), draw(0, 5)) for _ in range(axes))
    x, w, b = normal(N, C, *some(1, 9)), normal(C, K // groups, *kernel), normal(K)
    size = outputs(x, w, stride, pads, dilation, more)
    if min(size) < 1:
        with pytest.raises(ValueError, match="input: expected outputs of at least 1 pixel"):
            functions(axes)[0](x, w, b, stride, pads, more, groups, dilation)
        return
    expected = truth(x, w, b, stride, pads, more, groups, dilation)
    assert_close(functions(axes)[0](x, w, b, stride, pads, more, groups, dilation), expected)
    layout = "NWC" if axes == 1 else "NHWC"
    y = functions(axes)[0](np.moveaxis(x, 1, -1), w, b, stride, pads, more, groups, dilation, layout=layout)
    assert_close(np.moveaxis(y, -1, 1), expected)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_gradient_by_the_input(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    axes, groups, N = draw(1, 2), draw(1, 3), draw(1, 3)
    some = lambda low, high: tuple(draw(low, high) for _ in range(axes))  # noqa: E731
    C, K = groups * draw(1, 4), groups * draw(1, 4)
    stride, dilation, kernel = some(1, 5), some(1, 4), some(1, 5)
    pads = tuple((draw(0, 4), draw(0, 4)) for _ in range(axes))
    extents = tuple(
        draw(max(1, d * (taps - 1) + 1 - sum(p)), 20) for d, taps, p in zip(dilation, kernel, pads, strict=True)
    )
    x, w = np.zeros((N, C, *extents), np.float32), normal(K, C // groups, *kernel)
    dy = normal(*conv(x, w, None, stride, pads, dilation, groups).shape)
    function = fastconv.grad.conv1d_input if axes == 1 else fastconv.grad.conv2d_input
    expected = scattered(dy, w, extents, stride, pads, dilation, groups)
    assert_close(function(x.shape, w, dy, stride, pads, dilation, groups), expected)


def test_a_gradient_is_that_of_every_other_form_of_padding():
    w, dy = normal(6, 4, 3, 3), normal(2, 5, 4, 6)
    dx = fastconv.grad.conv2d_input((2, 9, 7, 4), w, dy, 2, "same", layout="NHWC")
    expected = scattered(dy.transpose(0, 3, 1, 2), w, (9, 7), 2, ((1, 1), (1, 1)))
    assert_close(dx.transpose(0, 3, 1, 2), expected)
    out = np.empty((4, 9), np.float32)
    assert fastconv.grad.conv1d_input((4, 9), normal(6, 4, 3), normal(6, 7), out=out) is out


@pytest.mark.parametrize("stride", [2, 4])
def test_a_kernel_as_large_as_the_stride_is_one_convolution(stride):
    op = fastconv.ConvTranspose2d(normal(3, 5, stride, stride), stride=stride)
    plan, _ = op._prepare(op._recipe, (2, 3, 6, 7))
    problems = plan.program.lowering.problems
    assert [problem.weight_shape for problem in problems] == [(5 * stride**2, 3, 1, 1)]
    assert sum(problem.multiply_adds for problem in problems) == 2 * 6 * 7 * 3 * 5 * stride**2


def test_no_product_is_wasted():
    """3x3 by stride 2: a tap, two, two and four of the nine, each on as many outputs as there are inputs."""
    op = fastconv.ConvTranspose2d(normal(16, 16, 3, 3), stride=2, padding=1, output_padding=1)
    plan, _ = op._prepare(op._recipe, (1, 16, 14, 14))
    problems = plan.program.lowering.problems
    assert sorted(problem.weight_shape[2:] for problem in problems) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert sum(problem.multiply_adds for problem in problems) == 14 * 14 * 16 * 16 * 9


def test_stride_one_goes_straight_into_the_output():
    op = fastconv.ConvTranspose2d(normal(3, 5, 3, 3), padding=1)
    plan, _ = op._prepare(op._recipe, (2, 3, 6, 7))
    assert plan.workspace_bytes == _core.workspace_bytes(plan.algorithm, plan.problem)
    op = fastconv.ConvTranspose2d(normal(3, 5, 3, 3), stride=2)
    strided, _ = op._prepare(op._recipe, (2, 3, 6, 7))
    waiting = sum(problem.output_bytes for problem in strided.program.lowering.problems)
    assert strided.workspace_bytes > waiting


def test_outputs_that_see_no_tap_are_the_bias():
    x, w, b = normal(1, 2, 2), normal(2, 3, 1), np.array([1, -2, 3], np.float32)
    y = fastconv.conv_transpose1d(x, w, b, stride=3, padding=1)  # neither of the two outputs lies under an input
    assert np.array_equal(y, np.broadcast_to(b[:, None], (1, 3, 2)))
    y = fastconv.conv_transpose1d(x, w, b, stride=3, activation="relu")
    assert np.array_equal(y[0, :, 1], [1, 0, 3])
    inf = np.full((1, 2, 2), np.inf, np.float32)
    assert np.array_equal(fastconv.conv_transpose1d(inf, w, b, stride=3)[0, :, 1:3], np.stack([b, b], 1))


def test_images_wait_in_portions():
    w = normal(4, 3, 3, 3)
    x = normal(6, 4, 150, 190)
    op = fastconv.ConvTranspose2d(w, stride=2)
    plan, _ = op._prepare(op._recipe, x.shape)
    assert plan.problem.N == 3
    assert_close(op(x), truth(x, w, stride=2))


def test_the_same_bits_for_any_number_of_threads():
    op = fastconv.ConvTranspose2d(normal(32, 24, 3, 3), stride=2, padding=1)
    x = normal(2, 32, 40, 41)
    with fastconv.num_threads(1):
        y = op(x)
    for threads in (2, 5):
        with fastconv.num_threads(threads):
            assert np.array_equal(op(x), y)


def test_an_operator_runs_without_python_code(monkeypatch):
    op = fastconv.ConvTranspose1d(normal(4, 8, 3), stride=2)
    x, out = normal(2, 4, 50), np.empty((2, 8, 101), np.float32)
    y = op(x)
    monkeypatch.setattr(fastconv.ConvTranspose1d, "_checked_call", None)
    assert op(x, out=out) is out
    assert np.array_equal(out, y)


def test_operators_can_be_pickled_and_shown():
    op = fastconv.ConvTranspose2d(normal(4, 2, 3, 3), normal(2), stride=2)
    x = normal(4, 5, 6)
    assert np.array_equal(pickle.loads(pickle.dumps(op))(x), op(x))
    assert repr(op) == "ConvTranspose2d(weight=float32[4, 2, 3, 3], stride=(2, 2))"


def test_strided_images_and_outputs():
    x, w = normal(8, 9, 10, 4).transpose(0, 3, 1, 2)[::2, :, ::-1], normal(4, 3, 2, 2)
    out = np.zeros((4, 3, 18, 40), np.float32)[..., ::2]
    assert fastconv.conv_transpose2d(x, w, stride=2, out=out) is out
    assert_close(out, truth(x, w, stride=2))


def test_a_program_wants_an_algorithm_for_each_part():
    axes = ((5, 3, 11, 2, 1, 0, 0), (5, 3, 11, 2, 1, 0, 0))
    lowering = _core.lower(_core.Layer("transposed", "float32", "NCHW", 1, 4, 2, 1, axes))
    choices = [("direct", -1, 25.0)] * len(lowering.problems)
    program = _core.Program(lowering, choices)
    assert program.algorithms == ("direct",) * 4
    with pytest.raises(ValueError, match="choices: got 3, expected 4"):
        _core.Program(lowering, choices[1:])
    with pytest.raises(ValueError, match="pointwise needs a 1x1 kernel"):
        _core.Program(lowering, [("pointwise", -1, 25.0)] * 4)
    x, w, y = normal(1, 4, 5, 5), normal(4, 2, 3, 3), np.empty((1, 2, 11, 11), np.float32)
    program(x, w, None, y)
    assert_close(y, truth(x, w, stride=2))
    for name, arrays in {
        "x": (x[0, :2], w, None, y),
        "weight": (x, w[:3], None, y),
        "out": (x, w, None, y[0, 0]),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}: got shape"):
            program(*arrays)


X, W = np.ones((1, 4, 5, 5), np.float32), np.ones((4, 2, 3, 3), np.float32)
MISTAKES = [
    ({"stride": 0}, ValueError, "stride: expected at least 1, got 0"),
    ({"padding": "same"}, ValueError, "padding: expected numbers for a transposed convolution, got 'same'"),
    ({"padding": -1}, ValueError, "padding: expected at least 0, got -1"),
    ({"padding": 4}, ValueError, "input: expected outputs of at least 1 pixel, got -1 x -1"),
    ({"output_padding": 1}, ValueError, "output_padding: expected less than the stride or the dilation, got 1"),
    ({"output_padding": -1}, ValueError, "output_padding: expected at least 0, got -1"),
    ({"groups": 3}, ValueError, "groups: expected a divisor of the 4 channels of weight, got 3"),
    ({"weight": W[:3]}, ValueError, "weight: expected shape[0] to be the 4 channels of input, got 3"),
    ({"weight": W[0]}, ValueError, "weight: expected (C, K, R, S), got 3 dimensions: (2, 3, 3)"),
    ({"weight": W.astype(np.float64)}, TypeError, "weight: expected float32, the dtype of input, got float64"),
    ({"bias": np.ones(4, np.float32)}, ValueError, "bias: expected shape (2,), one value per filter, got (4,)"),
    ({"algorithm": "pointwise"}, ValueError, "algorithm: 'pointwise' cannot run this problem: needs a 1x1 kernel"),
    ({"out": X}, ValueError, "out: expected shape (1, 2, 7, 7), got (1, 4, 5, 5)"),
]


@pytest.mark.parametrize(("change", "error", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes_are_named(change, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        fastconv.conv_transpose2d(**{"input": X, "weight": W, **change})


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=re.escape("grad_output: expected shape (1, 4, 5, 5), that of the conv")):
        fastconv.grad.conv2d_input((1, 2, 7, 7), W, np.ones((1, 4, 5, 6), np.float32))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_prepared_form_takes_no_images_at_all(axes):
    op = getattr(fastconv, f"ConvTranspose{axes}d")(np.ones((2, 3, *(3,) * axes)), stride=2)
    for _ in range(2):  # the second call finds its plan
        assert op(np.ones((0, 2, *(4,) * axes))).shape == (0, 3, *(9,) * axes)
