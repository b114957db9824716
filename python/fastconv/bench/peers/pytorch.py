"""PyTorch, which runs oneDNN inside, in four ways to write the same layer."""

from __future__ import annotations

from typing import Any

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, symmetric


class _PyTorch(Engine):
    module = distribution = "torch"
    dtypes: tuple[str, ...] = ("float32", "float64")

    def _tensors(self, weight: Array, bias: Array | None, threads: int) -> tuple[Any, Any, Any]:
        torch = self.load()
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        return torch, torch.from_numpy(weight), None if bias is None else torch.from_numpy(bias)

    @staticmethod
    def _padding(torch: Any, layer: NamedLayer) -> tuple[tuple[int, int], Any]:
        """What the convolution pads, and what pads before it: PyTorch's own padding is the same on both sides."""
        if (pads := symmetric(layer)) is not None:
            return pads, lambda x: x
        (top, bottom), (left, right) = layer.padding
        return (0, 0), lambda x: torch.nn.functional.pad(x, (left, right, top, bottom))


class Contiguous(_PyTorch):
    """`torch.nn.functional.conv2d` on plain tensors: what most code does. Weights are reordered at each call."""

    name = "PyTorch"

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        torch, w, b = self._tensors(weight, bias, threads)
        pads, pad = self._padding(torch, layer)
        conv2d, from_numpy = torch.nn.functional.conv2d, torch.from_numpy

        def call(x: Array) -> Array:
            y: Array = conv2d(pad(from_numpy(x)), w, b, layer.stride, pads, layer.dilation, layer.groups).numpy()
            return y

        return call


class ChannelsLast(_PyTorch):
    """`memory_format=torch.channels_last`: copies both ways for NCHW arrays, none for NHWC."""

    name = "PyTorch channels_last"
    layouts = ("NCHW", "NHWC")

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        torch, w, b = self._tensors(weight, bias, threads)
        last = torch.channels_last
        w = w.contiguous(memory_format=last)
        pads, pad = self._padding(torch, layer)
        conv2d, from_numpy = torch.nn.functional.conv2d, torch.from_numpy

        def convolve(x: Any) -> Any:
            return conv2d(pad(x), w, b, layer.stride, pads, layer.dilation, layer.groups)

        return _between_layouts(convolve, from_numpy, last, layout)


class Mkldnn(_PyTorch):
    """oneDNN tensors (`to_mkldnn`) with weights reordered beforehand; images and outputs reordered at each call."""

    name = "PyTorch mkldnn"
    dtypes = ("float32",)

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        torch, w, b = self._tensors(weight, bias, threads)
        pads, pad = self._padding(torch, layer)
        shape = list(pad(torch.empty(layer.input_shape)).shape)
        stride, dilation, groups = layer.stride, layer.dilation, layer.groups
        reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
        packed = reorder(w.to_mkldnn(), pads, stride, dilation, groups, shape)
        packed_bias = None if b is None else b.to_mkldnn()
        conv2d, from_numpy = torch.conv2d, torch.from_numpy

        def call(x: Array) -> Array:
            images = pad(from_numpy(x)).to_mkldnn()
            y: Array = conv2d(images, packed, packed_bias, stride, pads, dilation, groups).to_dense().numpy()
            return y

        return call


class Prepacked(_PyTorch):
    """The operator that `torch.compile` uses when it freezes a model: weights packed, activations channels_last."""

    name = "PyTorch prepacked"
    dtypes = ("float32",)
    layouts = ("NCHW", "NHWC")

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        torch, w, b = self._tensors(weight, bias, threads)
        pads, pad = self._padding(torch, layer)
        shape = list(pad(torch.empty(layer.input_shape)).shape)
        options = [list(pads), list(layer.stride), list(layer.dilation), layer.groups]
        packed = torch.ops.mkldnn._reorder_convolution_weight(w, *options, shape)
        run, from_numpy = torch.ops.mkldnn._convolution_pointwise.default, torch.from_numpy

        def convolve(x: Any) -> Any:
            return run(pad(x), packed, b, *options, "none", [], "")

        return _between_layouts(convolve, from_numpy, torch.channels_last, layout)


def _between_layouts(convolve: Any, from_numpy: Any, last: Any, layout: str) -> Call:
    def call_nchw(x: Array) -> Array:
        y: Array = convolve(from_numpy(x).contiguous(memory_format=last)).contiguous().numpy()
        return y

    def call_nhwc(x: Array) -> Array:
        y = convolve(from_numpy(x).permute(0, 3, 1, 2))
        nhwc: Array = y.permute(0, 2, 3, 1).contiguous().numpy()  # contiguous() copies nothing if it is already
        return nhwc

    return call_nchw if layout == "NCHW" else call_nhwc
