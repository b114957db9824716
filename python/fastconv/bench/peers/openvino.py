"""OpenVINO's CPU plugin, in float32 (it would take bfloat16 where the CPU has it)."""

from __future__ import annotations

import numpy as np

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, output_array


class OpenVino(Engine):
    """A model of one operator, compiled for latency; input and output tensors share NumPy's memory."""

    name = "OpenVINO"
    module = distribution = "openvino"
    layouts = ("NCHW", "NHWC")

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        ov, ops = self.load(), self.load("openvino.opset13")
        (top, bottom), (left, right) = layer.padding
        G, K = layer.groups, layer.K
        N, C, H, W = layer.input_shape
        source = ops.parameter(layer.input_shape if layout == "NCHW" else (N, H, W, C), weight.dtype.type)
        images = source if layout == "NCHW" else ops.transpose(source, np.array([0, 3, 1, 2]))
        filters = ops.constant(weight if G == 1 else weight.reshape(G, K // G, *weight.shape[1:]))
        convolve = ops.convolution if G == 1 else ops.group_convolution
        y = convolve(images, filters, list(layer.stride), [top, left], [bottom, right], list(layer.dilation))
        if bias is not None:
            y = ops.add(y, ops.constant(bias.reshape(1, -1, 1, 1)))
        if layout == "NHWC":
            y = ops.transpose(y, np.array([0, 2, 3, 1]))
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,  # a pinned thread cannot give way to the engines that share the process
        }
        request = ov.Core().compile_model(ov.Model([y], [source]), "CPU", options).create_infer_request()
        out = output_array(layer, weight.dtype, layout)
        request.set_output_tensor(ov.Tensor(out, shared_memory=True))
        Tensor = ov.Tensor

        def call(x: Array) -> Array:
            request.set_input_tensor(Tensor(x, shared_memory=True))
            request.infer()
            return out

        return call
