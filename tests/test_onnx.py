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
    ("conv_integer", (np.ones((1, 2, 3)), np.ones((1, 2, 1))), {}, TypeError, "x: expected int8 or uint8, got float64"),
]


@pytest.mark.parametrize(("name", "arrays", "options", "error", "message"), MISTAKES, ids=[row[-1] for row in MISTAKES])
def test_mistakes_are_named(name, arrays, options, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        getattr(ours, name)(*arrays, **options)
