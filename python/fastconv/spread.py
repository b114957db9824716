"""Transposed convolutions from a user's numbers to layers, for functions, prepared forms and gradients alike."""

from __future__ import annotations

from typing import NamedTuple

from fastconv import layers
from fastconv.arguments import Shape, as_filters, as_images
from fastconv.geometry import Pads, Space, as_int, as_padding, as_steps
from fastconv.layers import Form


class Spread(NamedTuple):
    """How a transposed convolution's filters lie on its output. Numbers per axis."""

    stride: tuple[int, ...]
    padding: Pads
    output_padding: tuple[int, ...]
    groups: int
    dilation: tuple[int, ...]
    space: Space

    def outputs(self, extents: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
        """The output's extents."""
        numbers = zip(extents, self.stride, self.padding, self.dilation, kernel, self.output_padding, strict=True)
        return tuple(
            (extent - 1) * stride - low - high + dilation * (taps - 1) + more + 1
            for extent, stride, (low, high), dilation, taps, more in numbers
        )


def as_spread(
    stride: object, padding: object, output_padding: object, groups: object, dilation: object, space: Space
) -> Spread:
    pads = as_padding(padding, space)
    if isinstance(pads, str):
        raise ValueError(f"padding: expected numbers for a transposed convolution, got {padding!r}")
    spread = Spread(
        as_steps(stride, "stride", 1, space),
        pads,
        as_steps(output_padding, "output_padding", 0, space),
        as_int(groups, "groups", 1),
        as_steps(dilation, "dilation", 1, space),
        space,
    )
    for more, own_stride, own_dilation in zip(spread.output_padding, spread.stride, spread.dilation, strict=True):
        if more >= max(own_stride, own_dilation):
            raise ValueError(
                f"output_padding: expected less than the stride or the dilation, got {output_padding!r} with stride "
                f"{spread.stride} and dilation {spread.dilation}"
            )
    return spread


def fit_transposed(
    input_shape: Shape,
    weight_shape: Shape,
    spread: Spread,
    layout: str,
    dtype: str,
    names: tuple[str, str] = ("input", "weight"),
    outputs: tuple[int, ...] | None = None,
) -> Form:
    """Lay checked filters (C, K // groups, ...) on an image; `outputs` instead of what the padding leaves."""
    input_name, weight_name = names
    space, groups = spread.space, spread.groups
    images = as_images(input_shape, input_name, layout)
    C, _, *taps = weight_shape
    if C != images.C:
        raise ValueError(
            f"{weight_name}: expected shape[0] to be the {images.C} channels of {input_name}, got {C}; "
            f"{weight_name} has shape {weight_shape}, {input_name} {input_shape}"
        )
    kernel = tuple(taps)
    outputs = spread.outputs(images.extents, kernel) if outputs is None else outputs
    if min(outputs) < 1:
        raise ValueError(
            f"{input_name}: expected outputs of at least 1 pixel, got {' x '.join(map(str, outputs))}; {input_name} "
            f"has shape {input_shape}, {weight_name} {weight_shape}"
        )

    numbers = images, weight_shape, outputs, spread.stride, spread.dilation, spread.padding
    try:
        return layers.of_transposed(*numbers, groups, layout, dtype, space)
    except ValueError:  # sizes that no memory holds
        size = " x ".join(map(str, outputs))
        raise ValueError(f"{input_name}: expected an output that fits 2^62 bytes, got {size}") from None


def as_spread_filters(weight_shape: object, groups: int, space: Space) -> Shape:
    """(C, K // groups, ...), each at least 1, with C a multiple of `groups`."""
    return as_filters(weight_shape, groups, space=space, letters=("C", "K // groups"))
