"""Convolutions of volumes as ones of images: depth becomes further channels.

A plane of the output looks at one plane of the input per tap in depth. Laid one behind the other as channels of one
image, with the filters' taps in depth as channels too, they make a convolution of images, by any algorithm, whose sums
run over depth as well; no plane of outputs is added to another. Planes wait in workspace, some MiB of them at a time.
Volumes with kernels of one pixel in height and width, or of one plane in depth, are images as they are, if strides and
pads allow, and nothing is copied. A transposed convolution is one such stack for each phase of the stride in depth.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastconv import _core, dispatch, phases
from fastconv.arguments import Array, Limits, Shape
from fastconv.geometry import PLANE, VOLUME, Geometry, Pads
from fastconv.phases import Transposed

Triple = tuple[int, int, int]
Activation = tuple[str, float, float] | None


class Shapes(NamedTuple):
    """Of input and output, as a plan has them, and of the output as the user has it."""

    core_shapes: tuple[Shape, Shape]
    output_shape: Shape


class Volume(NamedTuple):
    """A sound convolution of volumes, or its transposed one: numbers per axis, depth first.

    Attributes:
        pads: Zeros around the input; of a transposed convolution, outputs cut off.
    """

    dtype: str
    layout: str
    batched: bool
    N: int
    C: int
    K: int
    groups: int
    extents: Triple
    kernel: Triple
    outputs: Triple
    stride: Triple
    dilation: Triple
    pads: Pads
    transposed: bool = False

    @property
    def channels_first(self) -> bool:
        return self.layout == VOLUME.layouts[0]

    @property
    def core_layout(self) -> str:
        return PLANE.layouts[VOLUME.layouts.index(self.layout)]

    def _shape(self, channels: int, extents: tuple[int, ...]) -> Shape:
        channels_last = self.layout == VOLUME.layouts[1]
        return (self.N, *extents, channels) if channels_last else (self.N, channels, *extents)

    @property
    def output_shape(self) -> Shape:
        shape = self._shape(self.K, self.outputs)
        return shape if self.batched else shape[1:]

    def _as_planes(self, channels: int, extents: Triple) -> Shape:
        return self._shape(channels, (extents[0], extents[1] * extents[2]))

    def shapes_for(self, plan: _core.Plan | _core.StackedPlan) -> Shapes:
        """Of a plan of this convolution: those of images, or height and width as one axis."""
        if isinstance(plan, _core.Plan):
            core_shapes: tuple[Shape, Shape] = plan.problem.input_shape, plan.problem.output_shape
        else:
            core_shapes = self._as_planes(self.C, self.extents), self._as_planes(self.K, self.outputs)
        return Shapes(core_shapes, self.output_shape)

    @property
    def _moves_in_planes(self) -> bool:
        """Whether outputs look at other pixels of a plane than their own."""
        own = self.kernel[1:] == self.stride[1:] == (1, 1) and self.pads[1:] == ((0, 0), (0, 0))
        return not own

    def as_images(self) -> _core.Problem | None:
        """The convolution as one of the same arrays seen as images, if there is such a one."""
        if self.transposed:
            return None
        D, H, W = self.extents
        if not self._moves_in_planes:  # a plane is a row of pixels
            sizes = self.N, self.C, D, H * W, self.K, self.kernel[0], 1
            geometry = self.stride[0], 1, *self.pads[0], 0, 0, self.dilation[0], 1
            return _core.Problem(self.dtype, *sizes, *geometry, self.groups, self.core_layout)
        own_plane = self.kernel[0] == self.stride[0] == 1 and self.pads[0] == (0, 0)
        if own_plane and (D == 1 or self.layout == VOLUME.layouts[1]):  # planes are images already
            return self._plane_problem(self.N * D, 1)
        return None

    def _plane_problem(self, images: int, taps: int) -> _core.Problem:
        sizes = images, self.C * taps, *self.extents[1:], self.K, *self.kernel[1:]
        (top, bottom), (left, right) = self.pads[1:]
        geometry = *self.stride[1:], top, bottom, left, right, *self.dilation[1:]
        return _core.Problem(self.dtype, *sizes, *geometry, self.groups, self.core_layout)

    def images_at_a_time(self, stack: Stack) -> int:
        """How many planes of a stack are made at a time."""
        image = len(stack.taps) * self.C * math.prod(self.extents[1:])
        return phases.portion(stack.planes, image * np.dtype(self.dtype).itemsize)

    def problems(self) -> list[_core.Problem]:
        """The convolutions of images that it is made of, prepared."""
        problem = self.as_images()
        if problem is not None:
            return [problem]
        problems = []
        for stack in self.stacks(prepared=True):
            numbers = self.images_at_a_time(stack), len(stack.taps)
            if self.transposed and stack.taps:
                problems += _transposed_plane(self, *numbers).problems()
            elif stack.taps:
                problems.append(self._plane_problem(*numbers))
        return problems

    def stacks(self, prepared: bool) -> list[Stack]:
        """The planes of the output, by what they look at."""
        if not self.transposed:
            whole = Stack(tuple(range(self.kernel[0])), 0, 1, self.outputs[0], -self.pads[0][0], *self._depth_steps)
            parts = self._without_padding(whole)
            return parts if self._saves(parts, prepared) else [whole]
        axis = phases.along(
            self.extents[0], self.kernel[0], self.stride[0], self.dilation[0], self.pads[0][0], self.outputs[0]
        )
        stacks = [Stack((), first, step, count, 0, 0, 0) for first, step, count, _ in axis.blank]
        for part in axis.parts:
            start = part.phases[0][3] - part.pads[0]
            for (first, step, count, _), taps in zip(part.phases, part.taps, strict=True):
                stacks.append(Stack(taps, first, step, count, start, 1, part.dilation))
        return stacks

    @property
    def _depth_steps(self) -> tuple[int, int]:
        return self.stride[0], self.dilation[0]

    def _without_padding(self, whole: Stack) -> list[Stack]:
        """The same planes, those apart that see fewer planes of the input, and these alone as their taps."""
        parts: list[Stack] = []
        for j in range(whole.planes):
            start = whole.start + j * whole.plane_step
            taps = tuple(m for m in whole.taps if 0 <= start + m * whole.tap_step < self.extents[0])
            if parts and parts[-1].taps == taps:
                parts[-1] = parts[-1]._replace(planes=parts[-1].planes + 1)
            else:
                first_plane = start + (taps[0] if taps else 0) * whole.tap_step
                parts.append(Stack(taps, j, 1, 1, first_plane, *self._depth_steps))
        return parts

    def _saves(self, parts: list[Stack], prepared: bool) -> bool:
        """Whether products with padding in depth take longer than to bring the weights of more plans into order.

        A weight takes about as long as 100 products. Prepared forms do it once, but keep all these weights.
        """
        products, wasted = self.outputs[0] * self.kernel[0], 0
        for part in parts:
            wasted += part.planes * (self.kernel[0] - len(part.taps))
        weights = sum(len(part.taps) for part in parts) - self.kernel[0]
        pixels = self.N * math.prod(self.outputs[1:])
        return wasted * 12 > products and (prepared or wasted * pixels > 100 * weights)


class Stack(NamedTuple):
    """Planes first + j * step of the output, j < planes: the i-th of `taps` looks at plane start + j * plane_step + i *
    tap_step of the input.
    """

    taps: tuple[int, ...]
    first: int
    step: int
    planes: int
    start: int
    plane_step: int
    tap_step: int


def of_convolution(laid: Any, geometry: Geometry, layout: str, dtype: str) -> Volume:
    """From filters laid on a volume."""
    numbers: dict[str, Any] = laid._asdict()
    return Volume(
        dtype=dtype,
        layout=layout,
        groups=geometry.groups,
        stride=geometry.stride,  # type: ignore[arg-type]  # of three, as the space has axes
        dilation=geometry.dilation,  # type: ignore[arg-type]
        **numbers,
    )


def plan(
    volume: Volume,
    weight: Array,
    bias: Array | None,
    activation: Activation,
    algorithm: str,
    limits: Limits,
    *,
    prepared: bool,
) -> _core.Plan | _core.StackedPlan:
    """Everything that is done once. `weight` is (K, C // groups, T, R, S), transposed (C, K // groups, T, R, S).

    Raises:
        ValueError: `algorithm` rejects a convolution of images that this is made of.
    """

    def image_plan(problem: _core.Problem, filters: Array) -> _core.Plan:
        problem = limits.problem(problem)
        chosen = dispatch.resolve(
            algorithm, problem, prepared=prepared, workspace_limit=None, max_error=limits.most
        ).algorithm
        return _core.Plan(problem, chosen, filters, bias, activation)

    problem = volume.as_images()
    if problem is not None:
        return image_plan(problem, weight.reshape(problem.weight_shape))

    stacked: list[tuple[_core.Plan | _core.InterleavedPlan | None, Any]] = []
    for stack in volume.stacks(prepared):
        taps, first, step, count, *steps = stack
        if not taps:
            stacked.append((None, (first, step, count, 1, 0, 0, 0, 0)))
            continue
        images = volume.images_at_a_time(stack)
        filters = _filters(volume, weight, taps)
        operation: _core.Plan | _core.InterleavedPlan
        if volume.transposed:
            layer = _transposed_plane(volume, images, len(taps))
            filters = filters.reshape(*filters.shape[:2], *layer.kernel)
            operation = phases.plan(layer, filters, bias, activation, algorithm, limits, prepared=prepared)
        else:
            operation = image_plan(volume._plane_problem(images, len(taps)), filters)
        stacked.append((operation, (first, step, count, images, len(taps), *steps)))
    D, H, W = volume.extents
    planes, P, Q = volume.outputs
    like = _core.Problem(volume.dtype, 1, 1, 1, 1, 1, 1, 1, layout=volume.core_layout)
    extents = volume.N, volume.C, D, H * W, volume.K, planes, P * Q, volume.groups
    return _core.StackedPlan(like, extents, stacked, bias, activation)


def _filters(volume: Volume, weight: Array, taps: tuple[int, ...]) -> Array:
    """Of images whose channels are all the planes that the taps see.

    With channels first these are, channel by channel, the planes of its taps, which is how weights lie; with channels
    last, in each group, the taps' planes of all channels.
    """
    picked = weight if taps == tuple(range(weight.shape[2])) else weight[:, :, list(taps)]
    T, R, S = len(taps), *weight.shape[3:]
    first, second = weight.shape[:2]
    if volume.transposed:  # (C, K // groups, ...)
        grouped = picked.reshape(volume.groups, first // volume.groups, second, T, R, S)
        laid = grouped.swapaxes(2, 3) if volume.channels_first else grouped.transpose(0, 3, 1, 2, 4, 5)
        return np.ascontiguousarray(laid).reshape(first * T, second, R, S)
    laid = picked if volume.channels_first else picked.swapaxes(1, 2)
    return np.ascontiguousarray(laid).reshape(first, T * second, R, S)


def _transposed_plane(volume: Volume, images: int, taps: int) -> Transposed:
    def plane(numbers: Triple) -> tuple[int, int]:
        return numbers[1], numbers[2]

    return Transposed(
        volume.dtype,
        volume.core_layout,
        volume.core_layout,
        True,
        images,
        volume.C * taps,
        volume.K,
        volume.groups,
        plane(volume.extents),
        plane(volume.kernel),
        plane(volume.outputs),
        plane(volume.stride),
        plane(volume.dilation),
        (volume.pads[1][0], volume.pads[2][0]),
    ).simplified


def put_planes(x: npt.NDArray[Any], start: int, stride: int, dilation: int, to: npt.NDArray[Any]) -> None:
    """Into to[n, j, t] = (groups, C // groups, H, W) the planes that output plane j looks at by its tap t.

    These are planes start + j * stride + t * dilation of x, (N, C, D, H, W). Where there is none, `to` stays as it is.
    """
    N, planes, taps, groups, Cg, H, W = to.shape
    D = x.shape[2]
    by_plane = x.reshape(N, groups, Cg, D, H, W).transpose(0, 3, 1, 2, 4, 5)
    for tap in range(taps):
        seen = start + np.arange(planes) * stride + tap * dilation
        inside = np.flatnonzero((seen >= 0) & (seen < D))
        to[:, inside, tap] = by_plane[:, seen[inside]]


def weight_gradient(volume: Volume, x: Array, dy: Array) -> Array:
    """(K, C // groups, T, R, S) of a convolution, from its input and the gradient of its output, with all axes.

    Every plane of outputs is an image, and the planes it looks at are copied to be that image's channels: workspace of
    T times the input.
    """
    channels_last = volume.layout == VOLUME.layouts[1]
    if channels_last:
        x, dy = np.moveaxis(x, -1, 1), np.moveaxis(dy, -1, 1)
    T, groups = volume.kernel[0], volume.groups
    N, C, _, H, W = x.shape
    K, planes, P, Q = dy.shape[1:]
    stacked = np.zeros((N, planes, groups, C // groups, T, H, W), x.dtype)
    put_planes(x, -volume.pads[0][0], *volume._depth_steps, stacked.transpose(0, 1, 4, 2, 3, 5, 6))
    images = stacked.reshape(N * planes, C * T, H, W)
    gradients = np.ascontiguousarray(dy.transpose(0, 2, 1, 3, 4)).reshape(N * planes, K, P, Q)
    first = volume._replace(layout=VOLUME.layouts[0])
    dw: Array = _core.weight_gradient(first._plane_problem(N * planes, T), images, gradients, None)
    return dw.reshape(K, C // groups, *volume.kernel)
