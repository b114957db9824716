"""Transposed convolutions from a user's numbers to plans, for functions, prepared forms and gradients alike."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any, NamedTuple

from fastconv import _core, phases, products, volumes
from fastconv.arguments import (
    Array,
    Limits,
    Shape,
    as_filters,
    as_images,
)
from fastconv.arrays import Reshaped, ready, run_on
from fastconv.geometry import (
    PLANE,
    VOLUME,
    Pads,
    Space,
    as_int,
    as_padding,
    as_steps,
)
from fastconv.phases import Transposed
from fastconv.volumes import Volume


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


@lru_cache(maxsize=phases.REMEMBERED)
def fit_transposed(
    input_shape: Shape,
    weight_shape: Shape,
    spread: Spread,
    layout: str,
    dtype: str,
    names: tuple[str, str] = ("input", "weight"),
    outputs: tuple[int, ...] | None = None,
) -> Transposed | Volume:
    """Lay checked filters (C, K // groups, ...) on an image; `outputs` instead of what the padding leaves."""
    input_name, weight_name = names
    space, groups = spread.space, spread.groups
    images = as_images(input_shape, input_name, layout)
    C, Kg, *taps = weight_shape
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
    if math.prod((images.N, Kg * groups, *outputs)) >= 2**59:  # numbers that the core would refuse
        raise ValueError(f"{input_name}: expected an output that fits 2^62 bytes, got {' x '.join(map(str, outputs))}")
    if space is VOLUME:
        numbers: Any = images.extents, kernel, outputs, spread.stride, spread.dilation, spread.padding
        volume = Volume(dtype, layout, images.batched, images.N, C, Kg * groups, groups, *numbers)
        return volume._replace(transposed=True)

    def plane(numbers: tuple[int, ...], missing: int) -> tuple[int, int]:
        height, width = (missing,) * (PLANE.rank - space.rank) + numbers
        return height, width

    return Transposed(
        dtype,
        layout,
        PLANE.layouts[space.layouts.index(layout)],
        images.batched,
        images.N,
        C,
        Kg * groups,
        groups,
        plane(images.extents, 1),
        plane(kernel, 1),
        plane(outputs, 1),
        plane(spread.stride, 1),
        plane(spread.dilation, 1),
        plane(tuple(low for low, _ in spread.padding), 0),
    ).simplified


def as_spread_filters(weight_shape: object, groups: int, space: Space) -> Shape:
    """(C, K // groups, ...), each at least 1, with C a multiple of `groups`."""
    return as_filters(weight_shape, groups, space=space, letters=("C", "K // groups"))


def run_once(
    layer: Transposed | Volume,
    x: Array,
    weight: Array,
    bias: Array | None,
    activation: tuple[str, float, float] | None,
    algorithm: str,
    limits: Limits,
    out: Array | None,
    residual: Array | None = None,
) -> Array:
    """The result for checked arrays, with weights that are used once."""
    w, b = ready(weight), None if bias is None else ready(bias)
    if algorithm == "auto" and limits.most is None and residual is None and products.pays(layer):
        shapes, product = products.bound(layer, w, b, activation)
        return run_on(shapes, lambda x, y, _: product(x, y), x, out)
    if isinstance(layer, Transposed) and layer.is_one_convolution():
        ((row, column, problem, chosen),) = phases.convolutions(layer, algorithm, limits, False, _core.get_isa())
        filters, taps = w.reshape(*w.shape[:2], *layer.kernel), (row.taps[0], column.taps[0])
        once = partial(_core.run_phase_once, problem, chosen, activation)
        return run_on(layer, lambda x, y, r: once(x, filters, *taps, b, y, r), x, out, residual)
    plan, planned = make_plan(layer, w, b, activation, algorithm, limits, prepared=False)
    return run_on(planned, plan, x, out, residual)


def make_plan(
    layer: Transposed | Volume,
    weight: Array,
    bias: Array | None,
    activation: tuple[str, float, float] | None,
    algorithm: str,
    limits: Limits,
    *,
    prepared: bool,
) -> tuple[_core.InterleavedPlan | _core.StackedPlan, Reshaped]:
    """A plan and the shapes it has."""
    if isinstance(layer, Volume):
        stacked = volumes.plan(layer, weight, bias, activation, algorithm, limits, prepared=prepared)
        assert isinstance(stacked, _core.StackedPlan), "a transposed one is never seen as images"
        return stacked, layer.shapes_for(stacked)
    filters = weight.reshape(*weight.shape[:2], *layer.kernel)
    return phases.plan(layer, filters, bias, activation, algorithm, limits, prepared=prepared), layer
