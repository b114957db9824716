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
        kind: The class that the layer is counted with, one of `KINDS`; "" outside the tables.
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
    kind: str = ""

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

    def problem(self, dtype: npt.DTypeLike = np.float32, layout: str = "NCHW") -> Problem:
        """The core's description of this layer."""
        N, C, H, W = self.input_shape
        shape = (N, C, H, W) if layout == "NCHW" else (N, H, W, C)
        return as_layer(shape, self.weight_shape, **self.options, layout=layout, dtype=np.dtype(dtype)).problem

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


def _depthwise(network: str, C: int, size: int, kernel: int, stride: int = 1) -> NamedLayer:
    name = f"{network} depthwise {kernel}x{kernel} {C} @{size}" + f"/{stride}" * (stride > 1)
    return square(name, C, size, C, kernel, stride, groups=C)


def _dense(network: str, C: int, K: int, size: int, kernel: int, stride: int = 1, **options: Any) -> NamedLayer:
    name = f"{network} {kernel}x{kernel} {C}->{K} @{size}" + f"/{stride}" * (stride > 1)
    return square(name, C, size, K, kernel, stride, **options)


def _of_kind(kind: str, *layers: NamedLayer) -> tuple[NamedLayer, ...]:
    return tuple(replace(layer, kind=kind) for layer in layers)


KINDS = {
    "1x1": "1x1, stride 1",
    "1x1s2": "1x1, stride 2",
    "3x3": "3x3, stride 1",
    "spatial": "3x3 stride 2, 1xN, Nx1, dilated 3x3",
    "5x5": "5x5",
    "first": "first layers: at most 4 channels",
    "depthwise3x3": "depthwise 3x3, stride 1",
    "depthwise3x3s2": "depthwise 3x3, stride 2",
    "depthwise5x5": "depthwise 5x5",
    "depthwise7x7": "depthwise 7x7",
    "grouped": "grouped 3x3, 4 to 32 channels per group",
    "large": "dense 11x11 and 15x15",
    "large-depthwise": "depthwise 13x13 to 31x31",
    "large-single": "one channel, 15x15 and 31x31",
    "matvec": "one output pixel: as many multiply-adds as weights",
    "tiny": "tiny and odd",
    "batch": "batches of 8",
}
"""What the layers of the tables are counted with, by the key that selects them."""

FIRST_LAYERS = _of_kind(
    "first",
    square("ResNet stem 3->64 @224 7x7/2", 3, 224, 64, 7, 2),
    square("VGG first 3->64 @224 3x3", 3, 224, 64, 3),
    square("MobileNet stem 3->32 @224 3x3/2", 3, 224, 32, 3, 2),
    NamedLayer("Inception-v3 stem 3->32 @299 3x3/2", 3, 299, 299, 32, 3, 3, stride=(2, 2)),
    NamedLayer("AlexNet stem 3->64 @224 11x11/4", 3, 224, 224, 64, 11, 11, stride=(4, 4), padding=((2, 2), (2, 2))),
    NamedLayer("ConvNeXt stem 3->96 @224 4x4/4", 3, 224, 224, 96, 4, 4, stride=(4, 4)),
    square("one channel 1->32 @128 5x5", 1, 128, 32, 5),
)
RESNET50_3X3 = _of_kind(
    "3x3", *(_dense("ResNet-50", C, C, size, 3) for C, size in ((64, 56), (128, 28), (256, 14), (512, 7)))
) + _of_kind("spatial", *(_dense("ResNet-50", C, C, size, 3, 2) for C, size in ((128, 56), (256, 28), (512, 14))))
RESNET50_1X1 = _of_kind(
    "1x1",
    *(
        _dense("ResNet-50", C, K, size, 1)
        for C, K, size in (
            (64, 64, 56),
            (64, 256, 56),
            (256, 64, 56),
            (256, 128, 56),
            (512, 128, 28),
            (128, 512, 28),
            (512, 256, 28),
            (1024, 256, 14),
            (256, 1024, 14),
            (1024, 512, 14),
            (2048, 512, 7),
            (512, 2048, 7),
        )
    ),
) + _of_kind(
    "1x1s2",
    *(_dense("ResNet-50", C, K, size, 1, 2) for C, K, size in ((256, 512, 56), (512, 1024, 28), (1024, 2048, 14))),
)
VGG16_3X3 = _of_kind(
    "3x3",
    *(
        _dense("VGG-16", C, K, size, 3)
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
    ),
)
MOBILENET_V2_1X1 = _of_kind(
    "1x1",
    *(
        _dense("MobileNetV2", C, K, size, 1)
        for C, K, size in (
            (32, 16, 112),
            (16, 96, 112),
            (96, 24, 56),
            (24, 144, 56),
            (144, 24, 56),
            (144, 32, 28),
            (32, 192, 28),
            (192, 32, 28),
            (192, 64, 14),
            (64, 384, 14),
            (384, 64, 14),
            (384, 96, 14),
            (96, 576, 14),
            (576, 96, 14),
            (576, 160, 7),
            (160, 960, 7),
            (960, 160, 7),
            (960, 320, 7),
            (320, 1280, 7),
        )
    ),
)
MOBILENET_V2_DEPTHWISE = _of_kind(
    "depthwise3x3",
    *(
        _depthwise("MobileNetV2", C, size, 3)
        for C, size in ((32, 112), (144, 56), (192, 28), (384, 14), (576, 14), (960, 7))
    ),
) + _of_kind(
    "depthwise3x3s2",
    *(_depthwise("MobileNetV2", C, size, 3, 2) for C, size in ((96, 112), (144, 56), (192, 28), (576, 14))),
)
EFFICIENTNET_DEPTHWISE = _of_kind(
    "depthwise5x5",
    _depthwise("EfficientNet-B0", 144, 56, 5, 2),
    *(_depthwise("EfficientNet-B0", C, size, 5) for C, size in ((240, 28), (480, 14), (1152, 7))),
)
CONVNEXT_DEPTHWISE = _of_kind(
    "depthwise7x7", *(_depthwise("ConvNeXt-T", C, size, 7) for C, size in ((96, 56), (192, 28), (384, 14), (768, 7)))
)
RESNEXT50 = _of_kind(
    "grouped",
    *(
        replace(_dense("ResNeXt-50", C, C, size, 3, stride, groups=32), name=f"ResNeXt-50 3x3 {C} @{size}/{stride} g32")
        for C, size, stride in (
            (128, 56, 1),
            (256, 56, 2),
            (256, 28, 1),
            (512, 28, 2),
            (512, 14, 1),
            (1024, 14, 2),
            (1024, 7, 1),
        )
    ),
)
INCEPTION_V3 = _of_kind(
    "spatial",
    *(
        NamedLayer(f"Inception-v3 1x7 {C}->{K} @17", C, 17, 17, K, 1, 7, padding=((0, 0), (3, 3)))
        for C, K in ((128, 128), (160, 192), (192, 192))
    ),
    *(
        NamedLayer(f"Inception-v3 7x1 {C}->{K} @17", C, 17, 17, K, 7, 1, padding=((3, 3), (0, 0)))
        for C, K in ((128, 192), (160, 160), (192, 192))
    ),
    NamedLayer("Inception-v3 1x3 384->384 @8", 384, 8, 8, 384, 1, 3, padding=((0, 0), (1, 1))),
    NamedLayer("Inception-v3 3x1 384->384 @8", 384, 8, 8, 384, 3, 1, padding=((1, 1), (0, 0))),
    *(
        NamedLayer(f"Inception-v3 3x3 {C}->{K} @{size}/2", C, size, size, K, 3, 3, stride=(2, 2))
        for C, K, size in ((288, 384, 35), (192, 320, 17))
    ),
) + _of_kind("5x5", _dense("Inception-v3", 48, 64, 35, 5), _dense("AlexNet", 64, 192, 27, 5))
DILATED = _of_kind(
    "spatial",
    NamedLayer("dilated 3x3 256 @28 d2", 256, 28, 28, 256, 3, 3, padding=((2, 2), (2, 2)), dilation=(2, 2)),
    NamedLayer("dilated 3x3 512 @14 d4", 512, 14, 14, 512, 3, 3, padding=((4, 4), (4, 4)), dilation=(4, 4)),
    NamedLayer("DeepLab 3x3 512 @33 d2", 512, 33, 33, 512, 3, 3, padding=((2, 2), (2, 2)), dilation=(2, 2)),
    NamedLayer("DeepLab 3x3 2048->256 @33 d12", 2048, 33, 33, 256, 3, 3, padding=((12, 12),) * 2, dilation=(12, 12)),
)
LARGE_KERNELS = (
    *_of_kind("large", _dense("large", 32, 32, 56, 11), _dense("large", 32, 32, 56, 15)),
    *_of_kind(
        "large-depthwise",
        _depthwise("RepLKNet", 1024, 7, 13),
        _depthwise("large", 256, 28, 25),
        _depthwise("RepLKNet", 512, 14, 27),
        _depthwise("RepLKNet", 128, 56, 31),
    ),
    *_of_kind("large-single", square("15x15 1->1 @512", 1, 512, 1, 15), square("31x31 1->1 @512", 1, 512, 1, 31)),
)
MATVEC = _of_kind(
    "matvec",
    _dense("MobileNetV2", 1280, 1000, 1, 1),
    _dense("ResNet-50", 2048, 1000, 1, 1),
    _dense("squeeze", 96, 24, 1, 1),
    NamedLayer("kernel = image 512->1024 @7 7x7", 512, 7, 7, 1024, 7, 7),
)
SMALL = _of_kind(
    "tiny",
    square("tiny 8->8 @8 3x3", 8, 8, 8, 3),
    square("dense-sized 4->8 @24 3x3", 4, 24, 8, 3),
    square("one pixel 16->16 @1 1x1", 16, 1, 16, 1),
    NamedLayer("LeNet 1->6 @32 5x5", 1, 32, 32, 6, 5, 5),
)
ODD = _of_kind(
    "tiny",
    NamedLayer("prime 7->13 @17x19 3x5", 7, 17, 19, 13, 3, 5, padding=((1, 1), (2, 2))),
    NamedLayer("even kernel 5->6 @15x14 2x4", 5, 15, 14, 6, 2, 4, padding=((0, 1), (1, 2))),
    NamedLayer("stride over kernel 6->4 @23 2x2/3", 6, 23, 23, 4, 2, 2, stride=(3, 3)),
    NamedLayer("multiplier 6->18 @13x11 3x3 g6", 6, 13, 11, 18, 3, 3, padding=((1, 1), (1, 1)), groups=6),
    NamedLayer("batch of 3, 4->10 @9x12 3x1", 4, 9, 12, 10, 3, 1, N=3, padding=((2, 0), (0, 0))),
)


def with_batch(layer: NamedLayer, N: int) -> NamedLayer:
    """The same layer for N images."""
    return replace(layer, N=N, name=f"{layer.name} N={N}")


BATCHES = _of_kind(
    "batch",
    *(
        with_batch(layer, 8)
        for layer in (
            RESNET50_3X3[0],
            RESNET50_3X3[3],
            RESNET50_3X3[4],
            RESNET50_1X1[2],
            RESNET50_1X1[11],
            MOBILENET_V2_DEPTHWISE[3],
            SMALL[0],
        )
    ),
)

TABLES: dict[str, tuple[NamedLayer, ...]] = {
    "first": FIRST_LAYERS,
    "resnet50_3x3": RESNET50_3X3,
    "resnet50_1x1": RESNET50_1X1,
    "vgg16_3x3": VGG16_3X3,
    "mobilenet_v2_1x1": MOBILENET_V2_1X1,
    "mobilenet_v2_depthwise": MOBILENET_V2_DEPTHWISE,
    "efficientnet_depthwise": EFFICIENTNET_DEPTHWISE,
    "convnext_depthwise": CONVNEXT_DEPTHWISE,
    "resnext50": RESNEXT50,
    "inception_v3": INCEPTION_V3,
    "dilated": DILATED,
    "large_kernels": LARGE_KERNELS,
    "matvec": MATVEC,
    "small": SMALL,
    "odd": ODD,
    "batches": BATCHES,
}
