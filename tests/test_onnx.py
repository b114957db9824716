"""fastconv.onnx: ONNX's own node tests, and what they do not cover."""

import re
import warnings

import numpy as np
import pytest
from truth import conv

from fastconv import onnx as ours

rng = np.random.default_rng(0)
OPERATORS = ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv")


def integers(shape, dtype):
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def test_onnxs_own_node_tests():
    pytest.importorskip("onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tests of other operators, which the loader makes
        from onnx.backend.test.loader import load_model_tests

        cases = load_model_tests(kind="node")
    from onnx.reference import ReferenceEvaluator

    cases = [case for case in cases if case.model and {node.op_type for node in case.model.graph.node} & set(OPERATORS)]
    seen = {node.op_type for case in cases for node in case.model.graph.node}
    assert set(OPERATORS) <= seen and len(cases) >= 20
    for case in cases:
        session = ReferenceEvaluator(case.model, new_ops=ours.operators())
        names = [value.name for value in case.model.graph.input]
        for inputs, outputs in case.data_sets:
            results = session.run(None, dict(zip(names, inputs, strict=True)))
            for result, expected in zip(results, outputs, strict=True):
                assert result.dtype == expected.dtype and result.shape == expected.shape, case.name
                assert np.allclose(result, expected, rtol=case.rtol, atol=max(case.atol, 1e-6)), case.name


@pytest.mark.parametrize("x_type", ["int8", "uint8"])
@pytest.mark.parametrize("w_type", ["int8", "uint8"])
@pytest.mark.parametrize("channels", [3, 300])
def test_whole_numbers_are_exact(x_type, w_type, channels):
    x, w = integers((2, channels, 7, 6), x_type), integers((5, channels, 3, 3), w_type)
    x_zero, w_zero = np.array(3, x_type), integers(5, w_type)
    y = ours.conv_integer(x, w, x_zero, w_zero, pads=[1, 0, 2, 1], strides=[2, 1])
    assert y.dtype == np.int32
    expected = conv(x.astype("f8") - 3, w.astype("f8") - w_zero.reshape(-1, 1, 1, 1), None, (2, 1), ((1, 2), (0, 1)))
    assert np.array_equal(y, expected)


@pytest.mark.parametrize("y_type", ["int8", "uint8"])
def test_quantised(y_type):
    x, w, b = integers((1, 4, 9), "uint8"), integers((6, 4, 3), "int8"), rng.integers(-9999, 9999, 6).astype("i4")
    scales = np.float32(0.02), rng.uniform(0.005, 0.02, 6).astype("f4"), np.float32(0.5)
    zeros = np.uint8(7), np.zeros(6, "i1"), np.array(5, y_type)
    y = ours.qlinear_conv(x, scales[0], zeros[0], w, scales[1], zeros[1], scales[2], zeros[2], b, auto_pad="SAME_LOWER")
    sums = conv(x.astype("f8") - 7, w.astype("f8"), b, pads=1)
    exact = sums * (scales[0].astype("f8") * scales[1].astype("f8") / scales[2].astype("f8"))[:, None] + 5
    limits = np.iinfo(y_type)
    assert y.dtype == y_type
    assert np.abs(y - exact.clip(limits.min, limits.max)).max() <= 0.5 + 1e-3
    assert len(np.unique(y)) > 10


@pytest.mark.parametrize(("auto_pad", "pads"), [("SAME_UPPER", (0, 1)), ("SAME_LOWER", (1, 0)), ("VALID", (0, 0))])
def test_auto_pad(auto_pad, pads):
    x, w = rng.standard_normal((1, 2, 8)), rng.standard_normal((3, 2, 2))
    assert np.allclose(ours.conv(x, w, auto_pad=auto_pad), conv(x, w, pads=(pads,)))


X8, W8 = np.ones((1, 2, 5), np.uint8), np.ones((2, 2, 3), np.int8)
QUANTISED = {
    "x": X8,
    "x_scale": np.float32(0.5),
    "x_zero_point": np.uint8(3),
    "w": W8,
    "w_scale": np.float32([0.5, 0.25]),
    "w_zero_point": np.int8(0),
    "y_scale": np.float32(0.5),
    "y_zero_point": np.uint8(1),
    "B": np.int32([1, 2]),
}
WRONG = [
    ("B", np.array([0.9, 2]), TypeError, "B: expected int32, got float64"),
    ("B", np.array([True, False]), TypeError, "B: expected int32, got bool"),
    ("B", np.array([2**32 + 5, 0]), ValueError, "B: expected numbers that int32 holds, got 0 to 4294967301"),
    ("B", np.array([2**64 - 1, 0], np.uint64), ValueError, "B: expected numbers that int32 holds"),
    ("B", np.int32([1]), ValueError, "bias: expected shape (2,)"),
    ("x_scale", np.float32([0.5, 0.25]), ValueError, "x_scale: expected a number, got shape (2,)"),
    ("x_scale", np.int32(1), TypeError, "x_scale: expected floating-point numbers, got int32"),
    ("x_scale", np.float32(np.nan), ValueError, "x_scale: expected positive numbers within float32"),
    ("x_scale", np.complex64(1), TypeError, "x_scale: expected floating-point numbers, got complex64"),
    ("x_scale", np.float32(-1), ValueError, "x_scale: expected positive numbers"),
    ("w_scale", np.float32([1, 1, 1]), ValueError, "w_scale: expected a number or shape (2,), one per filter"),
    ("w_scale", np.float64(1e300), ValueError, "w_scale: expected positive numbers within float32"),
    ("y_scale", np.float32([0.5, 0.25]), ValueError, "y_scale: expected a number, got shape (2,)"),
    ("y_scale", np.float32(0), ValueError, "y_scale: expected positive numbers"),
    ("y_scale", np.float32(1e-45), ValueError, "y_scale: expected x_scale * w_scale / y_scale within float32"),
    ("x_zero_point", np.float32(0.5), TypeError, "x_zero_point: expected integers, got float32"),
    ("x_zero_point", np.uint8([1, 2]), ValueError, "x_zero_point: expected a number, got shape (2,)"),
    ("x_zero_point", np.int64(300), ValueError, "x_zero_point: expected 0 to 255, as uint8 has them"),
    ("w_zero_point", np.int64([2**32, 0]), ValueError, "w_zero_point: expected -128 to 127, as int8 has them"),
    ("w_zero_point", np.bool_(True), TypeError, "w_zero_point: expected integers, got bool"),
    ("y_zero_point", np.int32(1), TypeError, "y_zero_point: expected int8 or uint8, got int32"),
    ("y_zero_point", np.uint8([1, 2]), ValueError, "y_zero_point: expected a number, got shape (2,)"),
]


@pytest.mark.parametrize(("name", "value", "error", "message"), WRONG, ids=[f"{row[0]} {row[3]}" for row in WRONG])
def test_quantised_arguments_of_another_kind_are_refused(name, value, error, message):
    ours.qlinear_conv(**QUANTISED)
    with pytest.raises(error, match="^" + re.escape(message)):
        ours.qlinear_conv(**QUANTISED | {name: value})


def test_a_bias_of_another_integer_type_is_taken_as_it_is():
    expected = ours.qlinear_conv(**QUANTISED)
    for dtype in ("int8", "int64", "uint64"):
        assert np.array_equal(ours.qlinear_conv(**QUANTISED | {"B": np.array([1, 2], dtype)}), expected)


MISTAKES = [
    ("conv", (np.ones((1, 2)), np.ones((1, 2))), {}, ValueError, "X: expected 1 to 3 spatial axes, got shape (1, 2)"),
    (
        "conv",
        (np.ones((1, 2, 3)), np.ones((1, 2, 1))),
        {"kernel_shape": [2]},
        ValueError,
        "kernel_shape: expected that",
    ),
    ("conv", (np.ones((1, 2, 3)), np.ones((1, 2, 1))), {"auto_pad": "SAME"}, ValueError, "auto_pad: expected NOTSET"),
    ("conv", (np.ones((1, 2, 3)), np.ones((1, 2, 1))), {"pads": [1]}, ValueError, "pads: expected 2 numbers, got (1,)"),
    ("conv", (np.ones((1, 2, 3)), np.ones((1, 2, 1))), {"strides": 1}, TypeError, "strides: expected 1 numbers, got 1"),
    ("conv", (np.ones((1, 2, 3)), np.ones((1, 2, 1))), {"auto_pad": []}, TypeError, "auto_pad: expected NOTSET"),
    (
        "conv_transpose",
        (np.ones((1, 2, 3)), np.ones((2, 1, 1))),
        {"output_shape": [2.7]},
        TypeError,
        "output_shape: expected an int, got 2.7",
    ),
    ("conv_integer", (np.ones((1, 2, 3)), np.ones((1, 2, 1))), {}, TypeError, "x: expected int8 or uint8, got float64"),
]


@pytest.mark.parametrize(("name", "arrays", "options", "error", "message"), MISTAKES, ids=[row[-1] for row in MISTAKES])
def test_mistakes_are_named(name, arrays, options, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        getattr(ours, name)(*arrays, **options)
