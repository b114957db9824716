"""Every operator against PyTorch's of the same name, on ten typical shapes each, in one interleaved run.

`python benchmarks/operators.py conv1d conv_transpose2d --threads 1` prints a Markdown table; without names, all of
them. PyTorch gets tensors that share the arrays' memory; where fastconv has a prepared form, it is timed beside the
function. Results are compared before they are timed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastconv
from fastconv.bench.measure import Timing, measure

# fastconv's prepared form, if there is one.
PREPARED = {
    "conv1d": "Conv1d",
    "conv3d": "Conv3d",
    "conv_transpose1d": "ConvTranspose1d",
    "conv_transpose2d": "ConvTranspose2d",
    "conv_transpose3d": "ConvTranspose3d",
}


@dataclass(frozen=True)
class Case:
    """A call: shapes of its arrays, and PyTorch's keyword arguments."""

    operator: str
    name: str
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)

    def arrays(self, dtype: str) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [np.asarray(rng.standard_normal(shape), dtype) for shape in self.shapes]

    def ways(self, dtype: str) -> dict[str, Callable[[], Any]]:
        import torch

        torch.set_grad_enabled(False)
        first, second = self.arrays(dtype)
        a, b = torch.from_numpy(first), torch.from_numpy(second)
        ways: dict[str, Callable[[], Any]] = {}
        if self.operator.endswith(("_input", "_weight")):
            ours, theirs = getattr(fastconv.grad, self.operator), getattr(torch.nn.grad, self.operator)
            size = self.options["size"]
            options = {name: value for name, value in self.options.items() if name != "size"}
            if self.operator.endswith("_input"):
                ways["fastconv()"] = lambda: ours(size, first, second, **options)
                ways["PyTorch"] = lambda: theirs(size, a, b, **options)
            else:
                ways["fastconv()"] = lambda: ours(first, size, second, **options)
                ways["PyTorch"] = lambda: theirs(a, size, b, **options)
            return ways
        if self.operator in PREPARED:
            op = getattr(fastconv, PREPARED[self.operator])(second, **self.options)
            ways["fastconv"] = lambda: op(first)
        function, peer = getattr(fastconv, self.operator), getattr(torch.nn.functional, self.operator)
        ways["fastconv()"] = lambda: function(first, second, **self.options)
        ways["PyTorch"] = lambda: peer(a, b, **self.options)
        return ways


def conv1d(name: str, C: int, W: int, K: int, S: int, N: int = 1, **options: Any) -> Case:
    return Case("conv1d", name, ((N, C, W), (K, C // options.get("groups", 1), S)), options)


def spread1d(name: str, C: int, W: int, K: int, S: int, N: int = 1, **options: Any) -> Case:
    return Case("conv_transpose1d", name, ((N, C, W), (C, K // options.get("groups", 1), S)), options)


def spread2d(name: str, C: int, size: int, K: int, taps: int, N: int = 1, **options: Any) -> Case:
    return Case("conv_transpose2d", name, ((N, C, size, size), (C, K // options.get("groups", 1), taps, taps)), options)


def conv3d(name: str, C: int, extents: tuple[int, ...], K: int, kernel: tuple[int, ...], **options: Any) -> Case:
    return Case("conv3d", name, ((1, C, *extents), (K, C // options.get("groups", 1), *kernel)), options)


def spread3d(name: str, C: int, extents: tuple[int, ...], K: int, kernel: tuple[int, ...], **options: Any) -> Case:
    return Case("conv_transpose3d", name, ((1, C, *extents), (C, K, *kernel)), options)


def gradient(operator: str, name: str, C: int, size: int, K: int, taps: int, N: int = 1, **options: Any) -> Case:
    """A gradient of a square layer padded by half its kernel."""
    options = {"stride": 1, "padding": taps // 2, **options}
    outputs = (size + 2 * options["padding"] - taps) // options["stride"] + 1
    x, w, y = (N, C, size, size), (K, C // options.get("groups", 1), taps, taps), (N, K, outputs, outputs)
    by_input = operator.endswith("_input")
    return Case(operator, name, (w, y) if by_input else (x, y), {"size": x if by_input else w, **options})


def gradients(operator: str) -> tuple[Case, ...]:
    return tuple(
        gradient(operator, name, *numbers, **options)
        for name, numbers, options in (
            ("ResNet 3x3 64 @56", (64, 56, 64, 3), {}),
            ("ResNet 3x3 128 @28 by 2", (64, 56, 128, 3), {"stride": 2}),
            ("ResNet 1x1 256 @56", (64, 56, 256, 1), {}),
            ("ResNet 3x3 256 @14", (256, 14, 256, 3), {"N": 4}),
            ("ResNet 3x3 512 @7", (512, 7, 512, 3), {"N": 4}),
            ("ResNet 7x7 3->64 @224 by 2", (3, 224, 64, 7), {"stride": 2}),
            ("VGG 3x3 128 @112", (128, 112, 128, 3), {}),
            ("5x5 32->64 @28", (32, 28, 64, 5), {"N": 8}),
            ("MobileNet depthwise 3x3 144 @56", (144, 56, 144, 3), {"groups": 144}),
            ("ResNeXt 3x3 128 @56, 32 groups", (128, 56, 128, 3), {"groups": 32}),
        )
    )


CASES = (
    conv1d("wav2vec2 first layer 1->512, 10 by 5", 1, 16000, 512, 10, stride=5),
    conv1d("wav2vec2 3 by 2, 512 @1600", 512, 1600, 512, 3, stride=2),
    conv1d("Whisper 3, 80->384 @3000", 80, 3000, 384, 3, padding=1),
    conv1d("Whisper 3 by 2, 384 @3000", 384, 3000, 384, 3, stride=2, padding=1),
    conv1d("WaveNet dilated 2 by 64, 64->128 @16000", 64, 16000, 128, 2, dilation=64),
    conv1d("STFT 1024 by 512, 1->1026", 1, 16000, 1026, 1024, stride=512),
    conv1d("SincNet 251, 1->80", 1, 16000, 80, 251),
    conv1d("FIR 1024, one channel", 1, 16000, 1, 1024),
    conv1d("MobileNet-like depthwise 15, 256 @1000", 256, 1000, 256, 15, padding=7, groups=256),
    conv1d("1x1, 512 @500", 512, 500, 512, 1),
    spread1d("HiFi-GAN 16 by 8, 512->256 @32", 512, 32, 256, 16, stride=8, padding=4),
    spread1d("HiFi-GAN 16 by 8, 256->128 @256", 256, 256, 128, 16, stride=8, padding=4),
    spread1d("HiFi-GAN 4 by 2, 128->64 @2048", 128, 2048, 64, 4, stride=2, padding=1),
    spread1d("HiFi-GAN 4 by 2, 64->32 @4096", 64, 4096, 32, 4, stride=2, padding=1),
    spread1d("inverse STFT 1024 by 256, 513->1", 513, 63, 1, 1024, stride=256),
    spread1d("Demucs 8 by 4, 64->2 @4000", 64, 4000, 2, 8, stride=4),
    spread1d("Demucs 8 by 4, 384->192 @250", 384, 250, 192, 8, stride=4),
    spread1d("kernel = stride = 2, 128->64 @1000", 128, 1000, 64, 2, stride=2),
    spread1d("5 by 3, 64 @999", 64, 999, 64, 5, stride=3, padding=1, output_padding=1),
    spread1d("3 by 1, 128 @1000", 128, 1000, 128, 3, padding=1),
    spread2d("U-Net 2x2 by 2, 1024->512 @28", 1024, 28, 512, 2, stride=2),
    spread2d("U-Net 2x2 by 2, 128->64 @104", 128, 104, 64, 2, stride=2),
    spread2d("DCGAN 4x4 by 2, 512->256 @8", 512, 8, 256, 4, stride=2, padding=1),
    spread2d("DCGAN 4x4 by 2, 128->64 @32, 4 images", 128, 32, 64, 4, 4, stride=2, padding=1),
    spread2d("DCGAN 4x4, 100->512 @1", 100, 1, 512, 4),
    spread2d("3x3 by 2, 64 @56", 64, 56, 64, 3, stride=2, padding=1, output_padding=1),
    spread2d("3x3 by 2, 256->128 @28", 256, 28, 128, 3, stride=2, padding=1, output_padding=1),
    spread2d("FCN 16x16 by 8, 21 @32", 21, 32, 21, 16, stride=8, padding=4),
    spread2d("FSRCNN 9x9 by 3, 56->1 @64", 56, 64, 1, 9, stride=3, padding=4),
    spread2d("3x3 by 1, 64 @56", 64, 56, 64, 3, padding=1),
    *gradients("conv2d_input"),
    *gradients("conv2d_weight"),
    conv3d("C3D 3x3x3, 3->64 @16x112", 3, (16, 112, 112), 64, (3, 3, 3), padding=1),
    conv3d("C3D 3x3x3, 64->128 @16x56", 64, (16, 56, 56), 128, (3, 3, 3), padding=1),
    conv3d("C3D 3x3x3, 256 @8x28", 256, (8, 28, 28), 256, (3, 3, 3), padding=1),
    conv3d("C3D 3x3x3, 512 @2x7", 512, (2, 7, 7), 512, (3, 3, 3), padding=1),
    conv3d("I3D 7x7x7 by 2, 3->64 @16x112", 3, (16, 112, 112), 64, (7, 7, 7), stride=2, padding=3),
    conv3d("R(2+1)D 1x3x3, 64->144 @8x56", 64, (8, 56, 56), 144, (1, 3, 3), padding=(0, 1, 1)),
    conv3d("R(2+1)D 3x1x1, 144->64 @8x56", 144, (8, 56, 56), 64, (3, 1, 1), padding=(1, 0, 0)),
    conv3d("1x1x1, 256->64 @8x28", 256, (8, 28, 28), 64, (1, 1, 1)),
    conv3d("3D U-Net 3x3x3, 32->64 @32", 32, (32, 32, 32), 64, (3, 3, 3), padding=1),
    conv3d("3x3x3 by 2, 64->128 @16x28", 64, (16, 28, 28), 128, (3, 3, 3), stride=2, padding=1),
    spread3d("3D U-Net 2x2x2 by 2, 256->128 @8", 256, (8, 8, 8), 128, (2, 2, 2), stride=2),
    spread3d("3D U-Net 2x2x2 by 2, 64->32 @32", 64, (32, 32, 32), 32, (2, 2, 2), stride=2),
    spread3d("3D-GAN 4x4x4 by 2, 512->256 @4", 512, (4, 4, 4), 256, (4, 4, 4), stride=2, padding=1),
    spread3d("3D-GAN 4x4x4 by 2, 128->64 @16", 128, (16, 16, 16), 64, (4, 4, 4), stride=2, padding=1),
    spread3d("3x3x3 by 2, 64->32 @16", 64, (16, 16, 16), 32, (3, 3, 3), stride=2, padding=1, output_padding=1),
    spread3d("3x3x3 by 1, 32 @24", 32, (24, 24, 24), 32, (3, 3, 3), padding=1),
)


def time_case(case: Case, dtype: str, seconds: float) -> dict[str, Timing]:
    ways = case.ways(dtype)
    results = {name: np.asarray(way()) for name, way in ways.items()}
    expected = results["PyTorch"]
    largest = float(np.abs(expected).max())
    for name, result in results.items():
        error = float(np.abs(result - expected).max()) / largest
        if result.shape != expected.shape or error > 1e-4:
            raise SystemExit(f"{case.operator} {case.name}: {name} is off by {error:.1e} of the largest output")
    return measure(ways, min_time=seconds, rounds=9)


def main() -> None:
    operators = list(dict.fromkeys(case.operator for case in CASES))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", help=f"of {', '.join(operators)}; all without any")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--seconds", type=float, default=0.15, help="for each way to call (default: 0.15)")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    print(f"PyTorch {torch.__version__}, threads: {arguments.threads}, {arguments.dtype}, {fastconv._core.get_isa()}\n")
    with fastconv.num_threads(arguments.threads):
        for operator in arguments.operators or operators:
            print(f"| {operator} | prepared | function | PyTorch | ratio | function's |\n|---|--:|--:|--:|--:|--:|")
            ratios: list[float] = []
            for case in (case for case in CASES if case.operator == operator):
                times = {n: t.median * 1e6 for n, t in time_case(case, arguments.dtype, arguments.seconds).items()}
                best = times.get("fastconv", times["fastconv()"])
                ratios.append(times["PyTorch"] / best)
                cells = [f"{times[n]:.0f} us" if n in times else "-" for n in ("fastconv", "fastconv()", "PyTorch")]
                of_function = times["PyTorch"] / times["fastconv()"]
                print(f"| {case.name} | {' | '.join(cells)} | {ratios[-1]:.2f} | {of_function:.2f} |", flush=True)
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(f"| geometric mean, least | | | | {mean:.2f}, {min(ratios):.2f} | |\n")


if __name__ == "__main__":
    main()
