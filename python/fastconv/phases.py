"""A transposed convolution as ordinary ones by stride 1: which taps and which inputs each output looks at.

Output y takes tap r of input i where y + pad = i * stride + r * dilation. Outputs with the same remainder by the stride
are a *phase*: they share their taps, and neighbours among them look at neighbouring inputs. A phase is a convolution by
stride 1 with those taps, flipped; phases that look at the same inputs are one convolution with more filters, and so are
all of them if the kernel is as large as the stride. Nothing is multiplied by the zeros between inputs, and no two
products are added in memory.

Source: the phases are those of a polyphase filter (Crochiere and Rabiner, Multirate Digital Signal Processing, 1983);
as filters of one convolution, Shi et al., arXiv:1609.07009.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fastconv import _core, dispatch
from fastconv.arguments import Array, Limits, Shape, users_shape
from fastconv.geometry import PLANE

# Layers whose parts are remembered: to find them takes a tenth of a millisecond, as long as small layers do.
REMEMBERED = 256
# Outputs of phases wait to be interleaved: those of so many images at a time that they stay in the caches, if a few do.
_WAITING_BYTES = 4 * 1024 * 1024


def portion(count: int, item_bytes: int) -> int:
    """How many of `count` items to take at a time, a divisor of it, at least 1."""
    most = max(1, _WAITING_BYTES // max(item_bytes, 1))
    if count <= most:
        return max(count, 1)
    small = [n for n in range(1, math.isqrt(count) + 1) if count % n == 0]
    return max(n for divisor in small for n in (divisor, count // divisor) if n <= most)


class Part(NamedTuple):
    """Along an axis: phases that are one convolution, and that convolution.

    Attributes:
        phases: (first, stride, count, skip): output first + i * stride is value `skip` + i.
        taps: For each phase, its taps, in the convolution's order.
        dilation: Inputs from one tap to the next.
        pads: (before, after).
    """

    phases: tuple[tuple[int, int, int, int], ...]
    taps: tuple[tuple[int, ...], ...]
    dilation: int
    pads: tuple[int, int]


class Axis(NamedTuple):
    """All outputs along an axis: those of the parts, and as (first, step, count, 0) those that see no tap."""

    parts: tuple[Part, ...]
    blank: tuple[tuple[int, int, int, int], ...]


@lru_cache(maxsize=REMEMBERED)
def along(extent: int, taps: int, stride: int, dilation: int, pad: int, outputs: int) -> Axis:
    """The phases of an axis.

    Args:
        extent: Inputs.
        taps, stride, dilation: Of the transposed convolution.
        pad: Outputs cut off in front.
        outputs: How many there are then.
    """
    by_first: dict[int, list[int]] = {}  # the taps that output `first` sees, and those behind it by whole strides
    for tap in range(taps):
        by_first.setdefault((tap * dilation - pad) % stride, []).append(tap)
    firsts = sorted(first for first in by_first if first < outputs)
    step = dilation // math.gcd(dilation, stride)
    groups: dict[tuple[int, int], list[tuple[int, int, tuple[int, ...]]]] = {}
    for first in firsts:
        count = -(-(outputs - first) // stride)
        seen = tuple(reversed(by_first[first]))
        start = (first + pad - seen[0] * dilation) // stride  # the input under the first output's first tap
        groups.setdefault((start, len(seen)), []).append((first, count, seen))
    parts = []
    for (start, length), members in groups.items():
        last = start + (length - 1) * step + max(count for _, count, _ in members) - 1
        skip = max(start, 0)  # inputs that no output looks at: outputs of theirs are made, and passed over
        phases = tuple((first, stride, count, skip) for first, count, _ in members)
        pads = max(-start, 0), max(last - (extent - 1), 0)
        parts.append(Part(phases, tuple(seen for *_, seen in members), step, pads))
    return Axis(tuple(parts), tuple(_blank(firsts, stride, outputs)))


def _blank(firsts: list[int], stride: int, outputs: int) -> Iterator[tuple[int, int, int, int]]:
    """Outputs between the phases: by whole strides, or where gaps are long and strides few, gap by gap.

    So they are fewer than the root of the outputs, for each gap between two phases.
    """
    for before, after in itertools.pairwise([-1, *firsts, min(stride, outputs)]):
        gap = range(before + 1, after)
        starts = range(gap.start, outputs, stride)
        if len(gap) <= len(starts):
            yield from ((first, stride, len(range(first, outputs, stride)), 0) for first in gap)
        else:
            yield from ((start, 1, min(len(gap), outputs - start), 0) for start in starts)


_PER_AXIS = ("extents", "kernel", "outputs", "stride", "dilation", "pads")


class Transposed(NamedTuple):
    """A sound transposed convolution, of images: one axis more than a user's signals have.

    Attributes:
        batched, layout: Of the user's arrays.
        C: Channels of the input; K of the output.
        extents, kernel, outputs: (height, width).
        stride, dilation: (height, width).
        pads: Outputs cut off at the (top, left).
        is_column: Whether the user's images are one column wide; here they are rows of pixels.
    """

    dtype: str
    layout: str
    core_layout: str
    batched: bool
    N: int
    C: int
    K: int
    groups: int
    extents: tuple[int, int]
    kernel: tuple[int, int]
    outputs: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[int, int]
    is_column: bool = False

    def _core_shape(self, channels: int, extents: tuple[int, int]) -> Shape:
        channels_last = self.core_layout == PLANE.layouts[1]
        return (self.N, *extents, channels) if channels_last else (self.N, channels, *extents)

    @property
    def core_shapes(self) -> tuple[Shape, Shape]:
        return self._core_shape(self.C, self.extents), self._core_shape(self.K, self.outputs)

    @property
    def output_shape(self) -> Shape:
        height, width = self.outputs
        shape = self._core_shape(self.K, (width, height) if self.is_column else (height, width))
        return users_shape(shape, self.layout, self.batched)

    @property
    def simplified(self) -> Transposed:
        """The same sums on the same arrays: images one column wide are rows of pixels, which lie along vectors."""
        _, width = zip(self.extents, self.kernel, self.outputs, self.pads, strict=True)
        if self.is_column or width != (1, 1, 1, 0) or self.extents[0] == self.outputs[0] == 1:
            return self
        numbers = {name: getattr(self, name)[::-1] for name in _PER_AXIS}
        return self._replace(**numbers, is_column=True)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        numbers = zip(self.extents, self.kernel, self.stride, self.dilation, self.pads, self.outputs, strict=True)
        rows, columns = (along(*numbers_of_axis) for numbers_of_axis in numbers)
        return rows, columns

    def images_at_a_time(self, rows: Part, columns: Part) -> int:
        """All of them if no outputs wait."""
        if self._is_whole(rows, columns):
            return self.N
        return portion(self.N, self.K * math.prod(self.outputs) * np.dtype(self.dtype).itemsize)

    def problem(self, rows: Part, columns: Part) -> _core.Problem:
        """The convolution of a part in each direction."""
        phases = len(rows.phases) * len(columns.phases)
        return _core.Problem(
            self.dtype,
            self.images_at_a_time(rows, columns),
            self.C,
            *self.extents,
            self.K * phases,
            len(rows.taps[0]),
            len(columns.taps[0]),
            1,
            1,
            *rows.pads,
            *columns.pads,
            rows.dilation,
            columns.dilation,
            self.groups,
            self.core_layout,
        )

    def problems(self) -> list[_core.Problem]:
        """All of them."""
        rows, columns = self.axes
        return [self.problem(*parts) for parts in itertools.product(rows.parts, columns.parts)]

    def is_one_convolution(self) -> bool:
        """Whether all outputs are those of one convolution as it makes them: by stride 1, none passed over."""
        rows, columns = self.axes
        if len(rows.parts) != 1 or len(columns.parts) != 1:
            return False
        row, column = rows.parts[0], columns.parts[0]
        problem = self.problem(row, column)
        return self._is_whole(row, column) and self.outputs == (problem.P, problem.Q)

    def _is_whole(self, rows: Part, columns: Part) -> bool:
        return (rows.phases, columns.phases) == tuple(((0, 1, outputs, 0),) for outputs in self.outputs)

    def filters(self, weight: Array, rows: Part, columns: Part) -> Array:
        """Of the convolution of two parts, from (C, K // groups, R, S): in each group, every phase's in turn."""
        return _core.phase_filters(weight, self.groups, rows.taps, columns.taps)

    def per_filter(self, values: Array, rows: Part, columns: Part) -> Array:
        """One value per filter of that convolution, from one per filter of the whole."""
        Kg = self.K // self.groups
        shape = self.groups, len(rows.phases) * len(columns.phases), Kg
        return np.ascontiguousarray(np.broadcast_to(values.reshape(self.groups, 1, Kg), shape)).reshape(-1)


@lru_cache(maxsize=REMEMBERED)
def convolutions(
    layer: Transposed, algorithm: str, limits: Limits, prepared: bool, isa: str
) -> tuple[tuple[Part, Part, _core.Problem, str], ...]:
    """The rows and columns of each convolution, the convolution, and its algorithm by the estimates for `isa`.

    Raises:
        ValueError: `algorithm` rejects one of them.
    """
    rows, columns = layer.axes
    found = []
    for row, column in itertools.product(rows.parts, columns.parts):
        problem = limits.problem(layer.problem(row, column))
        if algorithm == "auto" and not prepared:
            problem = dispatch.for_one_call(problem)
        choice = dispatch.resolve(algorithm, problem, prepared=prepared, workspace_limit=None, max_error=limits.most)
        found.append((row, column, problem, choice.algorithm))
    return tuple(found)


def plan(
    layer: Transposed,
    weight: Array,
    bias: Array | None,
    activation: tuple[str, float, float] | None,
    algorithm: str,
    limits: Limits,
    *,
    prepared: bool,
) -> _core.InterleavedPlan:
    """Everything that is done once. `weight` is (C, K // groups, R, S) and plain; so is `bias`, (K,), or it is None.

    Raises:
        ValueError: `algorithm` rejects one of the phases.
    """
    rows, columns = layer.axes
    plans = []
    for row, column, problem, chosen in convolutions(layer, algorithm, limits, prepared, _core.get_isa()):
        filters = layer.filters(weight, row, column)
        own_bias = None if bias is None else layer.per_filter(bias, row, column)
        part = _core.Plan(problem, chosen, filters, own_bias, activation)
        plans.append((part, list(itertools.product(row.phases, column.phases))))
    whole = (0, 1, layer.outputs[1], 0)
    blank = [(row, whole) for row in rows.blank]
    blank += [(row, column) for part in rows.parts for row in _unskipped(part) for column in columns.blank]
    if not plans:  # no output sees a tap: one plan all the same, which says what the input is
        none = 0, 1, 0, 0
        tap = Part((none,), ((0,),), 1, (0, 0))
        filters = layer.filters(weight, tap, tap)
        plans.append((_core.Plan(layer.problem(tap, tap), "direct", filters), [(none, none)]))
    extents = layer.N, layer.K, *layer.outputs
    return _core.InterleavedPlan(plans[0][0].problem, extents, plans, blank, bias, activation)


def _unskipped(part: Part) -> list[tuple[int, int, int, int]]:
    return [(first, stride, count, 0) for first, stride, count, _ in part.phases]
