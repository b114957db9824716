"""Other ways to the same output shape and receptive field: what networks use in place of one layer.

Each function gives a :class:`fastconv.bench.chain.Chain`, or None where the idea does not apply to the layer. They
compute something else than the layer does: what they cost is known, how well a network learns with them is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from fastconv.bench.chain import Chain
from fastconv.bench.layers import NamedLayer

VGG = "Simonyan, Zisserman, arXiv:1409.1556"
INCEPTION_V3 = "Szegedy et al., arXiv:1512.00567"
INCEPTION = "Szegedy et al., arXiv:1409.4842"
RESNET = "He et al., arXiv:1512.03385"
RESNEXT = "Xie et al., arXiv:1611.05431"
MOBILENET = "Howard et al., arXiv:1704.04861; Chollet, arXiv:1610.02357"
DILATED = "Yu, Koltun, arXiv:1511.07122"

Side = tuple[int, int]

GROUPS = (2, 4, 8, 16, 32, 64)


def as_is(layer: NamedLayer) -> Chain:
    return Chain("as is", (replace(layer, name=_size(layer)),))


def stack(layer: NamedLayer) -> Chain | None:
    """(R - 1) / 2 layers of 3x3 with as many pixels in sight; filters as in `layer`, its stride in the last one."""
    if layer.R != layer.S or layer.R < 5 or layer.R % 2 == 0:
        return None
    count = (layer.R - 1) // 2
    top, bottom, left, right = (_share(pad, count) for pads in layer.padding for pad in pads)
    layers, C, (H, W) = [], layer.C, (layer.H, layer.W)
    for i in range(count):
        step = replace(
            layer,
            name="3x3",
            C=C,
            H=H,
            W=W,
            R=3,
            S=3,
            stride=layer.stride if i == count - 1 else (1, 1),
            padding=((top[i], bottom[i]), (left[i], right[i])),
        )
        layers.append(step)
        _, C, H, W = step.problem().output_shape
    return Chain(f"{count} x 3x3", tuple(layers), VGG)


def _share(pad: int, count: int) -> list[int]:
    """`pad` over `count` layers: they see no less of the border than one layer does, and the output has its size."""
    return [pad // count + (i < pad % count) for i in range(count)]


def rows_then_columns(layer: NamedLayer) -> Chain | None:
    """1xS, then Rx1, with as many filters each."""
    if layer.R < 2 or layer.S < 2:
        return None
    across = replace(
        layer,
        name=f"1x{layer.S}",
        R=1,
        stride=(1, layer.stride[1]),
        padding=((0, 0), layer.padding[1]),
    )
    W = across.problem().output_shape[3]
    down = replace(
        layer,
        name=f"{layer.R}x1",
        C=layer.K,
        W=W,
        S=1,
        stride=(layer.stride[0], 1),
        padding=(layer.padding[0], (0, 0)),
    )
    return Chain(f"1x{layer.S} then {layer.R}x1", (across, down), INCEPTION_V3)


def bottleneck(layer: NamedLayer, share: int = 4) -> Chain | None:
    """1x1 down to a `share`-th of the filters, the kernel there, 1x1 up again."""
    narrow = layer.K // share
    if layer.groups != 1 or narrow < 1 or (layer.R, layer.S) == (1, 1):
        return None
    down = _pointwise(layer, layer.C, narrow, layer.H, layer.W)
    middle = replace(layer, name=f"{_size(layer)} on {narrow}", C=narrow, K=narrow)
    P, Q = middle.problem().output_shape[2:]
    return Chain(f"bottleneck, 1/{share}", (down, middle, _pointwise(layer, narrow, layer.K, P, Q)), RESNET)


def reduced(layer: NamedLayer, narrow: int) -> Chain:
    """1x1 down to `narrow` channels, then the kernel with all its filters."""
    down = _pointwise(layer, layer.C, narrow, layer.H, layer.W)
    return Chain(
        f"1x1 to {narrow}, then {_size(layer)}", (down, replace(layer, name=_size(layer), C=narrow)), INCEPTION
    )


def grouped(layer: NamedLayer, groups: int) -> Chain | None:
    """The same layer in `groups` groups."""
    if groups <= layer.groups or layer.C % groups or layer.K % groups or groups == layer.C:
        return None
    return Chain(f"{groups} groups", (replace(layer, name=f"{_size(layer)} g{groups}", groups=groups),), RESNEXT)


def depthwise_separable(layer: NamedLayer) -> Chain | None:
    """The kernel on each channel by itself, then 1x1 over all of them."""
    if layer.groups != 1 or layer.C == 1 or (layer.R, layer.S) == (1, 1):
        return None
    depthwise = replace(layer, name=f"{_size(layer)} depthwise", K=layer.C, groups=layer.C)
    P, Q = depthwise.problem().output_shape[2:]
    return Chain("depthwise-separable", (depthwise, _pointwise(layer, layer.C, layer.K, P, Q)), MOBILENET)


def dilated(layer: NamedLayer) -> Chain | None:
    """3x3 whose taps are spread over the same field."""
    if layer.R != layer.S or layer.R < 5 or layer.R % 2 == 0:
        return None
    step = (layer.R - 1) // 2
    spread = (layer.dilation[0] * step, layer.dilation[1] * step)
    return Chain(f"3x3, dilation {step}", (replace(layer, name=f"3x3 d{step}", R=3, S=3, dilation=spread),), DILATED)


def _pointwise(layer: NamedLayer, C: int, K: int, H: int, W: int) -> NamedLayer:
    return NamedLayer("1x1", C, H, W, K, 1, 1, N=layer.N)


def _size(layer: NamedLayer) -> str:
    return f"{layer.R}x{layer.S}"


IDEAS: tuple[Callable[[NamedLayer], Chain | None], ...] = (
    stack,
    rows_then_columns,
    bottleneck,
    depthwise_separable,
    dilated,
)


def alternatives(layer: NamedLayer) -> Iterator[Chain]:
    """The layer as it is, then everything that has its output shape and its receptive field."""
    yield as_is(layer)
    for idea in IDEAS:
        if (chain := idea(layer)) is not None:
            yield chain
    for groups in GROUPS:
        if (chain := grouped(layer, groups)) is not None:
            yield chain
