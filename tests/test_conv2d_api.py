"""conv2d and Conv2d as a user meets them: every form of every argument, every message, what is copied and what is not.

Whether the algorithms compute the right thing on every shape is for the conformance tests to say.
"""

import copy
import math
import pickle
import re
import timeit

import numpy as np
import pytest

import fastconv
from fastconv import _core
from fastconv.conv import conv2d
from fastconv.prepared import Conv2d
from fastconv.prepared_call import PLANS_KEPT

rng = np.random.default_rng(0)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def truth(x, w, bias=None, stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """NumPy in float64, from windows; (N, C, H, W) only."""
    (K, Cg, R, S), N = w.shape, x.shape[0]
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *pads))
    field = dilation[0] * (R - 1) + 1, dilation[1] * (S - 1) + 1
    windows = np.lib.stride_tricks.sliding_window_view(x, field, axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    windows = windows.reshape(N, groups, Cg, *windows.shape[2:])
    filters = w.astype(np.float64).reshape(groups, K // groups, Cg, R, S)
    y = np.einsum("ngcpqrs,gkcrs->ngkpq", windows, filters).reshape(N, K, *windows.shape[3:5])
    return y if bias is None else y + bias.astype(np.float64)[:, None, None]


def assert_close(y, expected):
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    assert y.shape == expected.shape
    assert float(np.abs(y - expected).max(initial=0)) <= 64 * np.finfo(y.dtype).eps * scale


@pytest.fixture(params=["call", "operator"])
def convolve(request):
    """conv2d(x, w, ...) and Conv2d(w, ...)(x), which have to agree on everything. Twice, since both remember."""

    def call(x, w, *args, out=None, **options):
        if request.param == "operator":
            op = Conv2d(w, *args, **options)
            first = op(x, out=out)
            again = op(x, out=out)
        else:
            first = conv2d(x, w, *args, **options, out=out)
            again = conv2d(x, w, *args, **options, out=out)
        assert np.array_equal(first, again, equal_nan=True)
        return again

    return call


GEOMETRIES = [
    ({}, {}),
    ({"stride": 2}, {"stride": (2, 2)}),
    ({"stride": (1, 3), "padding": 1}, {"stride": (1, 3), "pads": ((1, 1), (1, 1))}),
    ({"padding": (2, 0)}, {"pads": ((2, 2), (0, 0))}),
    ({"padding": ((0, 3), (1, 2))}, {"pads": ((0, 3), (1, 2))}),
    ({"padding": "valid", "dilation": 2}, {"dilation": (2, 2)}),
    ({"padding": "same"}, {"pads": ((1, 1), (0, 1))}),
    ({"padding": "same", "stride": 2}, {"pads": ((1, 1), (0, 0)), "stride": (2, 2)}),
    (
        {"padding": "same", "stride": (3, 1), "dilation": (1, 2)},
        {"pads": ((0, 1), (1, 1)), "stride": (3, 1), "dilation": (1, 2)},
    ),
    ({"groups": 2, "padding": 1}, {"groups": 2, "pads": ((1, 1), (1, 1))}),
    (
        {"stride": np.int64(2), "dilation": [1, np.int32(2)], "padding": [1, 0]},
        {"stride": (2, 2), "dilation": (1, 2), "pads": ((1, 1), (0, 0))},
    ),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("options", "numbers"), GEOMETRIES, ids=[str(options) for options, _ in GEOMETRIES])
def test_every_form_of_the_geometry(convolve, options, numbers, dtype):
    x, b = normal(2, 4, 9, 8, dtype=dtype), normal(6, dtype=dtype)
    w = normal(6, 4 // options.get("groups", 1), 3, 2, dtype=dtype)
    y = convolve(x, w, b, **options)
    assert y.dtype == dtype and y.flags.c_contiguous
    assert_close(y, truth(x, w, b, **numbers))


def test_pytorchs_positional_order():
    x, w, b = normal(1, 4, 9, 9), normal(4, 2, 3, 3), normal(4)
    expected = truth(x, w, b, stride=(2, 2), pads=((1, 1), (1, 1)), dilation=(1, 2), groups=2)
    assert_close(conv2d(x, w, b, 2, 1, (1, 2), 2), expected)
    assert_close(Conv2d(w, b, 2, 1, (1, 2), 2)(x), expected)


def test_unbatched_images(convolve):
    x, w, b = normal(3, 8, 7), normal(5, 3, 3, 3), normal(5)
    y = convolve(x, w, b)
    assert y.shape == (5, 6, 5)
    assert_close(y, truth(x[None], w, b)[0])
    out = np.empty((5, 6, 5), np.float32)
    assert convolve(x, w, b, out=out) is out
    assert np.array_equal(out, y)


@pytest.mark.parametrize("shape", [(0, 3, 8, 7), (0, 8, 7, 3)])
def test_no_images_give_no_images(convolve, shape):
    layout = "NCHW" if shape[1] == 3 else "NHWC"
    y = convolve(np.empty(shape, np.float32), normal(5, 3, 3, 3), normal(5), layout=layout)
    assert y.shape == ((0, 5, 6, 5) if layout == "NCHW" else (0, 6, 5, 5))
    assert y.dtype == np.float32


# Extents that all differ, and some that are all the same: then a forgotten transposition changes no shape.
@pytest.mark.parametrize("shape", [(2, 6, 7, 4), (6, 7, 4), (5, 5, 5, 5), (5, 5, 5)])
@pytest.mark.parametrize("options", [{}, {"padding": "same", "stride": (1, 2), "activation": "relu"}], ids=str)
def test_nhwc(convolve, shape, options):
    x, w, b = normal(*shape), normal(5, shape[-1], 3, 3), normal(5)
    nchw = np.moveaxis(x, -1, -3)
    expected = np.moveaxis(conv2d(nchw, w, b, **options, algorithm="reference"), -3, -1)
    y = convolve(x, w, b, **options, layout="NHWC")
    assert y.flags.c_contiguous
    assert_close(y, expected)
    out = np.empty(y.shape, np.float32)
    assert convolve(x, w, b, **options, layout="NHWC", out=out) is out
    assert np.array_equal(out, y)


ACTIVATIONS = [
    ("relu", lambda v: np.maximum(v, 0)),
    ("relu6", lambda v: np.clip(v, 0, 6)),
    (("clip", -0.5, 0.25), lambda v: np.clip(v, -0.5, 0.25)),
    ("leaky_relu", lambda v: np.where(v > 0, v, 0.01 * v)),
    (("leaky_relu", 0.3), lambda v: np.where(v > 0, v, 0.3 * v)),
    ("hardswish", lambda v: v * np.clip(v + 3, 0, 6) / 6),
    ("sigmoid", lambda v: 1 / (1 + np.exp(-v))),
    ("silu", lambda v: v / (1 + np.exp(-v))),
    ("tanh", np.tanh),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("activation", "function"), ACTIVATIONS, ids=[str(a) for a, _ in ACTIVATIONS])
def test_activations(convolve, activation, function, dtype):
    x, w, b = normal(1, 4, 9, 9, dtype=dtype), normal(8, 4, 3, 3, dtype=dtype), normal(8, dtype=dtype)
    assert_close(convolve(x, w, b, activation=activation), function(truth(x, w, b)))


class Tensor:
    def __init__(self, array):
        self.array = array
        self.shape = array.shape

    def __array__(self, dtype=None, copy=None):
        return self.array


def unaligned(a):
    b = np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape)
    assert not b.flags.aligned
    return b


AWKWARD = {
    "Fortran order": np.asfortranarray,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "negative strides": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "every second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "unaligned": unaligned,
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "memoryview": memoryview,
    "__array__": Tensor,
    "subclass": lambda a: a.view(type("Subclass", (np.ndarray,), {})),
}


@pytest.mark.parametrize("which", [0, 1, 2], ids=["input", "weight", "bias"])
@pytest.mark.parametrize("form", AWKWARD)
def test_arrays_of_every_kind(convolve, form, which):
    arrays = [normal(2, 3, 8, 7), normal(4, 3, 3, 3), normal(4)]
    expected = convolve(*arrays)
    arrays[which] = AWKWARD[form](arrays[which])
    y = convolve(*arrays)
    assert type(y) is np.ndarray and y.dtype.isnative
    assert np.array_equal(y, expected)


def test_broadcast_arrays(convolve):
    x = np.broadcast_to(normal(1, 1, 8, 7), (2, 3, 8, 7))
    w = np.broadcast_to(normal(1, 1, 3, 3), (4, 3, 3, 3))
    assert_close(convolve(x, w), truth(x, w))


@pytest.mark.parametrize("form", ["Fortran order", "byte-swapped", "negative strides", "every second", "subclass"])
def test_out_of_every_kind(convolve, form):
    x, w = normal(2, 3, 8, 7), normal(4, 3, 3, 3)
    out = AWKWARD[form](np.full((2, 4, 6, 5), np.nan, np.float32))
    assert convolve(x, w, out=out) is out
    assert np.array_equal(out, convolve(x, w))


def test_out_is_written_and_returned(convolve):
    x, w = normal(2, 3, 8, 7), normal(4, 3, 3, 3)
    expected = convolve(x, w)
    out = np.full(expected.shape, np.nan, np.float32)
    assert convolve(x, w, out=out) is out
    assert np.array_equal(out, expected)


BAD_OUT = {
    "a list": ([], TypeError, "out: expected a NumPy array, got list"),
    "another dtype": (
        np.empty((2, 3, 8, 8)),
        TypeError,
        "out: expected float32, the dtype of the other arrays, got float64",
    ),
    "another shape": (
        np.empty((2, 3, 8, 7), np.float32),
        ValueError,
        "out: expected shape (2, 3, 8, 8), got (2, 3, 8, 7)",
    ),
    "one image": (np.empty((3, 8, 8), np.float32), ValueError, "out: expected shape (2, 3, 8, 8), got (3, 8, 8)"),
    "read-only": (
        np.broadcast_to(np.float32(0), (2, 3, 8, 8)),
        ValueError,
        "out: expected a writable array, got one that is read-only",
    ),
}


@pytest.mark.parametrize("case", BAD_OUT)
def test_bad_out(convolve, case):
    out, error, message = BAD_OUT[case]
    x, w = normal(2, 3, 8, 8), normal(3, 3, 3, 3)
    convolve(x, w, padding=1)  # known by now: the short way has to refuse too
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        convolve(x, w, padding=1, out=out)


def test_out_may_not_overlap_the_input(convolve):
    x, w = normal(2, 3, 8, 8), normal(3, 3, 3, 3)
    convolve(x, w, padding=1, out=np.empty_like(x))
    whole = np.zeros((3, 3, 8, 8), np.float32)
    for image, out in ((x, x), (whole[:2], whole[1:]), (whole[1:], whole[:2])):
        with pytest.raises(
            ValueError, match=r"^out: expected memory of its own, got an array that overlaps (input|x)$"
        ):
            convolve(image, w, padding=1, out=out)
    neighbours = np.zeros((4, 3, 8, 8), np.float32)
    convolve(neighbours[:2], w, padding=1, out=neighbours[2:])  # adjacent is not overlapping


@pytest.mark.parametrize("which", ["weight", "bias"])
def test_out_may_not_overlap_weight_or_bias(which):
    memory = np.zeros(4 * 4 * 1 * 1 + 1, np.float32)
    x = normal(1, 4, 2, 2)
    w = memory[:16].reshape(4, 4, 1, 1) if which == "weight" else normal(4, 4, 1, 1)
    b = memory[12:16] if which == "bias" else normal(4)
    out = memory[1:].reshape(1, 4, 2, 2)
    for _ in range(2):
        conv2d(x, w.copy(), b.copy(), out=np.empty_like(out))
        with pytest.raises(ValueError, match=f"^out: expected memory of its own, got an array that overlaps {which}$"):
            conv2d(x, w, b, out=out)


x8, w3 = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
BAD_CALLS = {
    "input is a list": ({"input": [[1.0]]}, TypeError, "input: expected a NumPy array, got list"),
    "weight is a list": ({"weight": [1.0]}, TypeError, "weight: expected a NumPy array, got list"),
    "bias is a list": ({"bias": [0.0] * 4}, TypeError, "bias: expected a NumPy array, got list"),
    "integers": (
        {"input": np.zeros((2, 3, 8, 8), int)},
        TypeError,
        "input: expected dtype float32 or float64, got int64; nothing is converted",
    ),
    "whole numbers": (
        {"weight": w3.astype(np.int16)},
        TypeError,
        "weight: expected dtype float32 or float64, got int16; nothing is converted",
    ),
    "mixed dtypes": (
        {"weight": w3.astype(np.float64)},
        TypeError,
        "weight: expected float32, the dtype of input, got float64; nothing is converted",
    ),
    "bias of another dtype": (
        {"bias": np.zeros(4)},
        TypeError,
        "bias: expected float32, the dtype of weight, got float64; nothing is converted",
    ),
    "bias of another length": (
        {"bias": np.zeros(3, np.float32)},
        ValueError,
        "bias: expected shape (4,), one value per filter, got (3,)",
    ),
    "bias of another rank": (
        {"bias": np.zeros((4, 1, 1), np.float32)},
        ValueError,
        "bias: expected shape (4,), one value per filter, got (4, 1, 1)",
    ),
    "an image without channels": (
        {"input": x8[0, 0]},
        ValueError,
        "input: expected (N, C, H, W) or (C, H, W), got 2 dimensions: (8, 8)",
    ),
    "a video": (
        {"input": x8[None]},
        ValueError,
        "input: expected (N, C, H, W) or (C, H, W), got 5 dimensions: (1, 2, 3, 8, 8)",
    ),
    "one filter": ({"weight": w3[0]}, ValueError, "weight: expected (K, C, R, S), got 3 dimensions: (3, 3, 3)"),
    "other channels": (
        {"weight": w3[:, :2]},
        ValueError,
        "weight: expected shape[1] * groups to be the 3 channels of input, got 2 * 1; "
        "weight has shape (4, 2, 3, 3), input (2, 3, 8, 8)",
    ),
    "no channels": (
        {"input": x8[:, :0], "weight": w3[:, :0]},
        ValueError,
        "weight: expected C // groups of at least 1, got shape (4, 0, 3, 3)",
    ),
    "a kernel that is too large": (
        {"dilation": 4},
        ValueError,
        "input: expected a padded image of at least the effective kernel, 9 x 9 (dilation * (size - 1) + 1), got 8 x 8 "
        "(8 x 8 with padding 0 + 0 and 0 + 0)",
    ),
    "stride": ({"stride": 0}, ValueError, "stride: expected at least 1, got 0"),
    "stride of bool": (
        {"stride": True},
        TypeError,
        "stride: expected an int or a (height, width) pair of ints, got True",
    ),
    "padding": ({"padding": (0, -1)}, ValueError, "padding[1]: expected at least 0, got -1"),
    "dilation": ({"dilation": (1, 0)}, ValueError, "dilation[1]: expected at least 1, got 0"),
    "groups": ({"groups": 1.0}, TypeError, "groups: expected an int, got 1.0"),
    "layout": ({"layout": "NWHC"}, ValueError, "layout: expected 'NCHW' or 'NHWC', got 'NWHC'"),
    "algorithm": (
        {"algorithm": "fastest"},
        ValueError,
        f"algorithm: expected one of auto, {', '.join(_core.algorithms())}, got 'fastest'",
    ),
    "algorithm is no string": (
        {"algorithm": 1},
        TypeError,
        f"algorithm: expected one of auto, {', '.join(_core.algorithms())}, got 1",
    ),
    "workspace_limit": ({"workspace_limit": -1}, ValueError, "workspace_limit: expected at least 0, got -1"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(case):
    change, error, message = BAD_CALLS[case]
    conv2d(x8, w3)  # known by now: the short way has to refuse too
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        conv2d(**({"input": x8, "weight": w3} | change))


NEEDS_INPUT = {
    "input is a list", "integers", "an image without channels", "a video", "other channels",
    "a kernel that is too large", "mixed dtypes",
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(BAD_CALLS.keys() - NEEDS_INPUT))
def test_an_operator_is_checked_when_it_is_made(case):
    change, error, message = BAD_CALLS[case]
    change = {name: value for name, value in change.items() if name != "input"}
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Conv2d(**({"weight": w3} | change))


@pytest.mark.parametrize("case", sorted(NEEDS_INPUT - {"mixed dtypes", "other channels"}))
def test_an_operator_checks_its_input(case):
    change, error, message = BAD_CALLS[case]
    message = re.sub("^input", "x", message).replace("of input", "of x")
    op = Conv2d(w3, dilation=change.get("dilation", 1))
    if "dilation" not in change:
        op(x8)
    with pytest.raises(error, match=f"^{re.escape(message)}$") as caught:
        op(change.get("input", x8))
    assert caught.value.__context__ is None  # what the short way met is not shown


def test_an_operator_checks_the_dtype_of_its_input():
    message = "x: expected float32, the dtype of weight, got float64; nothing is converted"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Conv2d(w3)(x8.astype(np.float64))


def test_algorithms_that_refuse(convolve):
    with pytest.raises(ValueError, match=r"^algorithm: 'winograd' cannot run this problem: needs "):
        convolve(x8, w3, stride=3, algorithm="winograd")


@pytest.mark.parametrize("algorithm", ["auto", *fastconv.algorithms()])
def test_algorithms_by_name(convolve, algorithm):
    x, w = (
        (normal(1, 4, 6, 6), normal(4, 4, 1, 1))
        if algorithm == "pointwise"
        else (normal(1, 4, 6, 6), normal(4, 4, 3, 3))
    )
    x = np.ascontiguousarray(x[:, :, :3, :3]) if algorithm == "matvec" else x
    options = {"groups": 4} if algorithm == "depthwise" else {}
    w = w[:, :1] if algorithm == "depthwise" else w
    assert_close(convolve(x, w, **options, algorithm=algorithm), truth(x, w, **options))


def test_a_named_algorithm_over_the_limit():
    needed = fastconv.explain(x8.shape, w3.shape)
    report = next(r for r in needed.reports if r.algorithm == "im2col")
    both = report.workspace_bytes + report.packed_bytes
    assert_close(conv2d(x8, w3, algorithm="im2col", workspace_limit=both), truth(x8, w3))
    message = (
        f"algorithm: 'im2col' cannot run this problem: needs {both} bytes of workspace and packed weights, "
        f"workspace_limit is {both - 1}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        conv2d(x8, w3, algorithm="im2col", workspace_limit=both - 1)
    # An operator's packed weights are its own.
    assert_close(Conv2d(w3, algorithm="im2col", workspace_limit=report.workspace_bytes)(x8), truth(x8, w3))
    message = message.replace(
        f"{both} bytes of workspace and packed weights", f"{report.workspace_bytes} bytes of workspace"
    )
    message = message.replace(str(both - 1), str(report.workspace_bytes - 1))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Conv2d(w3, algorithm="im2col", workspace_limit=report.workspace_bytes - 1)(x8)


def test_a_call_remembered_without_a_limit_is_not_used_with_one():
    conv2d(x8, w3)
    with pytest.raises(ValueError, match=r"^workspace_limit: expected at least [1-9][0-9]* bytes, which '"):
        conv2d(x8, w3, workspace_limit=0)


def test_calls_are_remembered_by_all_their_arguments():
    """Calls that differ in one thing only, interleaved: none gets another's answer."""
    x, w, b = normal(2, 4, 9, 9), normal(4, 4, 3, 3), normal(4)
    calls = [
        {}, {"bias": b}, {"stride": 2}, {"stride": (2, 1)}, {"padding": 1}, {"padding": ((1, 0), (0, 2))},
        {"padding": "same"}, {"dilation": 2}, {"activation": "relu"}, {"activation": ("clip", 0, 1)},
        {"activation": ("clip", 0, 2)}, {"layout": "NHWC", "input": np.ascontiguousarray(np.moveaxis(x, 1, -1))},
        {"algorithm": "reference"}, {"input": x[:1]}, {"input": x[0]}, {"weight": w[:2]}, {"weight": w[:, :, :1]},
        {"input": x.astype(np.float64), "weight": w.astype(np.float64)}, {"groups": 2, "weight": w[:, :2].copy()},
    ]  # fmt: skip
    calls = [{"input": x, "weight": w} | call for call in calls]
    _core.forget()
    first = [conv2d(**call) for call in calls]
    for _ in range(2):
        for call, expected in zip(calls, first, strict=True):
            assert np.array_equal(conv2d(**call), expected)
    x *= 2  # the arrays' contents are not part of it
    assert_close(conv2d(x, w), truth(x, w))
    w *= 2
    assert_close(conv2d(x, w), truth(x, w))


def test_the_core_remembers_ordinary_calls():
    x, w, b = normal(1, 3, 8, 8), normal(4, 3, 3, 3), normal(4)
    _core.forget()
    conv2d(x, w, b, (2, 1), "same", activation="relu")
    assert _core.remembered() == 1
    conv2d(x, w, b, (2, 1), "same", activation="relu")
    assert _core.remembered() == 1
    options = (2, 1), "same", 1, 1, "auto", "NCHW", "relu", None, "balanced", None, False, "zeros"
    args = "conv2d", x, w, b, None, None, False, *options
    assert _core.remembered_call(*args) is not NotImplemented
    conv2d(np.asfortranarray(x), w, b, (2, 1), "same", activation="relu")
    assert np.array_equal(_core.remembered_call(*args), conv2d(x, w, b, (2, 1), "same", activation="relu"))


def test_an_operator_owns_its_weights():
    w, b = normal(4, 3, 3, 3), normal(4)
    op = Conv2d(w, b)
    expected = truth(x8, w, b)
    w[:] = 0
    b[:] = 0
    assert_close(op(x8), expected)
    assert_close(op(x8[:1]), expected[:1])  # a plan made after the change


def test_an_operator_runs_many_shapes():
    op = Conv2d(w3, padding=1)
    shapes = [(1, 3, h, w) for h in range(4, 9) for w in range(4, 10)]
    assert len(shapes) > PLANS_KEPT
    for _ in range(2):
        for shape in shapes:
            x = normal(*shape)
            assert_close(op(x), truth(x, w3, pads=((1, 1), (1, 1))))
    assert op._plans() == len(shapes)


def test_operators_are_freed_at_once():
    import gc
    import weakref

    gc.disable()
    try:
        op = Conv2d(w3)
        op(x8)
        gone = weakref.ref(op)
        del op
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 1), "padding": "same", "activation": ("clip", 0, 1)},
        {"padding": ((1, 0), (2, 1)), "algorithm": "im2col", "workspace_limit": 10**9},
        {"layout": "NHWC", "dilation": 2},
    ],
    ids=str,
)
def test_operators_are_pickled_and_copied(options):
    x = x8 if options.get("layout") != "NHWC" else np.moveaxis(x8, 1, -1)
    op = Conv2d(w3, normal(4), **options)
    before = op(x)
    for clone in (pickle.loads(pickle.dumps(op)), copy.deepcopy(op), copy.copy(op)):
        assert repr(clone) == repr(op)
        assert np.array_equal(clone(x), before)


def test_repr():
    assert repr(Conv2d(w3)) == "Conv2d(weight=float32[4, 3, 3, 3])"
    op = Conv2d(w3, normal(4), stride=2, padding="same", activation="relu", layout="NHWC")
    assert repr(op) == (
        "Conv2d(weight=float32[4, 3, 3, 3], bias=float32[4], stride=(2, 2), padding='same', activation='relu', "
        "layout='NHWC')"
    )


def test_an_operator_explains_itself():
    explanation = Conv2d(w3, algorithm="im2col", padding=1, layout="NHWC").explain((2, 8, 8, 3))
    assert (explanation.chosen, explanation.why) == ("im2col", "asked for by name")
    assert explanation.prepared
    assert explanation.output_shape == (2, 8, 8, 4)
    with pytest.raises(ValueError, match=r"^input_shape: expected a padded image"):
        Conv2d(w3).explain((3, 2, 2))


def test_results_do_not_share_memory():
    op = Conv2d(w3)
    assert not np.shares_memory(op(x8), op(x8))
    assert not np.shares_memory(conv2d(x8, w3), conv2d(x8, w3))


def test_nan_and_infinity_pass(convolve):
    x = normal(1, 3, 8, 8)
    x[0, 1, 4, 4] = np.nan
    y = convolve(x, w3, activation="relu", algorithm="direct")
    assert np.isnan(y).all(axis=1).sum() == 9


def test_a_tiny_call_costs_little_more_than_the_kernel():
    """The Python side of conv2d costs at most 5 us (measured: about 1), that of an operator less."""
    x, w = normal(1, 1, 4, 4), normal(1, 1, 3, 3)
    problem = fastconv.explain(x.shape, w.shape).problem
    chosen = fastconv.explain(x.shape, w.shape).chosen
    y = np.empty((1, 1, 2, 2), np.float32)
    plan = _core.Plan(problem, chosen, w)
    op = Conv2d(w)

    def best(f):
        f()
        return min(timeit.repeat(f, number=1000, repeat=20)) / 1000

    bare = best(lambda: plan(x, y))
    once = best(lambda: _core.run_once(problem, chosen, None, x, w, None, None))
    with_call, with_op = math.inf, math.inf
    for _ in range(5):  # a busy machine may spoil a run, not all of them
        with_call, with_op = min(with_call, best(lambda: conv2d(x, w))), min(with_op, best(lambda: op(x, out=y)))
        if with_call - once < 5e-6 and with_op - bare < 2e-6:
            break
    assert with_call - once < 5e-6
    assert with_op - bare < 2e-6


def test_all_calls_of_an_operator_end_at_the_same_result():
    """Those that a kept plan takes at once and those that go through the checks: the same values, errors in words."""
    op = Conv2d(w3, padding=1)
    expected = truth(x8, w3, pads=((1, 1), (1, 1)))
    y, y1 = np.empty(expected.shape, np.float32), np.empty(expected.shape[1:], np.float32)
    for _ in range(2):
        for result in (op(x8), op(x=x8), op(x8, out=y), op(x8, y), op(x=x8, out=y), op(out=y, x=x8), op(x8, None)):
            assert_close(result, expected)
        assert op(x8, out=y) is y
        assert_close(op(x8[0]), expected[0])
        assert op(x8[0], out=y1) is y1
        assert_close(op(np.asfortranarray(x8)), expected)
        assert_close(op(x8, out=y[:, :, ::-1]), expected)
        for wrong in (y[:1], y1):
            with pytest.raises(ValueError, match=r"^out: expected shape"):
                op(x8, out=wrong)
    frozen = y.copy()
    frozen.flags.writeable = False
    for out, error, message in (
        (frozen, ValueError, "^out: expected a writable array"),
        (y.astype(np.float64), TypeError, "^out: expected float32"),
        ([], TypeError, "^out: expected a NumPy array"),
    ):
        with pytest.raises(error, match=message):
            op(x8, out=out)
    for args, kwargs in (((), {}), ((), {"out": y}), ((x8, y, y), {}), ((x8,), {"x": x8}), ((x8,), {"y": y})):
        with pytest.raises(TypeError, match="argument"):
            op(*args, **kwargs)
