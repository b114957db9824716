"""ONNX Runtime: one node, its output bound to a buffer that is used again."""

from __future__ import annotations

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, output_array
from fastconv.bench.peers.onnx_model import conv_model


class OnnxRuntime(Engine):
    """Spinning of its pool between operators stays on, as is its default: the pauses between engines end it."""

    name = "ONNX Runtime"
    module = distribution = "onnxruntime"
    also_needs = ("onnx",)
    layouts = ("NCHW", "NHWC")

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        ort = self.load()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        model = conv_model(layer, weight, bias, layout)
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        y = output_array(layer, weight.dtype, layout)
        binding = session.io_binding()
        binding.bind_output("y", "cpu", 0, weight.dtype.type, y.shape, y.ctypes.data)

        def call(x: Array) -> Array:
            binding.bind_cpu_input("x", x)
            session.run_with_iobinding(binding)
            return y

        return call
