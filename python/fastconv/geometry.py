"""How filters lie along axes: strides, dilations and pads, of one, two or three spatial axes, from what a user writes.

Messages as in :mod:`fastconv.arguments`. A number per axis comes first to last, as in the shapes: depth, height, width.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias, TypeGuard

import numpy as np

Pair: TypeAlias = int | tuple[int, int]
Padding: TypeAlias = int | str | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
# The same for any number of axes.
Steps: TypeAlias = int | tuple[int, ...]
AnyPadding: TypeAlias = int | str | tuple[int, ...] | tuple[tuple[int, int], ...]
Pads: TypeAlias = tuple[tuple[int, int], ...]
Same: TypeAlias = Literal["same", "same_lower"]

# With these limits no sum or product of a few of them leaves 64 bits; what tensors may hold is for the core to say.
LARGEST_STEP = 2**31 - 1


class Space(NamedTuple):
    """The names of a convolution's spatial axes, and the letters of its shapes.

    Attributes:
        axes: What messages call the axes.
        steps: A number for each of them, in words.
        sides: A pair of pads for each of them.
        letters: Of an image, a kernel and an output.
        layouts: Of input and output: channels first, channels last.
    """

    axes: tuple[str, ...]
    steps: str
    sides: str
    letters: tuple[str, str, str]
    layouts: tuple[str, str]

    @property
    def rank(self) -> int:
        return len(self.axes)


LINE = Space(("width",), "(width,) tuple of ints", "((left, right),)", ("W", "S", "Q"), ("NCW", "NWC"))
PLANE = Space(
    ("height", "width"),
    "(height, width) pair of ints",
    "((top, bottom), (left, right))",
    ("HW", "RS", "PQ"),
    ("NCHW", "NHWC"),
)
VOLUME = Space(
    ("depth", "height", "width"),
    "(depth, height, width) triple of ints",
    "((front, back), (top, bottom), (left, right))",
    ("DHW", "TRS", "OPQ"),
    ("NCDHW", "NDHWC"),
)
SPACES = {space.rank: space for space in (LINE, PLANE, VOLUME)}


def is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_row(value: object, *lengths: int) -> TypeGuard[tuple[Any, ...] | list[Any]]:
    return isinstance(value, tuple | list) and len(value) in lengths


def as_int(value: object, name: str, least: int, most: int = LARGEST_STEP) -> int:
    """An int (NumPy's included, bool excluded) from `least` to `most`; TypeError or ValueError naming `name`."""
    if not is_int(value):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    number = int(value)
    if not least <= number <= most:
        bound = f"at least {least}" if number < least else f"at most {most}"
        raise ValueError(f"{name}: expected {bound}, got {number}")
    return number


def as_steps(value: object, name: str, least: int, space: Space = PLANE) -> tuple[int, ...]:
    """A number per axis, from an int, or a tuple of one, which serves for all, or from a tuple of one for each."""
    if is_int(value):
        return (as_int(value, name, least),) * space.rank
    if not _is_row(value, 1, space.rank) or not all(map(is_int, value)):
        raise TypeError(f"{name}: expected an int or a {space.steps}, got {value!r}")
    numbers = tuple(as_int(number, f"{name}[{i}]", least) for i, number in enumerate(value))
    return numbers * (space.rank // len(numbers))


def as_padding(padding: object, space: Space = PLANE) -> Pads | Same:
    """(before, after) per axis, or "same" or "same_lower", which need a shape to become that."""
    if isinstance(padding, str):
        if padding == "same" or padding == "same_lower":
            return padding  # type: ignore[return-value]  # mypy 1 does not narrow a str to a literal
        if padding == "valid":
            return ((0, 0),) * space.rank
        raise ValueError(f"padding: expected 'valid', 'same' or 'same_lower' if it is a string, got {padding!r}")
    if _is_row(padding, space.rank) and all(_is_row(side, 2) and all(map(is_int, side)) for side in padding):
        sides = enumerate(padding)
        return tuple(
            (as_int(side[0], f"padding[{i}][0]", 0), as_int(side[1], f"padding[{i}][1]", 0)) for i, side in sides
        )
    if not is_int(padding) and not (_is_row(padding, 1, space.rank) and all(map(is_int, padding))):
        raise TypeError(
            f"padding: expected an int, a {space.steps}, {space.sides}, 'valid', 'same' or 'same_lower', "
            f"got {padding!r}"
        )
    return tuple((pad, pad) for pad in as_steps(padding, "padding", 0, space))


class Geometry(NamedTuple):
    """How filters lie on an image: what can be checked before any shape is known. Numbers per axis."""

    stride: tuple[int, ...]
    padding: Pads | Same
    dilation: tuple[int, ...]
    groups: int

    @property
    def space(self) -> Space:
        return SPACES[len(self.stride)]

    def pads(self, extents: tuple[int, ...], kernel: tuple[int, ...]) -> Pads:
        """(before, after) per axis of an image, for a kernel of so many taps."""
        if not isinstance(self.padding, str):
            return self.padding
        pads = map(_same_pads, extents, self.fields(kernel), self.stride)
        return tuple((low, high) if self.padding == "same" else (high, low) for low, high in pads)

    def fields(self, kernel: tuple[int, ...]) -> tuple[int, ...]:
        """Pixels from the first tap to the last, both included."""
        return tuple(dilation * (taps - 1) + 1 for dilation, taps in zip(self.dilation, kernel, strict=True))

    def outputs(self, padded: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
        """Extents of the output, from those of the padded image."""
        numbers = zip(padded, self.fields(kernel), self.stride, strict=True)
        return tuple((size - field) // stride + 1 for size, field, stride in numbers)


def as_geometry(stride: object, padding: object, dilation: object, groups: object, space: Space = PLANE) -> Geometry:
    return Geometry(
        as_steps(stride, "stride", 1, space),
        as_padding(padding, space),
        as_steps(dilation, "dilation", 1, space),
        as_int(groups, "groups", 1),
    )


def _same_pads(extent: int, field: int, stride: int) -> tuple[int, int]:
    """Pads for an output of ceil(extent / stride); an odd one goes to the end, as in PyTorch, TensorFlow and ONNX."""
    total = max((-(-extent // stride) - 1) * stride + field - extent, 0)
    return total // 2, total - total // 2
