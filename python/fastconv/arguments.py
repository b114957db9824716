"""From the numbers a user writes to those the core takes: ints to pairs, "same" to pads, shapes to a problem.

Every message begins with the name of the argument and says what was expected and what was got. Whatever passes here is
a sound layer: a :class:`Layer` holds the core's description of it, and what is needed to go there and back.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastconv import _core, numerics
from fastconv.geometry import LINE, PLANE, Geometry, Pads, Space, as_geometry, as_int, is_int

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Activation: TypeAlias = str | tuple[str, float] | tuple[str, float, float] | None
Shape: TypeAlias = tuple[int, ...]

LAYOUTS = PLANE.layouts
DTYPES = ("float32", "float64")

# Activations with no parameters, as the core's (kind, a, b).
_ACTIVATIONS = {
    "relu": ("clip", 0.0, math.inf),
    "relu6": ("clip", 0.0, 6.0),
    "leaky_relu": ("leaky_relu", 0.01, 0.0),
    "hardswish": ("hardswish", 0.0, 0.0),
    "sigmoid": ("sigmoid", 0.0, 0.0),
    "silu": ("silu", 0.0, 0.0),
    "tanh": ("tanh", 0.0, 0.0),
}
_ACTIVATIONS_HELP = f'None, one of {", ".join(map(repr, _ACTIVATIONS))}, ("clip", low, high) or ("leaky_relu", slope)'

_LARGEST_EXTENT = 2**40  # as in the core


def as_float(value: Any, name: str) -> float:
    """Of a number; ValueError if it is an int that is too large."""
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}: expected a number that float64 holds, got an int of more digits") from None


def as_activation(activation: object) -> tuple[str, float, float] | None:
    """The core's (kind, a, b), or None for no activation."""
    if activation is None:
        return None
    if isinstance(activation, str):
        if activation in _ACTIVATIONS:
            return _ACTIVATIONS[activation]
        raise ValueError(f"activation: expected {_ACTIVATIONS_HELP}, got {activation!r}")
    if isinstance(activation, tuple | list) and activation and isinstance(activation[0], str):
        kind, *parameters = activation
        numeric = all(isinstance(p, float | np.floating) or is_int(p) for p in parameters)
        if numeric and kind == "clip" and len(parameters) == 2:
            low, high = (as_float(parameter, "activation") for parameter in parameters)
            if not low <= high:  # NaN too
                raise ValueError(f"activation: expected low <= high in ('clip', low, high), got {activation!r}")
            return "clip", low, high
        if numeric and kind == "leaky_relu" and len(parameters) == 1:
            slope = as_float(parameters[0], "activation")
            if not math.isfinite(slope):
                raise ValueError(f"activation: expected a finite slope in ('leaky_relu', slope), got {activation!r}")
            return "leaky_relu", slope, 0.0
        raise ValueError(f"activation: expected {_ACTIVATIONS_HELP}, got {activation!r}")
    raise TypeError(f"activation: expected {_ACTIVATIONS_HELP}, got {activation!r}")


def as_layout(layout: object, space: Space = PLANE) -> str:
    first, last = space.layouts
    if not isinstance(layout, str):
        raise TypeError(f"layout: expected {first!r} or {last!r}, got {layout!r}")
    if layout not in space.layouts:
        raise ValueError(f"layout: expected {first!r} or {last!r}, got {layout!r}")
    return layout


def as_workspace_limit(limit: object) -> int | None:
    """Bytes, or None for no limit."""
    return None if limit is None else as_int(limit, "workspace_limit", 0, 2**63 - 1)


class Limits(NamedTuple):
    """What errors may be: the root mean square expected, in epsilons, by its name; the largest, if it counts."""

    accuracy: str
    most: float | None

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments for :func:`fastconv.conv2d` and :class:`fastconv.Conv2d`."""
        return {"accuracy": self.accuracy, "max_error": self.most}

    def problem(self, p: _core.Problem) -> _core.Problem:
        """The problem with its error limit."""
        limit = numerics.ACCURACIES[self.accuracy] if self.most is None else numerics.error_limit(p, self.most)
        return p if limit == p.error_limit else p.with_error_limit(limit)

    def applied(self, layer: Layer) -> Layer:
        """The layer with its error limit."""
        return layer._replace(problem=self.problem(layer.problem))


BALANCED = Limits("balanced", None)


def as_accuracy(accuracy: object, max_error: object) -> Limits:
    """One of the names of :data:`fastconv.numerics.ACCURACIES`, or a largest error instead of it."""
    if not isinstance(accuracy, str):
        raise TypeError(f"accuracy: expected one of {', '.join(numerics.ACCURACIES)}, got {accuracy!r}")
    if accuracy not in numerics.ACCURACIES:
        raise ValueError(f"accuracy: expected one of {', '.join(numerics.ACCURACIES)}, got {accuracy!r}")
    if max_error is None:
        return Limits(accuracy, None)
    if isinstance(max_error, bool) or not isinstance(max_error, int | float | np.integer | np.floating):
        raise TypeError(f"max_error: expected a number or None, got {max_error!r}")
    if not max_error > 0:
        raise ValueError(f"max_error: expected a number over 0, got {max_error!r}")
    if accuracy != "balanced":
        raise ValueError(f"max_error: expected None beside accuracy={accuracy!r}, got {max_error!r}: give one of them")
    return Limits(accuracy, as_float(max_error, "max_error"))


def as_dtype(dtype: object) -> str:
    """The name "float32" or "float64", from a name, a NumPy type or a dtype."""
    try:
        name = np.dtype(dtype).name  # type: ignore[call-overload]
    except (TypeError, ValueError):  # a name that no dtype has, or that is no text
        name = None
    if dtype is None or name not in DTYPES:  # np.dtype(None) is float64
        raise TypeError(f"dtype: expected float32 or float64, got {dtype!r}")
    return str(name)


def as_shape(shape: object, name: str, letters: str) -> Shape:
    """A tuple of ints, as many as one of the space-separated alternatives in `letters`: "CHW NCHW" takes 3 or 4."""
    forms = [f"({', '.join(form)})" for form in letters.split()]
    lengths = [len(form) for form in letters.split()]
    if not isinstance(shape, tuple | list) or not all(map(is_int, shape)):
        raise TypeError(f"{name}: expected a tuple of ints {' or '.join(forms)}, got {shape!r}")
    if len(shape) not in lengths:
        raise ValueError(f"{name}: expected {' or '.join(forms)}, got {len(shape)} dimensions: {tuple(shape)}")
    return tuple(as_int(extent, f"{name}[{i}]", 0, _LARGEST_EXTENT) for i, extent in enumerate(shape))


def users_shape(core_shape: Shape, layout: str, batched: bool) -> Shape:
    """A shape that the core has, in a user's layout: perhaps without H, perhaps without N."""
    shape = list(core_shape)
    if layout in LINE.layouts:
        del shape[PLANE.layouts[LINE.layouts.index(layout)].index("H")]
    return tuple(shape if batched else shape[1:])


class Layer(NamedTuple):
    """A sound problem, and how the user's arrays differ from the core's: in having no axis N, or no axis H."""

    problem: _core.Problem
    batched: bool
    space: Space = PLANE

    @property
    def layout(self) -> str:
        return self.space.layouts[PLANE.layouts.index(self.problem.layout)]

    @property
    def output_shape(self) -> Shape:
        return users_shape(self.problem.output_shape, self.layout, self.batched)

    @property
    def core_shapes(self) -> tuple[Shape, Shape]:
        """Of the input and the output, as the core has them."""
        return self.problem.input_shape, self.problem.output_shape


_COUNTED = {"K": "filters", "C": "channels"}


def as_filters(
    weight_shape: object,
    groups: int,
    name: str = "weight",
    space: Space = PLANE,
    letters: tuple[str, str] = ("K", "C // groups"),
) -> Shape:
    """(K, C // groups, R, S), or with other `letters` in front, each at least 1, the first a multiple of `groups`."""
    taps = space.letters[1]
    shape = as_shape(weight_shape, name, "".join(letter[0] for letter in letters) + taps)
    empty = [letter for letter, extent in zip((*letters, *taps), shape, strict=True) if extent == 0]
    if empty:
        raise ValueError(f"{name}: expected {' and '.join(empty)} of at least 1, got shape {shape}")
    if shape[0] % groups:
        raise ValueError(
            f"groups: expected a divisor of the {shape[0]} {_COUNTED[letters[0]]} of {name}, got {groups}; "
            f"{name} has shape {shape}"
        )
    return shape


class Images(NamedTuple):
    """The parts of an input's shape."""

    batched: bool
    N: int
    C: int
    extents: tuple[int, ...]


def as_images(shape: object, name: str, layout: str) -> Images:
    """N images, or one without the axis N; channels and extents of at least 1."""
    image = as_shape(shape, name, f"{layout} {layout[1:]}")
    letters = layout[-len(image) :]
    empty = [letter for letter, extent in zip(letters, image, strict=True) if extent == 0 and letter != "N"]
    if empty:
        raise ValueError(f"{name}: expected {' and '.join(empty)} of at least 1, got shape {image}")
    sizes = dict(zip(letters, image, strict=True))
    extents = tuple(size for letter, size in sizes.items() if letter not in "NC")
    return Images("N" in sizes, sizes.get("N", 1), sizes["C"], extents)


class Laid(NamedTuple):
    """Sound filters on a sound image, of any number of axes: numbers per axis."""

    batched: bool
    N: int
    C: int
    K: int
    extents: tuple[int, ...]
    kernel: tuple[int, ...]
    pads: Pads
    outputs: tuple[int, ...]


def lay(input_shape: object, weight_shape: object, geometry: Geometry, layout: str, names: tuple[str, str]) -> Laid:
    """Lay checked filters on an image, or ValueError. `names` are what messages call the two tensors."""
    input_name, weight_name = names
    groups = geometry.groups
    image = as_shape(input_shape, input_name, f"{layout} {layout[1:]}")
    K, C_per_group, *taps = weight = as_filters(weight_shape, groups, weight_name, geometry.space)
    batched, N, C, extents = as_images(image, input_name, layout)
    if C_per_group * groups != C:
        raise ValueError(
            f"{weight_name}: expected shape[1] * groups to be the {C} channels of {input_name}, got "
            f"{C_per_group} * {groups}; {weight_name} has shape {weight}, {input_name} {image}"
        )
    kernel = tuple(taps)
    pads = geometry.pads(extents, kernel)
    fields = geometry.fields(kernel)
    padded = tuple(extent + low + high for extent, (low, high) in zip(extents, pads, strict=True))
    if any(field > size for field, size in zip(fields, padded, strict=True)):
        raise ValueError(
            f"{input_name}: expected a padded image of at least the effective kernel, "
            f"{_product(fields)} (dilation * (size - 1) + 1), got {_product(padded)} "
            f"({_product(extents)} with padding {' and '.join(f'{low} + {high}' for low, high in pads)})"
        )
    return Laid(batched, N, C, K, extents, kernel, pads, geometry.outputs(padded, kernel))


def fit(
    input_shape: object,
    weight_shape: object,
    geometry: Geometry,
    layout: str,
    dtype: str,
    names: tuple[str, str],
) -> Layer:
    """A layer of one or two axes from checked filters and an image; ValueError if they do not go together."""
    space = geometry.space
    laid = lay(input_shape, weight_shape, geometry, layout, names)
    # An axis that the user's arrays do not have is one pixel high.
    missing = PLANE.rank - space.rank
    H, W = (1,) * missing + laid.extents
    R, S = (1,) * missing + laid.kernel
    stride_h, stride_w = (1,) * missing + geometry.stride
    dilation_h, dilation_w = (1,) * missing + geometry.dilation
    (top, bottom), (left, right) = ((0, 0),) * missing + laid.pads
    problem = _core.Problem(
        dtype,
        laid.N,
        laid.C,
        H,
        W,
        laid.K,
        R,
        S,
        stride_h,
        stride_w,
        top,
        bottom,
        left,
        right,
        dilation_h,
        dilation_w,
        geometry.groups,
        PLANE.layouts[space.layouts.index(layout)],
    )
    return Layer(problem, laid.batched, space)


def _product(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))


def as_layer(
    input_shape: object,
    weight_shape: object,
    stride: object = 1,
    padding: object = 0,
    dilation: object = 1,
    groups: object = 1,
    *,
    layout: object = None,
    dtype: object = "float32",
    names: tuple[str, str] = ("input_shape", "weight_shape"),
    space: Space = PLANE,
) -> Layer:
    """A layer from a user's numbers, all of them checked."""
    geometry = as_geometry(stride, padding, dilation, groups, space)
    chosen = space.layouts[0] if layout is None else as_layout(layout, space)
    return fit(input_shape, weight_shape, geometry, chosen, as_dtype(dtype), names)
