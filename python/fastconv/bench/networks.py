"""The convolutions of published networks, layer by layer, as their papers' tables give them; batch norm is folded away.

:func:`layers` has a network's convolutions in order, repeated ones repeated; `NETWORKS` has each different one once,
for ``fastconv bench --set``. Their number and their multiply-adds are checked against the published ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastconv.bench.layers import TABLES, NamedLayer

Side = int | tuple[int, int]


class _Net:
    """A network that is being written down: each convolution appends a layer; the main line goes on from its output."""

    def __init__(self, name: str, C: int, size: int) -> None:
        self.name, self.C, self.size = name, C, size
        self.layers: list[NamedLayer] = []

    def conv(
        self, K: int, kernel: Side, stride: int = 1, *, C: int = 0, groups: int = 1, dilation: int = 1, pad: Side = -1
    ) -> int:
        """A convolution of the main line.

        Args:
            K: Filters.
            kernel: Its side, or (R, S).
            C: Channels, if not those of the main line.
            pad: On each side; what keeps the size at stride 1 if negative.
        Returns:
            `K`, which is the main line's channels from here on, as is the size of the output.
        """
        R, S = (kernel, kernel) if isinstance(kernel, int) else kernel
        pads = (dilation * (R // 2), dilation * (S // 2)) if pad == -1 else (pad, pad) if isinstance(pad, int) else pad
        C = C or self.C
        layer = NamedLayer(
            "", C, self.size, self.size, K, R, S, stride=(stride, stride), dilation=(dilation, dilation), groups=groups,
            padding=((pads[0], pads[0]), (pads[1], pads[1])),
        )  # fmt: skip
        self.layers.append(replace(layer, name=f"{self.name} {_shape(layer)}", kind=kind_of(layer)))
        self.C, self.size = K, layer.problem().output_shape[2]
        return K

    def depthwise(self, kernel: int, stride: int = 1) -> None:
        self.conv(self.C, kernel, stride, groups=self.C)

    def branch(self, *steps: tuple[int, Side] | tuple[int, Side, int], valid_last: bool = False) -> int:
        """(filters, kernel) or (filters, kernel, stride) beside the main line; the last one's filters."""
        C, size = self.C, self.size
        for i, step in enumerate(steps):
            last = i == len(steps) - 1
            self.conv(step[0], step[1], step[2] if len(step) == 3 else 1, pad=0 if last and valid_last else -1)
        K, self.C, self.size = self.C, C, size
        return K

    def pool(self, kernel: int = 2, stride: int = 2, pad: int = 0) -> None:
        self.size = (self.size + 2 * pad - kernel) // stride + 1


def _shape(layer: NamedLayer) -> str:
    """What is different about it, in words."""
    kernel, depthwise = f"{layer.R}x{layer.S}", layer.groups == layer.C > 1
    same = layer.padding == tuple((d * (n // 2),) * 2 for d, n in zip(layer.dilation, (layer.R, layer.S), strict=True))
    return (
        (f"depthwise {kernel} {layer.C}" if depthwise else f"{kernel} {layer.C}->{layer.K}")
        + f" @{layer.H}"
        + f"/{layer.stride[0]}" * (layer.stride[0] > 1)
        + f" g{layer.groups}" * (layer.groups > 1 and not depthwise)
        + f" d{layer.dilation[0]}" * (layer.dilation[0] > 1)
        + " valid" * (not any(map(any, layer.padding)) and not same)
    )


def kind_of(layer: NamedLayer) -> str:
    """The class in :data:`fastconv.bench.layers.KINDS` that a layer of a network is counted with."""
    size, strided = max(layer.R, layer.S), layer.stride != (1, 1)
    if layer.problem().output_shape[2:] == (1, 1):
        return "matvec"
    if layer.groups == layer.C > 1:
        return "large-depthwise" if size > 9 else f"depthwise{size}x{size}" + "s2" * (strided and size == 3)
    if layer.groups > 1:
        return "grouped"
    if layer.C <= 4:
        return "first"
    if size == 1:
        return "1x1s2" if strided else "1x1"
    if size >= 11:
        return "large"
    if layer.R == layer.S == 5:
        return "5x5"
    return "3x3" if (layer.R, layer.S, layer.dilation) == (3, 3, (1, 1)) and not strided else "spatial"


def _alexnet() -> _Net:
    """Krizhevsky, arXiv:1404.5997: the one with a single tower."""
    net = _Net("AlexNet", 3, 224)
    net.conv(64, 11, 4, pad=2)
    net.pool(3)
    net.conv(192, 5)
    net.pool(3)
    for K in (384, 256, 256):
        net.conv(K, 3)
    return net


def _vgg16() -> _Net:
    """Simonyan, Zisserman, arXiv:1409.1556, configuration D."""
    net = _Net("VGG-16", 3, 224)
    for K, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            net.conv(K, 3)
        net.pool()
    return net


def _residual(
    net: _Net, planes: int, width: int, count: int, stride: int, groups: int, dilations: tuple[int, ...]
) -> None:
    """A stage of bottlenecks; "v1.5" has the stride in the 3x3."""
    for i in range(count):
        if i == 0:
            net.branch((4 * planes, 1, stride))
        net.conv(width, 1)
        net.conv(width, 3, stride if i == 0 else 1, groups=groups, dilation=dilations[i % len(dilations)])
        net.conv(4 * planes, 1)


def _resnet(name: str, size: int = 224, widen: int = 1, groups: int = 1, last: tuple[int, ...] = ()) -> _Net:
    net = _Net(name, 3, size)
    net.conv(64, 7, 2)
    net.pool(3, 2, 1)
    for planes, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        dilated = last if planes == 512 else ()
        _residual(net, planes, widen * planes, count, 1 if dilated else stride, groups, dilated or (1,))
    return net


def _resnet50() -> _Net:
    """He et al., arXiv:1512.03385, with the stride of its blocks in the 3x3 ("v1.5")."""
    return _resnet("ResNet-50")


def _resnext50() -> _Net:
    """Xie et al., arXiv:1611.05431, 32x4d."""
    return _resnet("ResNeXt-50", widen=2, groups=32)


def _deeplab() -> _Net:
    """Chen et al., arXiv:1706.05587: ResNet-50, output stride 16, multi-grid (1, 2, 4), 513 x 513 pixels."""
    net = _resnet("DeepLab", 513, last=(2, 4, 8))
    rows = net.size
    for dilation in (1, 6, 12, 18):
        net.C = 2048
        net.conv(256, 1 if dilation == 1 else 3, dilation=dilation)
    net.C, net.size = 2048, 1
    net.conv(256, 1)
    net.C, net.size = 5 * 256, rows
    net.conv(256, 1)
    net.conv(21, 1)
    return net


def _inception_v3() -> _Net:
    """Szegedy et al., arXiv:1512.00567, without the auxiliary classifier."""
    net = _Net("Inception-v3", 3, 299)
    net.conv(32, 3, 2, pad=0)
    net.conv(32, 3, pad=0)
    net.conv(64, 3)
    net.pool(3)
    net.conv(80, 1)
    net.conv(192, 3, pad=0)
    net.pool(3)
    for pooled in (32, 64, 64):
        net.C = (
            net.branch((64, 1))
            + net.branch((48, 1), (64, 5))
            + net.branch((64, 1), (96, 3), (96, 3))
            + net.branch((pooled, 1))
        )
    net.C += net.branch((384, 3, 2), valid_last=True) + net.branch((64, 1), (96, 3), (96, 3, 2), valid_last=True)
    net.pool(3)
    for n in (128, 160, 160, 192):
        net.C = (
            net.branch((192, 1))
            + net.branch((n, 1), (n, (1, 7)), (192, (7, 1)))
            + net.branch((n, 1), (n, (7, 1)), (n, (1, 7)), (n, (7, 1)), (192, (1, 7)))
            + net.branch((192, 1))
        )
    net.C += net.branch((192, 1), (320, 3, 2), valid_last=True) + net.branch(
        (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2), valid_last=True
    )
    net.pool(3)
    for _ in range(2):
        net.branch((384, 1), (384, (1, 3)))
        net.branch((448, 1), (384, 3), (384, (1, 3)))
        C = net.C
        net.C = 384
        net.branch((384, (3, 1)))
        net.branch((384, (3, 1)))
        net.C = C
        net.C = net.branch((320, 1)) + 4 * 384 + net.branch((192, 1))
    return net


def _inverted(net: _Net, expand: int, kernel: int, K: int, stride: int, squeeze: bool = False) -> None:
    """An inverted residual: 1x1 up, depthwise, (squeeze and excite), 1x1 down."""
    C = net.C
    if expand > 1:
        net.conv(expand * C, 1)
    net.depthwise(kernel, stride)
    if squeeze:
        size, wide = net.size, net.C
        net.size = 1
        net.conv(C // 4, 1)
        net.conv(wide, 1)
        net.size = size
    net.conv(K, 1)


def _mobilenet_v2() -> _Net:
    """Sandler et al., arXiv:1801.04381, table 2."""
    net = _Net("MobileNetV2", 3, 224)
    net.conv(32, 3, 2)
    for t, K, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for i in range(count):
            _inverted(net, t, 3, K, stride if i == 0 else 1)
    net.conv(1280, 1)
    return net


def _efficientnet_b0() -> _Net:
    """Tan, Le, arXiv:1905.11946, table 1; squeezed to a quarter of a block's input channels."""
    net = _Net("EfficientNet-B0", 3, 224)
    net.conv(32, 3, 2)
    for t, kernel, K, count, stride in (
        (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2), (6, 5, 112, 3, 1), (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    ):  # fmt: skip
        for i in range(count):
            _inverted(net, t, kernel, K, stride if i == 0 else 1, squeeze=True)
    net.conv(1280, 1)
    return net


def _densenet121() -> _Net:
    """Huang et al., arXiv:1608.06993, growth rate 32."""
    net = _Net("DenseNet-121", 3, 224)
    net.conv(64, 7, 2)
    net.pool(3, 2, 1)
    for count in (6, 12, 24, 16):
        if count != 6:
            net.conv(net.C // 2, 1)
            net.pool()
        for _ in range(count):
            net.C += net.branch((128, 1), (32, 3))
    return net


def _convnext_t() -> _Net:
    """Liu et al., arXiv:2201.03545; its linear layers are 1x1 convolutions."""
    net = _Net("ConvNeXt-T", 3, 224)
    for C, count in ((96, 3), (192, 3), (384, 9), (768, 3)):
        side = 4 if C == 96 else 2
        net.conv(C, side, side, pad=0)
        for _ in range(count):
            net.depthwise(7)
            net.conv(4 * C, 1)
            net.conv(C, 1)
    return net


def _replknet_31b() -> _Net:
    """Ding et al., arXiv:2203.06717, small kernels merged into the large ones."""
    net = _Net("RepLKNet-31B", 3, 224)
    net.conv(128, 3, 2)
    net.depthwise(3)
    net.conv(128, 1)
    net.depthwise(3, 2)
    for C, count, kernel in ((128, 2, 31), (256, 2, 29), (512, 18, 27), (1024, 2, 13)):
        if C != net.C:
            net.conv(C, 1)
            net.depthwise(3, 2)
        for _ in range(count):
            net.conv(C, 1)
            net.depthwise(kernel)
            net.conv(C, 1)
            net.conv(4 * C, 1)
            net.conv(C, 1)
    return net


def _unet() -> _Net:
    """Ronneberger et al., arXiv:1505.04597; without its up-convolutions, which are transposed ones."""
    net = _Net("U-Net", 1, 572)
    for K in (64, 128, 256, 512, 1024):
        net.conv(K, 3, pad=0)
        net.conv(K, 3, pad=0)
        if K != 1024:
            net.pool()
    for K in (512, 256, 128, 64):
        net.size *= 2
        net.conv(K, 3, C=2 * K, pad=0)
        net.conv(K, 3, pad=0)
    net.conv(2, 1)
    return net


_BUILDERS: dict[str, Callable[[], _Net]] = {
    "alexnet": _alexnet,
    "vgg16": _vgg16,
    "resnet50": _resnet50,
    "inception_v3": _inception_v3,
    "mobilenet_v2": _mobilenet_v2,
    "resnext50": _resnext50,
    "densenet121": _densenet121,
    "efficientnet_b0": _efficientnet_b0,
    "convnext_t": _convnext_t,
    "replknet_31b": _replknet_31b,
    "deeplab": _deeplab,
    "unet": _unet,
}


def layers(network: str) -> tuple[NamedLayer, ...]:
    """All convolutions of a network in `NETWORKS`, in order, those that come again repeated."""
    return tuple(_BUILDERS[network]().layers)


NETWORKS: dict[str, tuple[NamedLayer, ...]] = {name: tuple(dict.fromkeys(layers(name))) for name in _BUILDERS}
"""Each different convolution of a network, once."""

SETS: dict[str, tuple[NamedLayer, ...]] = TABLES | NETWORKS
"""What ``fastconv bench --set`` knows: the tables, and networks, which contain the table of the same name."""
