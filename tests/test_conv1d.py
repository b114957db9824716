"""conv1d and Conv1d: what is right, in every form of every argument; and that nothing is between it and the core."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth import assert_close, conv

import fastconv
from fastconv import _core

rng = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


@pytest.fixture(params=["call", "operator"])
def convolve(request):
    """conv1d(x, w, ...) and Conv1d(w, ...)(x), which have to agree on everything. Twice, since both remember."""

    def call(x, w, *args, out=None, **options):
        if request.param == "operator":
            op = fastconv.Conv1d(w, *args, **options)
            return [op(x, out=out), op(x, out=out)][1]
        options = {**options, "out": out}
        return [fastconv.conv1d(x, w, *args, **options), fastconv.conv1d(x, w, *args, **options)][1]

    return call


FORMS = [
    ({}, {}),
    ({"stride": (2,)}, {"stride": 2}),
    ({"stride": 3, "padding": 1}, {"stride": 3, "pads": 1}),
    ({"padding": [2]}, {"pads": 2}),
    ({"padding": ((0, 3),)}, {"pads": ((0, 3),)}),
    ({"padding": "valid", "dilation": (2,)}, {"dilation": 2}),
    ({"padding": "same"}, {"pads": ((1, 2),)}),
    ({"padding": "same_lower"}, {"pads": ((2, 1),)}),
    ({"padding": "same", "stride": 2}, {"pads": ((1, 1),), "stride": 2}),
    ({"groups": 2}, {"groups": 2}),
    ({"activation": "relu", "groups": 4}, {"groups": 4}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("options", "numbers"), FORMS, ids=[str(options) for options, _ in FORMS])
def test_every_form_of_the_arguments(convolve, options, numbers, dtype):
    x, b = normal(2, 4, 20, dtype=dtype), normal(8, dtype=dtype)
    w = normal(8, 4 // options.get("groups", 1), 4, dtype=dtype)
    expected = conv(x, w, b, **numbers)
    if "activation" in options:
        expected = np.maximum(expected, 0)
    y = convolve(x, w, b, **options)
    assert y.dtype == dtype and y.flags.c_contiguous
    assert_close(y, expected)
    assert_close(convolve(x[0], w, b, **options), expected[0])
    channels_last = np.ascontiguousarray(x.swapaxes(1, 2))
    assert_close(convolve(channels_last, w, b, layout="NWC", **options).swapaxes(1, 2), expected)
    out = np.empty_like(y)
    assert convolve(x, w, b, out=out, **options) is out
    assert np.array_equal(out, y)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_geometry(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    groups, N = draw(1, 3), draw(0, 3)
    C, K, S = groups * draw(1, 5), groups * draw(1, 6), draw(1, 9)
    stride, dilation, pads = draw(1, 7), draw(1, 4), (draw(0, 9), draw(0, 9))
    W = draw(max(1, dilation * (S - 1) + 1 - sum(pads)), 90)
    x, w, b = normal(N, C, W), normal(K, C // groups, S), normal(K)
    y = fastconv.conv1d(x, w, b, stride, (pads,), dilation, groups)
    assert_close(y, conv(x, w, b, stride, (pads,), dilation, groups))


@pytest.mark.parametrize(
    ("C", "K", "S", "stride"), [(1, 1, 3, 1), (1, 40, 400, 160), (1, 8, 1024, 512), (1, 2, 1024, 1), (12, 16, 25, 4)]
)
def test_audio(C, K, S, stride):
    x, w = normal(1, C, 16000), normal(K, C, S) / np.float32(S)
    assert_close(fastconv.Conv1d(w, stride=stride)(x), conv(x, w, stride=stride))


def test_pytorchs_order_of_arguments():
    x, w, b = normal(2, 4, 30), normal(6, 2, 3), normal(6)
    assert_close(fastconv.conv1d(x, w, b, 2, 1, 3, 2), conv(x, w, b, 2, 1, 3, 2))


def test_a_call_is_remembered_and_kept_apart_from_an_image_of_the_same_shape():
    _core.forget()
    x, w = normal(3, 8, 9), normal(4, 8, 3)
    first = fastconv.conv1d(x, w)
    assert _core.remembered() == 1
    assert np.array_equal(fastconv.conv1d(x, w), first)
    assert _core.remembered() == 1
    image = fastconv.conv2d(x, normal(4, 3, 3, 1))
    assert image.shape == (4, 6, 9)
    assert _core.remembered() == 2
    assert np.array_equal(fastconv.conv1d(x, w), first)


def test_an_operator_runs_without_python_code_and_in_place(monkeypatch):
    op = fastconv.Conv1d(normal(4, 8, 3), padding=1)
    x, out = normal(2, 8, 50), np.empty((2, 4, 50), np.float32)
    y = op(x)
    monkeypatch.setattr(fastconv.Conv1d, "_checked_call", None)
    assert op(x, out=out) is out
    assert np.array_equal(out, y)
    assert np.array_equal(op(x[1]), y[1]) if op._plans() > 1 else True


def test_strided_signals_and_outputs():
    wide, w = normal(8, 60, 4), normal(5, 4, 3)
    x = wide.transpose(0, 2, 1)[::2, :, ::-2]
    out = np.zeros((4, 5, 56), np.float32)[..., ::2]
    y = fastconv.conv1d(x, w, out=out)
    assert y is out
    assert_close(y, conv(x, w))


def test_operators_can_be_pickled_and_shown():
    op = fastconv.Conv1d(normal(4, 2, 3), stride=2, layout="NWC")
    x = normal(2, 9, 2)
    assert np.array_equal(pickle.loads(pickle.dumps(op))(x), op(x))
    assert repr(op) == "Conv1d(weight=float32[4, 2, 3], stride=(2,), layout='NWC')"
    assert repr(fastconv.Conv1d(normal(4, 2, 3), padding="same")) == "Conv1d(weight=float32[4, 2, 3], padding='same')"


def test_an_operator_explains_itself():
    explanation = fastconv.Conv1d(normal(4, 2, 3)).explain((5, 2, 9))
    assert explanation.output_shape == (5, 4, 7)
    assert explanation.layout == "NCW"
    assert explanation.problem.H == explanation.problem.R == 1


MISTAKES = [
    ({"stride": (1, 2)}, TypeError, "stride: expected an int or a (width,) tuple of ints, got (1, 2)"),
    ({"dilation": 0}, ValueError, "dilation: expected at least 1, got 0"),
    ({"padding": -1}, ValueError, "padding: expected at least 0, got -1"),
    (
        {"padding": (1, 2)},
        TypeError,
        "padding: expected an int, a (width,) tuple of ints, ((left, right),), 'valid', 'same' or 'same_lower', "
        "got (1, 2)",
    ),
    ({"layout": "NCHW"}, ValueError, "layout: expected 'NCW' or 'NWC', got 'NCHW'"),
    ({"groups": 3}, ValueError, "groups: expected a divisor of the 4 filters of weight, got 3"),
    ({"weight": np.ones((4, 2, 3, 1), np.float32)}, ValueError, "weight: expected (K, C, S), got 4 dimensions"),
    ({"weight": np.ones((4, 3, 3), np.float32)}, ValueError, "weight: expected shape[1] * groups to be the 2 channels"),
    ({"input": np.ones(9, np.float32)}, ValueError, "input: expected (N, C, W) or (C, W), got 1 dimensions: (9,)"),
    ({"input": np.ones((2, 2), np.float32)}, ValueError, "input: expected a padded image of at least the effective"),
    ({"input": np.ones((1, 2, 0), np.float32)}, ValueError, "input: expected W of at least 1, got shape (1, 2, 0)"),
    ({"out": np.ones((1, 4, 8), np.float32)}, ValueError, "out: expected shape (1, 4, 7), got (1, 4, 8)"),
]


@pytest.mark.parametrize(("change", "error", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_mistakes_are_named(change, error, message):
    arguments = {"input": np.ones((1, 2, 9), np.float32), "weight": np.ones((4, 2, 3), np.float32), **change}
    with pytest.raises(error, match="^" + re.escape(message)):
        fastconv.conv1d(**arguments)


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("W", "taps", "dilation", "pad"), [(200, 31, 1, 15), (70, 31, 2, 60), (20, 9, 1, 47), (90, 7, 9, 0)]
)
def test_depthwise_tiles_between_those_that_reach_over_an_end(W, taps, dilation, pad, rows, isa):
    """Several tiles at each end see pixels that are not there, those between see none; beside the signal is inf."""
    memory = np.full((3, rows, W), np.inf, np.float32)
    x, w = memory[1][np.newaxis, np.newaxis], normal(1, 1, rows, taps)
    x[...] = normal(*x.shape)
    pads = (rows // 2, rows // 2), (pad, pad)
    with fastconv.use_isa(isa):
        y = fastconv.conv2d(x, w, None, 1, pads, (1, dilation), algorithm="depthwise")
    assert_close(y, conv(x, w, None, 1, pads, (1, dilation)))
