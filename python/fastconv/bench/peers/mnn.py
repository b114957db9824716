"""MNN, by its Python package."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, output_array
from fastconv.bench.peers.onnx_model import conv_model


class Mnn(Engine):
    """A session with precision "high", the highest it has. On large maps its Winograd errs by 1e-3 all the same.

    The model is converted by the package's compiled `_tools`: the Python module around it, `MNN.tools.mnnconvert`,
    installs a telemetry package by pip when it is imported. MNN.expr.conv2d would treat the weights as
    data, which rules out Winograd, and gives wrong results with groups.
    """

    name = "MNN"
    module = distribution = "MNN"
    also_needs = ("onnx", "_tools")

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        MNN = self.load()
        with tempfile.TemporaryDirectory() as folder:
            source, converted = str(Path(folder) / "layer.onnx"), str(Path(folder) / "layer.mnn")
            Path(source).write_bytes(conv_model(layer, weight, bias))
            words = ["mnnconvert", "-f", "ONNX", "--modelFile", source, "--MNNModel", converted, "--bizCode", "layer"]
            self.load("_tools").mnnconvert(words)
            interpreter = MNN.Interpreter(converted)
        session = interpreter.createSession({"numThread": threads, "precision": "high", "backend": "CPU"})
        images = interpreter.getSessionInput(session, "x")
        outputs = interpreter.getSessionOutput(session, "y")
        Tensor, kind, plain = MNN.Tensor, MNN.Halide_Type_Float, MNN.Tensor_DimensionType_Caffe
        y = output_array(layer, weight.dtype)
        shape = y.shape
        host = Tensor(shape, kind, y, plain)

        def call(x: Array) -> Array:
            images.copyFrom(Tensor(x.shape, kind, x, plain))
            interpreter.runSession(session)
            outputs.copyToHostTensor(host)
            result: Array = host.getNumpyData()
            return result.reshape(shape)

        return call
