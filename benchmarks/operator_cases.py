"""The calls that operators.py compares: ten typical layers for each operator, as fastconv and as PyTorch take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastconv

# fastconv's prepared form, if there is one.
PREPARED = {
    "conv1d": "Conv1d",
    "conv2d": "Conv2d",
    "conv3d": "Conv3d",
    "conv_transpose1d": "ConvTranspose1d",
    "conv_transpose2d": "ConvTranspose2d",
    "conv_transpose3d": "ConvTranspose3d",
}


@dataclass(frozen=True)
class Case:
    """A call: shapes of its arrays, channels first, and PyTorch's keyword arguments.

    Attributes:
        operator: The function's name; behind a comma, what is special about its arrays.
    """

    operator: str
    name: str
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"

    @property
    def function(self) -> str:
        return self.operator.partition(",")[0]

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [np.asarray(rng.standard_normal(shape), self.dtype) for shape in self.shapes]

    def ways(self) -> dict[str, Callable[[], Any]]:
        """What is timed, by name. PyTorch gets tensors that share the arrays' memory."""
        import torch

        torch.set_grad_enabled(False)
        first, second = self.arrays()
        if self.operator.endswith("NHWC"):
            return self._channels_last(first, second)
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
        op = getattr(fastconv, PREPARED[self.function])(second, **self.options)
        ways["fastconv"] = lambda: op(first)
        function, peer = getattr(fastconv, self.function), getattr(torch.nn.functional, self.function)
        ways["fastconv()"] = lambda: function(first, second, **self.options)
        ways["PyTorch"] = lambda: peer(a, b, **self.options)
        return ways

    def _channels_last(self, first: np.ndarray, second: np.ndarray) -> dict[str, Callable[[], Any]]:
        """Images with channels last on both sides; PyTorch's weights are brought into that order beforehand."""
        import torch

        images = np.ascontiguousarray(first.transpose(0, 2, 3, 1))
        a = torch.from_numpy(images).permute(0, 3, 1, 2)
        b = torch.from_numpy(second).contiguous(memory_format=torch.channels_last)
        options = {**self.options, "layout": "NHWC"}
        op = fastconv.Conv2d(second, **options)
        return {
            "fastconv": lambda: op(images),
            "fastconv()": lambda: fastconv.conv2d(images, second, **options),
            "PyTorch": lambda: torch.nn.functional.conv2d(a, b, **self.options).permute(0, 2, 3, 1),
        }


def conv1d(name: str, C: int, W: int, K: int, S: int, N: int = 1, **options: Any) -> Case:
    return Case("conv1d", name, ((N, C, W), (K, C // options.get("groups", 1), S)), options)


def spread1d(name: str, C: int, W: int, K: int, S: int, N: int = 1, **options: Any) -> Case:
    return Case("conv_transpose1d", name, ((N, C, W), (C, K // options.get("groups", 1), S)), options)


def spread2d(name: str, C: int, size: int, K: int, taps: int, N: int = 1, **options: Any) -> Case:
    return Case("conv_transpose2d", name, ((N, C, size, size), (C, K // options.get("groups", 1), taps, taps)), options)


def images(operator: str, dtype: str = "float32") -> tuple[Case, ...]:
    """Layers of images, padded by half their kernels."""
    return tuple(
        Case(operator, name, ((N, C, size, size), (K, C // options.get("groups", 1), taps, taps)),
             {"padding": taps // 2, **options}, dtype)
        for name, N, C, size, K, taps, options in (
            ("ResNet 7x7 3->64 @224 by 2", 1, 3, 224, 64, 7, {"stride": 2}),
            ("ResNet 3x3 64 @56", 1, 64, 56, 64, 3, {}),
            ("ResNet 3x3 64->128 @56 by 2", 1, 64, 56, 128, 3, {"stride": 2}),
            ("ResNet 3x3 256 @14", 1, 256, 14, 256, 3, {}),
            ("ResNet 3x3 512 @7", 1, 512, 7, 512, 3, {}),
            ("ResNet 1x1 256->64 @56", 1, 256, 56, 64, 1, {}),
            ("VGG 3x3 128 @112", 1, 128, 112, 128, 3, {}),
            ("MobileNet depthwise 3x3 144 @56", 1, 144, 56, 144, 3, {"groups": 144}),
            ("ConvNeXt depthwise 7x7 96 @56", 1, 96, 56, 96, 7, {"groups": 96}),
            ("ResNeXt 3x3 128 @56, 32 groups", 1, 128, 56, 128, 3, {"groups": 32}),
        )
    )  # fmt: skip


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
    *images("conv2d"),
    *images("conv2d, NHWC"),
    *images("conv2d, float64", "float64"),
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
    spread3d("3D U-Net 2x2x2 by 2, 128->64 @16", 128, (16, 16, 16), 64, (2, 2, 2), stride=2),
    spread3d("3D-GAN 4x4x4, 200->512 @1", 200, (1, 1, 1), 512, (4, 4, 4)),
    spread3d("V-Net 2x2x2 by 2, 32->16 @32", 32, (32, 32, 32), 16, (2, 2, 2), stride=2),
    spread3d("video 1x4x4 by 1x2x2, 64->32 @8x28", 64, (8, 28, 28), 32, (1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1)),
)
