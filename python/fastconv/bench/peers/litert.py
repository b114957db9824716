"""LiteRT, once TensorFlow Lite, whose XNNPACK runs on NHWC arrays alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine

_VERSION = 3  # of the file format
_SAME, _VALID = 0, 1


class LiteRt(Engine):
    """A model of one operator, written with the classes that the package has for its file format."""

    name = "LiteRT"
    module = "ai_edge_litert"
    distribution = "ai-edge-litert"
    also_needs = ("flatbuffers",)
    layouts = ("NHWC",)

    def refuses(self, layer: NamedLayer, dtype: str, layout: str) -> str | None:
        if layer.groups not in (1, layer.C):
            return "groups run in another backend"
        return super().refuses(layer, dtype, layout)

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        interpreter = self.load("ai_edge_litert.interpreter").Interpreter(
            model_content=self._model(layer, weight, bias), num_threads=threads
        )
        interpreter.allocate_tensors()
        (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
        first, last = source["index"], result["index"]

        def call(x: Array) -> Array:
            interpreter.set_tensor(first, x)
            interpreter.invoke()
            y: Array = interpreter.get_tensor(last)
            return y

        return call

    def _model(self, layer: NamedLayer, weight: Array, bias: Array | None) -> bytes:
        schema, flatbuffers = self.load("ai_edge_litert.schema_py_generated"), self.load("flatbuffers")
        operators = schema.BuiltinOperator
        N, C, H, W = layer.input_shape
        K, P, Q = layer.K, *layer.problem().output_shape[2:]
        shift = np.zeros(K, np.float32) if bias is None else bias
        depthwise = layer.groups == C and C > 1
        # (K, R, S, C), and (1, R, S, K) for depthwise
        filters = weight.transpose(1, 2, 3, 0) if depthwise else weight.transpose(0, 2, 3, 1)
        model, graph = schema.ModelT(), schema.SubGraphT()
        model.version, model.subgraphs, model.buffers, model.operatorCodes = _VERSION, [graph], [schema.BufferT()], []
        graph.tensors, graph.operators = [], []

        def tensor(shape: tuple[int, ...], data: np.ndarray[Any, Any] | None = None) -> int:
            made, buffer = schema.TensorT(), schema.BufferT()
            if data is not None:
                buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
                model.buffers.append(buffer)
                made.buffer = len(model.buffers) - 1
            is_index = data is not None and data.dtype == np.int32
            made.type = schema.TensorType.INT32 if is_index else schema.TensorType.FLOAT32
            made.shape, made.name = list(shape), f"t{len(graph.tensors)}".encode()
            graph.tensors.append(made)
            return len(graph.tensors) - 1

        def operator(code: int, inputs: list[int], output: int, kind: int = 0, options: Any = None) -> None:
            entry, made = schema.OperatorCodeT(), schema.OperatorT()
            entry.builtinCode = entry.deprecatedBuiltinCode = code
            entry.version = 1
            model.operatorCodes.append(entry)
            made.opcodeIndex = len(model.operatorCodes) - 1
            made.inputs, made.outputs = inputs, [output]
            made.builtinOptionsType, made.builtinOptions = kind, options
            graph.operators.append(made)

        images = source = tensor((N, H, W, C))
        padding = _padding(layer)
        if padding is None:
            pads = np.array([(0, 0), *layer.padding, (0, 0)], np.int32)
            images = tensor((N, H + int(pads[1].sum()), W + int(pads[2].sum()), C))
            operator(operators.PAD, [source, tensor(pads.shape, pads)], images)
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding = _VALID if padding is None else padding
        options.strideH, options.strideW = layer.stride
        options.dilationHFactor, options.dilationWFactor = layer.dilation
        if depthwise:
            options.depthMultiplier = K // C
        output = tensor((N, P, Q, K))
        operator(
            operators.DEPTHWISE_CONV_2D if depthwise else operators.CONV_2D,
            [images, tensor(filters.shape, filters), tensor((K,), shift)],
            output,
            schema.BuiltinOptions.DepthwiseConv2DOptions if depthwise else schema.BuiltinOptions.Conv2DOptions,
            options,
        )
        graph.inputs, graph.outputs = [source], [output]
        builder = flatbuffers.Builder(weight.nbytes + 4096)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _padding(layer: NamedLayer) -> int | None:
    """The file format's name for the layer's padding; None if it has none, as it knows no numbers."""
    if not any(map(any, layer.padding)):
        return _VALID
    sizes, outputs = (layer.H, layer.W), layer.problem().output_shape[2:]
    for pads, size, out, stride, field in zip(
        layer.padding, sizes, outputs, layer.stride, layer.receptive_field, strict=True
    ):
        total = max(0, (out - 1) * stride + field - size)
        if out != -(-size // stride) or pads[0] != total // 2:
            return None
    return _SAME
