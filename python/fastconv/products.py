"""Transposed convolutions whose weights are used once, as one product with the weights as they lie.

Plans of phases want weights in an order of their own, which takes two passes over them. The product of the inputs with
the weights as they are, (C) x (K / groups, taps), needs none, but makes a value for each input, filter and tap, which
is then added to the output under it. So it pays where there are few inputs and many channels.

Source: the product before the additions is that of Chellapilla, Puri and Simard, 2006, transposed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastconv import _core
from fastconv.arguments import Array
from fastconv.geometry import PLANE, VOLUME
from fastconv.phases import Transposed
from fastconv.volumes import Shapes, Volume

# Most inputs per channel: a value costs 0.5 to 1 ns to add up, a weight 2 ns to bring into order. By stride 1 plans
# have Winograd's transforms to win back what their weights cost. (One thread; 512 -> 256 by 2, 16 taps, on 32 pixels:
# 1.7 ms against 7 to 17; 256 -> 128 on 256: 2.8 against 3.6; 3x3 by 1, 512 -> 512 on 196: 10.2 against 10.8.)
_INPUTS_PER_CHANNEL = 2.0
_INPUTS_PER_CHANNEL_BY_1 = 0.2


def pays(layer: Transposed | Volume) -> bool:
    """Whether the additions are estimated to take less time than bringing weights into order."""
    most = _INPUTS_PER_CHANNEL_BY_1 if set(layer.stride) == {1} else _INPUTS_PER_CHANNEL
    return layer.N * math.prod(layer.extents) <= most * (layer.C // layer.groups)


def bound(
    layer: Transposed | Volume, weight: Array, bias: Array | None, activation: tuple[str, float, float] | None
) -> tuple[Shapes, Callable[[Array, Array | None], Array]]:
    """The shapes that the core takes, and a function from input and output to the output. `weight` is plain."""

    def axes(numbers: tuple[int, ...], missing: int = 1) -> Any:
        return (missing,) * (VOLUME.rank - len(numbers)) + numbers

    if isinstance(layer, Volume):
        layout, pads = layer.core_layout, tuple(front for front, _ in layer.pads)
    else:
        layout, pads = layer.core_layout, layer.pads
    numbers = (layer.extents, layer.kernel, layer.outputs, layer.stride, layer.dilation)
    sizes = layer.N, layer.C, layer.K, layer.groups
    all_axes: Any = (*map(axes, numbers), axes(pads, 0))
    taps = weight.reshape(*weight.shape[:2], -1)

    def shape(channels: int, extents: tuple[int, int, int]) -> tuple[int, ...]:
        planes = extents[0], extents[1] * extents[2]
        return (layer.N, *planes, channels) if layout == PLANE.layouts[1] else (layer.N, channels, *planes)

    shapes = shape(layer.C, all_axes[0]), shape(layer.K, all_axes[2])

    def run(x: Array, out: Array | None) -> Array:
        return _core.spread_product(layout, sizes, all_axes, activation, x, taps, bias, out)

    return Shapes(shapes, layer.output_shape), run
