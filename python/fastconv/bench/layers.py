"""Named layers of known networks, and small and odd ones, shared by the tests, the benchmarks and the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv._core import Problem
from fastconv.arguments import Array, as_layer


@dataclass(frozen=True)
class NamedLayer:
    """One convolution layer. Letters: N images of C channels, H x W; K filters of R x S.

    Attributes:
        padding: ((top, bottom), (left, right)) in pixels.
    """

    name: str
    C: int
    H: int
    W: int
    K: int
    R: int
    S: int
    N: int = 1
    stride: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __str__(self) -> str:
        return self.name

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.N, self.C, self.H, self.W

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.K, self.C // self.groups, self.R, self.S

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments for :func:`fastconv.conv2d` and :class:`fastconv.Conv2d`."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def receptive_field(self) -> tuple[int, int]:
        """Input pixels, in height and width, that one output sees."""
        return self.dilation[0] * (self.R - 1) + 1, self.dilation[1] * (self.S - 1) + 1

    def problem(self, dtype: npt.DTypeLike = np.float32) -> Problem:
        """The core's description of this layer."""
        return as_layer(self.input_shape, self.weight_shape, **self.options, dtype=np.dtype(dtype)).problem

    def random_weight(self, dtype: npt.DTypeLike = np.float32, seed: int = 0) -> Array:
        """Normal weights of variance 2 / (C/groups * R * S), which keeps a network's signal at one scale.

        Source: He et al., arXiv:1502.01852.
        """
        values = np.random.default_rng(seed).standard_normal(self.weight_shape)
        return np.asarray(values * math.sqrt(2 / math.prod(self.weight_shape[1:])), np.dtype(dtype))

    def random_input(self, dtype: npt.DTypeLike = np.float32, seed: int = 1) -> Array:
        """Standard normal images."""
        return np.asarray(np.random.default_rng(seed).standard_normal(self.input_shape), np.dtype(dtype))


def square(name: str, C: int, size: int, K: int, kernel: int, stride: int = 1, **options: Any) -> NamedLayer:
    """A layer on a square image whose odd kernel is padded as networks do it: output size ceil(size / stride)."""
    pad = kernel // 2
    padding = (pad, pad), (pad, pad)
    return NamedLayer(name, C, size, size, K, kernel, kernel, stride=(stride, stride), padding=padding, **options)


def _depthwise(name: str, C: int, size: int, kernel: int, stride: int = 1) -> NamedLayer:
    return square(f"{name} {C} @{size}" + f"/{stride}" * (stride > 1), C, size, C, kernel, stride, groups=C)


FIRST_LAYERS = (
    square("ResNet stem 3->64 @224 7x7/2", 3, 224, 64, 7, 2),
    square("VGG first 3->64 @224 3x3", 3, 224, 64, 3),
    square("MobileNet stem 3->32 @224 3x3/2", 3, 224, 32, 3, 2),
)
RESNET50_3X3 = tuple(
    square(f"ResNet-50 3x3 {C}->{C} @{size}" + f"/{stride}" * (stride > 1), C, size, C, 3, stride)
    for C, size, stride in (
        (64, 56, 1),
        (128, 56, 2),
        (128, 28, 1),
        (256, 28, 2),
        (256, 14, 1),
        (512, 14, 2),
        (512, 7, 1),
    )
)
RESNET50_1X1 = tuple(
    square(f"ResNet-50 1x1 {C}->{K} @{size}" + f"/{stride}" * (stride > 1), C, size, K, 1, stride)
    for C, K, size, stride in (
        (64, 64, 56, 1),
        (64, 256, 56, 1),
        (256, 64, 56, 1),
        (256, 512, 56, 2),
        (512, 128, 28, 1),
        (128, 512, 28, 1),
        (1024, 256, 14, 1),
        (256, 1024, 14, 1),
        (2048, 512, 7, 1),
        (512, 2048, 7, 1),
    )
)
VGG16_3X3 = tuple(
    square(f"VGG-16 3x3 {C}->{K} @{size}", C, size, K, 3)
    for C, K, size in (
        (64, 64, 224),
        (64, 128, 112),
        (128, 128, 112),
        (128, 256, 56),
        (256, 256, 56),
        (256, 512, 28),
        (512, 512, 28),
        (512, 512, 14),
    )
)
MOBILENET_V2_DEPTHWISE = tuple(
    _depthwise("MobileNetV2 depthwise 3x3", C, size, 3, stride)
    for C, size, stride in (
        (32, 112, 1),
        (96, 112, 2),
        (144, 56, 1),
        (192, 28, 1),
        (384, 14, 1),
        (576, 14, 2),
        (960, 7, 1),
    )
)
CONVNEXT_DEPTHWISE = tuple(
    _depthwise("ConvNeXt depthwise 7x7", C, size, 7) for C, size in ((96, 56), (192, 28), (384, 14), (768, 7))
)
GROUPED = (
    square("ResNeXt 3x3 128 @56 g32", 128, 56, 128, 3, groups=32),
    square("ResNeXt 3x3 512 @14 g32", 512, 14, 512, 3, groups=32),
)
DILATED = (
    NamedLayer("dilated 3x3 256 @28 d2", 256, 28, 28, 256, 3, 3, padding=((2, 2), (2, 2)), dilation=(2, 2)),
    NamedLayer("dilated 3x3 512 @14 d4", 512, 14, 14, 512, 3, 3, padding=((4, 4), (4, 4)), dilation=(4, 4)),
)
SEPARABLE = (
    NamedLayer("Inception 1x7 192 @17", 192, 17, 17, 192, 1, 7, padding=((0, 0), (3, 3))),
    NamedLayer("Inception 7x1 192 @17", 192, 17, 17, 192, 7, 1, padding=((3, 3), (0, 0))),
)
LARGE_KERNELS = (
    square("5x5 48->64 @35", 48, 35, 64, 5),
    square("11x11 32->32 @56", 32, 56, 32, 11),
    square("31x31 1->1 @512", 1, 512, 1, 31),
)
SMALL = (
    square("tiny 8->8 @8 3x3", 8, 8, 8, 3),
    square("dense-sized 4->8 @24 3x3", 4, 24, 8, 3),
    square("one pixel 16->16 @1 1x1", 16, 1, 16, 1),
)
ODD = (
    NamedLayer("prime 7->13 @17x19 3x5", 7, 17, 19, 13, 3, 5, padding=((1, 1), (2, 2))),
    NamedLayer("even kernel 5->6 @15x14 2x4", 5, 15, 14, 6, 2, 4, padding=((0, 1), (1, 2))),
    NamedLayer("stride over kernel 6->4 @23 2x2/3", 6, 23, 23, 4, 2, 2, stride=(3, 3)),
    NamedLayer("multiplier 6->18 @13x11 3x3 g6", 6, 13, 11, 18, 3, 3, padding=((1, 1), (1, 1)), groups=6),
    NamedLayer("batch of 3, 4->10 @9x12 3x1", 4, 9, 12, 10, 3, 1, N=3, padding=((2, 0), (0, 0))),
)

TABLES: dict[str, tuple[NamedLayer, ...]] = {
    "first": FIRST_LAYERS,
    "resnet50_3x3": RESNET50_3X3,
    "resnet50_1x1": RESNET50_1X1,
    "vgg16_3x3": VGG16_3X3,
    "mobilenet_v2_depthwise": MOBILENET_V2_DEPTHWISE,
    "convnext_depthwise": CONVNEXT_DEPTHWISE,
    "grouped": GROUPED,
    "dilated": DILATED,
    "separable": SEPARABLE,
    "large_kernels": LARGE_KERNELS,
    "small": SMALL,
    "odd": ODD,
}


def with_batch(layer: NamedLayer, N: int) -> NamedLayer:
    """The same layer for N images."""
    return replace(layer, N=N, name=f"{layer.name} N={N}")
