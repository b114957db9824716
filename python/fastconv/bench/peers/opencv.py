"""OpenCV's dnn module."""

from __future__ import annotations

import numpy as np

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine
from fastconv.bench.peers.onnx_model import conv_model


class OpenCv(Engine):
    """A network of one layer, read from ONNX."""

    name = "OpenCV"
    module = "cv2"
    distribution = "opencv-python-headless"
    also_needs = ("onnx",)

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        cv2 = self.load()
        cv2.setNumThreads(threads)
        net = cv2.dnn.readNetFromONNX(np.frombuffer(conv_model(layer, weight, bias), np.uint8))

        def call(x: Array) -> Array:
            net.setInput(x)
            y: Array = net.forward()
            return y

        return call
