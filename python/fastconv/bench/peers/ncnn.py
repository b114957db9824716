"""ncnn, by its Python package: images one by one, as it knows no batches."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, output_array

_INPUT, _OUTPUT = "x", "y"


class Ncnn(Engine):
    """float32 throughout; packing and Winograd as its defaults are."""

    name = "ncnn"
    module = distribution = "ncnn"

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        ncnn = self.load()
        net = ncnn.Net()
        net.opt.num_threads = threads
        for option in dir(net.opt):
            if any(small in option for small in ("fp16", "bf16", "int8")):
                setattr(net.opt, option, False)
        (top, bottom), (left, right) = layer.padding
        values = {
            0: layer.K, 1: layer.S, 11: layer.R, 2: layer.dilation[1], 12: layer.dilation[0],
            3: layer.stride[1], 13: layer.stride[0], 4: left, 15: right, 14: top, 16: bottom,
            5: int(bias is not None), 6: weight.size,
        }  # fmt: skip
        kind = "Convolution"
        if layer.groups > 1:
            kind, values[7] = "ConvolutionDepthWise", layer.groups
        numbers = " ".join(f"{key}={value}" for key, value in values.items())
        text = f"7767517\n2 2\nInput x 0 1 {_INPUT}\n{kind} layer 1 1 {_INPUT} {_OUTPUT} {numbers}\n"
        if net.load_param_mem(text) != 0:
            raise RuntimeError("ncnn does not take the layer")
        with tempfile.TemporaryDirectory() as folder:  # its Python package reads weights from files alone
            path = Path(folder) / "weights.bin"
            float32_follows = np.zeros(1, np.uint32).tobytes()
            path.write_bytes(float32_follows + weight.tobytes() + (b"" if bias is None else bias.tobytes()))
            if net.load_model(str(path)) != 0:
                raise RuntimeError("ncnn does not take the weights")
        Mat = ncnn.Mat

        def image(x: Array) -> Array:
            extractor = net.create_extractor()
            extractor.input(_INPUT, Mat(x))
            code, y = extractor.extract(_OUTPUT)
            if code != 0:
                raise RuntimeError(f"ncnn: extract returned {code}")
            return np.ascontiguousarray(np.asarray(y))  # copies only if its channels are padded

        if layer.N == 1:
            return lambda x: image(x[0])[np.newaxis]
        out = output_array(layer, weight.dtype)

        def batch(x: Array) -> Array:
            for n in range(layer.N):
                out[n] = image(x[n])
            return out

        return batch
