"""Every number a user writes, checked alone: what it becomes, and the message if it is wrong."""

import math
import re

import numpy as np
import pytest

import fastconv
from fastconv import arguments as args
from fastconv import arrays, geometry


@pytest.mark.parametrize(
    ("value", "pair"),
    [(2, (2, 2)), (np.int64(3), (3, 3)), ((1, 2), (1, 2)), ([4, np.int8(5)], (4, 5)), ((2,), (2, 2))],
)
def test_as_steps_takes_ints_and_pairs(value, pair):
    result = geometry.as_steps(value, "stride", 1)
    assert result == pair
    assert all(type(n) is int for n in result)


@pytest.mark.parametrize("value", [True, (True, 1), 1.0, (1.0, 2), "3", None, (), (1, 2, 3), np.bool_(True), {1, 2}])
def test_as_steps_refuses_other_types(value):
    message = f"stride: expected an int or a (height, width) pair of ints, got {value!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        geometry.as_steps(value, "stride", 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "stride: expected at least 1, got 0"),
        ((1, -1), "stride[1]: expected at least 1, got -1"),
        (2**31, "stride: expected at most 2147483647, got 2147483648"),
        ((2**70, 1), f"stride[0]: expected at most 2147483647, got {2**70}"),
    ],
)
def test_as_steps_refuses_other_values(value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        geometry.as_steps(value, "stride", 1)


@pytest.mark.parametrize(
    ("padding", "pads"),
    [
        (0, ((0, 0), (0, 0))),
        (np.int32(2), ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ((3,), ((3, 3), (3, 3))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[1, 0], [0, 4]], ((1, 0), (0, 4))),
        ("valid", ((0, 0), (0, 0))),
        ("same", "same"),
        ("same_lower", "same_lower"),
    ],
)
def test_as_padding_takes_every_form(padding, pads):
    assert geometry.as_padding(padding) == pads


@pytest.mark.parametrize(
    "padding", [1.5, None, True, (), (1, 2, 3), ((1, 2), 3), ((1, 2), (3,)), ((1, 2.0), (3, 4)), b"same"]
)
def test_as_padding_refuses_other_types(padding):
    message = (
        "padding: expected an int, a (height, width) pair of ints, ((top, bottom), (left, right)), "
        f"'valid', 'same' or 'same_lower', got {padding!r}"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        geometry.as_padding(padding)


@pytest.mark.parametrize(
    ("padding", "message"),
    [
        (-1, "padding: expected at least 0, got -1"),
        ((0, -2), "padding[1]: expected at least 0, got -2"),
        (((0, 0), (-3, 0)), "padding[1][0]: expected at least 0, got -3"),
        ("SAME", "padding: expected 'valid', 'same' or 'same_lower' if it is a string, got 'SAME'"),
    ],
)
def test_as_padding_refuses_other_values(padding, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        geometry.as_padding(padding)


@pytest.mark.parametrize("extent", [1, 2, 5, 7, 8, 13])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_padding_gives_a_ceiling_of_extent_over_stride(extent, kernel, stride, dilation):
    p = args.as_layer((1, 1, extent, extent), (1, 1, kernel, 1), stride, "same", dilation).problem
    assert p.P == p.Q == math.ceil(extent / stride)
    assert p.pad_bottom - p.pad_top in (0, 1)
    # None of it is superfluous: one pixel less would lose an output.
    if p.pad_bottom:
        assert (extent + p.pad_top + p.pad_bottom - 1 - dilation * (kernel - 1) - 1) // stride + 1 < p.P


@pytest.mark.parametrize(
    ("activation", "spec"),
    [
        (None, None),
        ("relu", ("clip", 0.0, math.inf)),
        ("relu6", ("clip", 0.0, 6.0)),
        (("clip", -1, 2.5), ("clip", -1.0, 2.5)),
        (("clip", -math.inf, np.float32(1)), ("clip", -math.inf, 1.0)),
        ("leaky_relu", ("leaky_relu", 0.01, 0.0)),
        (("leaky_relu", 0.2), ("leaky_relu", 0.2, 0.0)),
        ("hardswish", ("hardswish", 0.0, 0.0)),
        ("sigmoid", ("sigmoid", 0.0, 0.0)),
        ("silu", ("silu", 0.0, 0.0)),
        ("tanh", ("tanh", 0.0, 0.0)),
    ],
)
def test_as_activation(activation, spec):
    assert args.as_activation(activation) == spec


@pytest.mark.parametrize(
    ("activation", "error"),
    [
        ("swish", ValueError),
        ("clip", ValueError),
        (("clip", 1), ValueError),
        (("clip", 2, 1), ValueError),
        (("clip", math.nan, 1), ValueError),
        (("clip", "0", 1), ValueError),
        (("leaky_relu", True), ValueError),
        (("leaky_relu", math.inf), ValueError),
        (("relu", 1), ValueError),
        ((), TypeError),
        (1, TypeError),
        (abs, TypeError),
    ],
)
def test_as_activation_refuses(activation, error):
    with pytest.raises(error, match="^activation: expected .*, got " + re.escape(repr(activation))):
        args.as_activation(activation)


@pytest.mark.parametrize(
    ("layout", "error"), [("nchw", ValueError), ("CHWN", ValueError), (None, TypeError), (3, TypeError)]
)
def test_as_layout_refuses(layout, error):
    with pytest.raises(error, match=f"^layout: expected 'NCHW' or 'NHWC', got {layout!r}$"):
        args.as_layout(layout)


@pytest.mark.parametrize(
    ("limit", "error", "message"),
    [
        (-1, ValueError, "workspace_limit: expected at least 0, got -1"),
        (1e6, TypeError, "workspace_limit: expected an int, got 1000000.0"),
        (True, TypeError, "workspace_limit: expected an int, got True"),
    ],
)
def test_as_workspace_limit_refuses(limit, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        args.as_workspace_limit(limit)


def test_as_workspace_limit_takes_zero_and_none():
    assert args.as_workspace_limit(None) is None
    assert args.as_workspace_limit(0) == 0
    assert args.as_workspace_limit(np.int64(2**40)) == 2**40


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype(">f4"), "f4"])
def test_as_dtype_takes_what_numpy_takes(dtype):
    assert args.as_dtype(dtype) == "float32"


@pytest.mark.parametrize("dtype", ["float16", int, None, "no such", np.complex64])
def test_as_dtype_refuses(dtype):
    with pytest.raises(TypeError, match=r"^dtype: expected float32 or float64, got "):
        args.as_dtype(dtype)


def test_layer_letters():
    layer = args.as_layer((2, 6, 9, 7), (4, 3, 3, 2), (2, 1), ((1, 0), (0, 2)), (1, 3), 2, dtype="float64")
    p = layer.problem
    assert (p.N, p.C, p.H, p.W, p.K, p.R, p.S) == (2, 6, 9, 7, 4, 3, 2)
    assert (p.stride_h, p.stride_w, p.dilation_h, p.dilation_w, p.groups) == (2, 1, 1, 3, 2)
    assert (p.pad_top, p.pad_bottom, p.pad_left, p.pad_right) == (1, 0, 0, 2)
    assert p.dtype == "float64"
    assert layer.output_shape == (2, 4, 4, 6)


@pytest.mark.parametrize(
    ("layout", "input_shape", "output_shape"),
    [
        ("NCHW", (5, 3, 8, 6), (5, 4, 6, 4)),
        ("NCHW", (3, 8, 6), (4, 6, 4)),
        ("NHWC", (5, 8, 6, 3), (5, 6, 4, 4)),
        ("NHWC", (8, 6, 3), (6, 4, 4)),
        ("NCW", (5, 3, 8), (5, 4, 6)),
        ("NWC", (8, 3), (6, 4)),
    ],
)
def test_layer_there_and_back(layout, input_shape, output_shape):
    space = geometry.LINE if layout in geometry.LINE.layouts else geometry.PLANE
    layer = args.as_layer(input_shape, (4, 3, 3, 3)[: 2 + space.rank], layout=layout, space=space)
    assert layer.output_shape == output_shape
    x = np.arange(math.prod(input_shape), dtype=np.float32).reshape(input_shape)
    w = np.ones((4, 3, 3, 3)[: 2 + space.rank], np.float32)
    out = np.empty(output_shape, np.float32)
    function = fastconv.conv1d if space is geometry.LINE else fastconv.conv2d
    assert function(x, w, layout=layout, out=out) is out and function(x, w, layout=layout).shape == output_shape


BAD_LAYERS = {
    "input of two dimensions": (
        {"input_shape": (3, 8)},
        ValueError,
        "input_shape: expected (N, C, H, W) or (C, H, W), got 2 dimensions: (3, 8)",
    ),
    "NHWC input": (
        {"input_shape": (3,), "layout": "NHWC"},
        ValueError,
        "input_shape: expected (N, H, W, C) or (H, W, C), got 1 dimensions: (3,)",
    ),
    "floats in a shape": (
        {"input_shape": (1, 3, 8.0, 8)},
        TypeError,
        "input_shape: expected a tuple of ints (N, C, H, W) or (C, H, W), got (1, 3, 8.0, 8)",
    ),
    "negative extent": ({"input_shape": (-1, 3, 8, 8)}, ValueError, "input_shape[0]: expected at least 0, got -1"),
    "weight of three dimensions": (
        {"weight_shape": (3, 3, 3)},
        ValueError,
        "weight_shape: expected (K, C, R, S), got 3 dimensions: (3, 3, 3)",
    ),
    "no channels": (
        {"input_shape": (1, 0, 8, 8), "weight_shape": (4, 0, 3, 3)},
        ValueError,
        "weight_shape: expected C // groups of at least 1, got shape (4, 0, 3, 3)",
    ),
    "no filters": (
        {"weight_shape": (0, 3, 3, 3)},
        ValueError,
        "weight_shape: expected K of at least 1, got shape (0, 3, 3, 3)",
    ),
    "no taps": (
        {"weight_shape": (4, 3, 0, 0)},
        ValueError,
        "weight_shape: expected R and S of at least 1, got shape (4, 3, 0, 0)",
    ),
    "no pixels": (
        {"input_shape": (1, 3, 0, 8), "padding": 2},
        ValueError,
        "input_shape: expected H of at least 1, got shape (1, 3, 0, 8)",
    ),
    "channels disagree": (
        {"weight_shape": (4, 2, 3, 3)},
        ValueError,
        "weight_shape: expected shape[1] * groups to be the 3 channels of input_shape, got 2 * 1; "
        "weight_shape has shape (4, 2, 3, 3), input_shape (1, 3, 8, 8)",
    ),
    "channels and groups disagree": (
        {"groups": 3},
        ValueError,
        "groups: expected a divisor of the 4 filters of weight_shape, got 3; weight_shape has shape (4, 3, 3, 3)",
    ),
    "groups is zero": ({"groups": 0}, ValueError, "groups: expected at least 1, got 0"),
    "groups is a pair": ({"groups": (1, 1)}, TypeError, "groups: expected an int, got (1, 1)"),
    "dilation is zero": ({"dilation": 0}, ValueError, "dilation: expected at least 1, got 0"),
    "kernel beyond the image": (
        {"input_shape": (1, 3, 4, 8), "dilation": (3, 1), "padding": ((1, 1), (0, 0))},
        ValueError,
        "input_shape: expected a padded image of at least the effective kernel, 7 x 3 (dilation * (size - 1) + 1), "
        "got 6 x 8 (4 x 8 with padding 1 + 1 and 0 + 0)",
    ),
}


@pytest.mark.parametrize("case", BAD_LAYERS)
def test_bad_layers_say_what_is_wrong(case):
    change, error, message = BAD_LAYERS[case]
    arguments = {"input_shape": (1, 3, 8, 8), "weight_shape": (4, 3, 3, 3)} | change
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        args.as_layer(**arguments)


@pytest.mark.parametrize(
    "change",
    [
        {"input_shape": (2**40, 3, 2**20, 2**20)},
        {"input_shape": (2**62, 3, 8, 8)},
        {"input_shape": (2**200, 3, 8, 8)},
        {"input_shape": (1, 2**30, 2**20, 2**20), "weight_shape": (4, 2**30, 3, 3)},
        {"weight_shape": (2**39, 3, 2**12, 2**12), "padding": 2**13},
        {"padding": 2**31 - 1, "input_shape": (2**10, 3, 8, 8)},
        {"dilation": 2**31 - 1, "weight_shape": (4, 3, 2**40, 2**40)},
    ],
    ids=str,
)
def test_sizes_that_overflow(change):
    arguments = {"input_shape": (1, 3, 8, 8), "weight_shape": (4, 3, 3, 3)} | change
    with pytest.raises(ValueError, match="expected"):
        args.as_layer(**arguments)


class Interface:
    """What another library's array looks like: only __array_interface__."""

    def __init__(self, array):
        self.array = array
        self.__array_interface__ = array.__array_interface__


class Protocol:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize("wrap", [Interface, Protocol, memoryview, lambda a: a.view(Subclass), lambda a: a])
def test_as_array_takes_what_numpy_can_view(wrap):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    result = arrays.as_array(wrap(array), "input")
    assert type(result) is np.ndarray
    assert np.shares_memory(result, array)
    assert np.array_equal(result, array)


@pytest.mark.parametrize("value", [[1.0, 2.0], (1.0,), 3.0, None, "text", {1: 2}, object()])
def test_as_array_refuses_what_is_no_array(value):
    with pytest.raises(TypeError, match=f"^bias: expected a NumPy array, got {type(value).__name__}$"):
        arrays.as_array(value, "bias")


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float16", "bool", "complex64", "object", "longdouble"])
def test_as_array_refuses_other_dtypes(dtype):
    name = np.dtype(dtype).name
    with pytest.raises(
        TypeError, match=f"^input: expected dtype float32 or float64, got {name}; nothing is converted$"
    ):
        arrays.as_array(np.zeros(3, dtype), "input")


def test_as_array_refuses_masks():
    with pytest.raises(TypeError, match=r"^input: expected an array without a mask"):
        arrays.as_array(np.ma.masked_less(np.zeros(3, np.float32), 1), "input")


def test_ready_copies_only_what_it_must():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert np.shares_memory(arrays.ready(x), x)
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
    assert not unaligned.flags.aligned
    for awkward in (x.transpose(2, 1, 0), x[:, ::-1], np.asfortranarray(x), x.astype(">f4"), unaligned):
        result = arrays.ready(awkward)
        assert result.flags.c_contiguous and result.flags.aligned and result.dtype.isnative
        assert np.array_equal(result, awkward)
