"""Convolutions of bytes against other ways to compute them, on typical layers, in one interleaved run.

`python benchmarks/integers.py --threads 1 --json FILE` prints a Markdown table and keeps the figures in FILE. Inputs
are uint8 with a zero point, weights int8, as models are quantised for CPUs. Results are compared before they are timed.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastconv
from fastconv import ConvInteger, Requantization, _core
from fastconv.bench.measure import measure
from fastconv.bench.provenance import provenance

Array = np.ndarray[Any, Any]
Row = dict[str, Any]
INPUT_ZERO, OUTPUT_ZERO, SCALES = 3, 10, (0.02, 0.01)


class Layer(NamedTuple):
    """A layer of images, padded by half its kernel."""

    name: str
    C: int
    size: int
    K: int
    taps: int
    stride: int = 1
    groups: int = 1

    def arrays(self) -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (1, self.C, self.size, self.size)).astype(np.uint8)
        return x, rng.integers(-128, 128, (self.K, self.C // self.groups, self.taps, self.taps)).astype(np.int8)

    @property
    def options(self) -> dict[str, int]:
        return {"stride": self.stride, "padding": self.taps // 2, "groups": self.groups}

    @property
    def multiply_adds(self) -> int:
        outputs = ((self.size + 2 * (self.taps // 2) - self.taps) // self.stride + 1) ** 2
        return outputs * self.K * self.C // self.groups * self.taps**2

    @property
    def output_scale(self) -> float:
        """With which outputs fill 8 bits."""
        return float(SCALES[0] * SCALES[1] * np.sqrt(self.C / self.groups) * self.taps * 100)


LAYERS = (
    Layer("ResNet 7x7 3->64 @224 by 2", 3, 224, 64, 7, 2),
    Layer("ResNet 3x3 64 @56", 64, 56, 64, 3),
    Layer("ResNet 3x3 64->128 @56 by 2", 64, 56, 128, 3, 2),
    Layer("ResNet 3x3 128 @28", 128, 28, 128, 3),
    Layer("ResNet 3x3 256 @14", 256, 14, 256, 3),
    Layer("ResNet 3x3 512 @7", 512, 7, 512, 3),
    Layer("ResNet 1x1 64->256 @56", 64, 56, 256, 1),
    Layer("ResNet 1x1 256->64 @56", 256, 56, 64, 1),
    Layer("ResNet 1x1 1024->256 @14", 1024, 14, 256, 1),
    Layer("MobileNet depthwise 3x3 144 @56", 144, 56, 144, 3, 1, 144),
    Layer("MobileNet depthwise 3x3 144 @56 by 2", 144, 56, 144, 3, 2, 144),
    Layer("MobileNet depthwise 3x3 960 @7", 960, 7, 960, 3, 1, 960),
)


def in_float(layer: Layer, x: Array, w: Array) -> Callable[[], Array]:
    """By whole numbers in float32, or where sums may exceed 2^24 in float64."""
    exact = np.float32 if 255 * 255 * w[0].size < 2**24 else np.float64

    def call() -> Array:
        values, filters = x.astype(exact) - exact(INPUT_ZERO), w.astype(exact)
        return fastconv.conv2d(values, filters, accuracy="strict", **layer.options).astype(np.int64).astype(np.int32)

    return call


def in_pytorch(layer: Layer, x: Array, w: Array) -> Callable[[], Array]:
    """Prepacked weights; input and output with channels last, which is its own order."""
    import torch

    channels_last = torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
    input = torch._make_per_tensor_quantized_tensor(channels_last, SCALES[0], INPUT_ZERO)
    weight = torch._make_per_tensor_quantized_tensor(torch.from_numpy(w), SCALES[1], 0)
    steps = [layer.stride] * 2, [layer.taps // 2] * 2, [1, 1], layer.groups
    packed = torch.ops.quantized.conv2d_prepack(weight, None, *steps)
    convolve, scale = torch.ops.quantized.conv2d, layer.output_scale
    return lambda: convolve(input, packed, scale, OUTPUT_ZERO)


def in_onnxruntime(layer: Layer, x: Array, w: Array, threads: int, operator: str) -> Callable[[], Array]:
    """A model of one node, with its output bound to a buffer."""
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    names = ("x", "w", "x_zero")
    values = {"x_zero": np.uint8(INPUT_ZERO), "w": w}
    dtype, element = np.int32, TensorProto.INT32
    if operator == "QLinearConv":
        names = ("x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero")
        scales = {"x_scale": SCALES[0], "w_scale": SCALES[1], "y_scale": layer.output_scale}
        values |= {name: np.float32(scale) for name, scale in scales.items()}
        values |= {"w_zero": np.int8(0), "y_zero": np.uint8(OUTPUT_ZERO)}
        dtype, element = np.uint8, TensorProto.UINT8
    pads, shape = [layer.taps // 2] * 4, fastconv.conv_output_shape(x.shape, w.shape, **layer.options)
    node = helper.make_node(operator, names, ["y"], strides=[layer.stride] * 2, pads=pads, group=layer.groups)
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", element, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    y, binding = np.empty(shape, dtype), session.io_binding()
    binding.bind_output("y", "cpu", 0, dtype, y.shape, y.ctypes.data)

    def call() -> Array:
        binding.bind_cpu_input("x", x)
        session.run_with_iobinding(binding)
        return y

    return call


def ways(layer: Layer, threads: int) -> dict[str, Callable[[], Any]]:
    """What is timed, by name: first those whose results are sums, then those of 8 bits, then float32."""
    x, w = layer.arrays()
    requantization = Requantization(np.float32(SCALES[0]) * np.float32(SCALES[1]) / np.float32(layer.output_scale),
                                    OUTPUT_ZERO)  # fmt: skip
    sums = ConvInteger("uint8", w, INPUT_ZERO, **layer.options)
    scaled = ConvInteger("uint8", w, INPUT_ZERO, requantization=requantization, **layer.options)
    values, plain = x.astype(np.float32), fastconv.Conv2d(w.astype(np.float32), **layer.options)
    return {
        "int32": lambda: sums(x),
        "int32()": lambda: fastconv.conv_integer(x, w, INPUT_ZERO, **layer.options),
        "in float": in_float(layer, x, w),
        "ConvInteger": in_onnxruntime(layer, x, w, threads, "ConvInteger"),
        "uint8": lambda: scaled(x),
        "PyTorch": in_pytorch(layer, x, w),
        "QLinearConv": in_onnxruntime(layer, x, w, threads, "QLinearConv"),
        "float32": lambda: plain(values),
    }


def compare(layer: Layer, calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Of results of 8 bits, the share that others have off by more than 1, which rounding in float32 may make.

    Raises:
        SystemExit: Sums differ.
    """
    sums, scaled = (calls[name]().astype(np.int64) for name in ("int32", "uint8"))
    for name in ("int32()", "in float", "ConvInteger"):
        if not np.array_equal(calls[name](), sums):
            raise SystemExit(f"{layer.name}: {name} differs from int32")
    others = {"PyTorch": calls["PyTorch"]().int_repr().numpy(), "QLinearConv": calls["QLinearConv"]()}
    return {name: float((np.abs(y.astype(np.int64) - scaled) > 1).mean()) for name, y in others.items()}


def row(layer: Layer, threads: int, seconds: float) -> Row:
    """Microseconds by way, with the quartiles, and the peak beside them."""
    calls = ways(layer, threads)
    off = compare(layer, calls)
    peaks = [_core.fma_peak("float32", 0.01) for _ in range(5)]
    timings = measure(calls, min_time=seconds, rounds=15)
    peaks += [_core.fma_peak("float32", 0.01) for _ in range(5)]
    return {
        "layer": layer.name,
        "multiply_adds": layer.multiply_adds,
        "off": off,
        "fma_gflops": float(np.median(peaks)),
        "microseconds": {name: round(timing.median * 1e6, 2) for name, timing in timings.items()},
        "quartiles": {name: [round(q * 1e6, 2) for q in timing.quartiles] for name, timing in timings.items()},
    }


def share(row: Row, way: str) -> float:
    """Of the peak of bytes, four times that of float32: as many instructions a cycle, of four products each."""
    seconds: float = row["microseconds"][way] * 1e-6
    return 2 * float(row["multiply_adds"]) / seconds / (4e9 * float(row["fma_gflops"]))


COLUMNS = ("int32", "int32()", "in float", "ConvInteger", "uint8", "PyTorch", "QLinearConv", "float32")


def cells(row: Row) -> list[str]:
    """Of a Markdown table."""
    times = row["microseconds"]
    shown = {name: f"{times[name]:.0f} us" for name in COLUMNS}
    for name in ("int32", "uint8"):
        shown[name] += f" ({100 * share(row, name):.0f}%)"
    return [row["layer"], *shown.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.15, help="for each way to call (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the figures")
    arguments = parser.parse_args()
    import onnxruntime
    import torch

    warnings.simplefilter("ignore")  # PyTorch announces the end of its quantised tensors
    torch.set_num_threads(arguments.threads)
    engines = {"PyTorch": f"{torch.__version__} ({torch.backends.quantized.engine})",
               "ONNX Runtime": onnxruntime.__version__}  # fmt: skip
    rows = []
    print(f"| layer | {' | '.join(COLUMNS)} |\n|---|{'--:|' * len(COLUMNS)}")
    with fastconv.num_threads(arguments.threads):
        for layer in LAYERS:
            rows.append(row(layer, arguments.threads, arguments.seconds))
            print(f"| {' | '.join(cells(rows[-1]))} |", flush=True)
        told = provenance() | {"argv": [], "engines": engines, "rows": rows}
    if arguments.json:
        arguments.json.write_text(json.dumps(told, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
