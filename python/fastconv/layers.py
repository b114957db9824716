"""From checked numbers to the core's :class:`Layer`, one record for every operator, and the shapes users see.

An axis that the user's arrays do not have is one pixel with one tap: signals, images and volumes are one record.
How a layer becomes convolutions of images is in cpp/include/fastconv/lowering.hpp.
"""

from __future__ import annotations

from typing import NamedTuple

from fastconv import _core
from fastconv.arguments import Images, Laid, Shape
from fastconv.geometry import PLANE, Geometry, Pads, Space


class Form(NamedTuple):
    """A sound layer, and the shape of its output as the user has it: perhaps without N."""

    layer: _core.Layer
    output_shape: Shape
    batched: bool


def _axes(
    extents: Shape, kernel: Shape, outputs: Shape, stride: Shape, dilation: Shape, pads: Pads
) -> tuple[tuple[int, int, int, int, int, int, int], ...]:
    numbers = zip(extents, kernel, outputs, stride, dilation, pads, strict=True)
    return tuple((*numbers_of_axis, *sides) for *numbers_of_axis, sides in numbers)


def core_layout(layout: str, space: Space) -> str:
    """The core's name: "NCHW" for channels first, "NHWC" for channels last."""
    return PLANE.layouts[space.layouts.index(layout)]


def _output_shape(batched: bool, N: int, K: int, outputs: Shape, channels_last: bool) -> Shape:
    shape = (N, *outputs, K) if channels_last else (N, K, *outputs)
    return shape if batched else shape[1:]


def of_convolution(laid: Laid, geometry: Geometry, layout: str, dtype: str) -> Form:
    """A forward layer from filters laid on an input."""
    axes = _axes(laid.extents, laid.kernel, laid.outputs, geometry.stride, geometry.dilation, laid.pads)
    core = core_layout(layout, geometry.space)
    layer = _core.Layer("forward", dtype, core, laid.N, laid.C, laid.K, geometry.groups, axes)
    shape = _output_shape(laid.batched, laid.N, laid.K, laid.outputs, core == PLANE.layouts[1])
    return Form(layer, shape, laid.batched)


def of_transposed(
    images: Images,
    weight_shape: Shape,
    outputs: Shape,
    stride: Shape,
    dilation: Shape,
    pads: Pads,
    groups: int,
    layout: str,
    dtype: str,
    space: Space,
) -> Form:
    """A transposed layer; `outputs` are asked for, `pads` are outputs cut off."""
    Kg, *taps = weight_shape[1:]
    axes = _axes(images.extents, tuple(taps), outputs, stride, dilation, pads)
    core = core_layout(layout, space)
    layer = _core.Layer("transposed", dtype, core, images.N, images.C, Kg * groups, groups, axes)
    shape = _output_shape(images.batched, images.N, Kg * groups, outputs, core == PLANE.layouts[1])
    return Form(layer, shape, images.batched)
