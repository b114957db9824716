"""A model file of one convolution, for the engines that read ONNX."""

from __future__ import annotations

import importlib
from typing import Any

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer

_OPSET, _IR = 17, 8  # what every reader of the last years understands


def conv_model(layer: NamedLayer, weight: Array, bias: Array | None, layout: str = "NCHW") -> bytes:
    """The layer as an ONNX model from "x" to "y", its weights inside.

    Args:
        layer: The geometry.
        weight: (K, C // groups, R, S).
        bias: (K,), or None.
        layout: With "NHWC", a transposition at either end: ONNX itself knows NCHW only.
    """
    onnx = importlib.import_module("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    element = helper.np_dtype_to_tensor_dtype(weight.dtype)
    (top, bottom), (left, right) = layer.padding
    tensors = [numpy_helper.from_array(weight, "w")]
    if bias is not None:
        tensors.append(numpy_helper.from_array(bias, "b"))
    inner = ("x", "y") if layout == "NCHW" else ("x_nchw", "y_nchw")
    nodes: list[Any] = [
        helper.make_node(
            "Conv",
            [inner[0], "w"] + ["b"] * (bias is not None),
            [inner[1]],
            strides=list(layer.stride),
            pads=[top, left, bottom, right],
            dilations=list(layer.dilation),
            group=layer.groups,
            kernel_shape=[layer.R, layer.S],
        )
    ]
    shapes = [list(layer.input_shape), list(layer.problem().output_shape)]
    if layout == "NHWC":
        nodes.insert(0, helper.make_node("Transpose", ["x"], [inner[0]], perm=[0, 3, 1, 2]))
        nodes.append(helper.make_node("Transpose", [inner[1]], ["y"], perm=[0, 2, 3, 1]))
        shapes = [[n, h, w, c] for n, c, h, w in shapes]
    ends = [helper.make_tensor_value_info(name, element, shape) for name, shape in zip("xy", shapes, strict=True)]
    graph = helper.make_graph(nodes, "layer", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    serialized: bytes = model.SerializeToString()
    return serialized
