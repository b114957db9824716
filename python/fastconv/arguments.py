"""From the numbers a user writes to those the core takes: ints to pairs, "same" to pads, shapes to a problem.

Every message begins with the name of the argument and says what was expected and what was got. Whatever passes here is
a sound layer: a :class:`Layer` holds the core's description of it, and what is needed to go there and back.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from fastconv import _core, numerics

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Pair: TypeAlias = int | tuple[int, int]
Padding: TypeAlias = int | str | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
Activation: TypeAlias = str | tuple[str, float] | tuple[str, float, float] | None
Pads: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
Shape: TypeAlias = tuple[int, ...]

LAYOUTS = ("NCHW", "NHWC")
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

# With these limits no sum or product of a few of them leaves 64 bits; what tensors may hold is for the core to say.
_LARGEST_STEP = 2**31 - 1
_LARGEST_EXTENT = 2**40  # as in the core


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_pair(value: object) -> TypeGuard[tuple[Any, Any] | list[Any]]:
    return isinstance(value, tuple | list) and len(value) == 2


def as_int(value: object, name: str, least: int, most: int = _LARGEST_STEP) -> int:
    """An int (NumPy's included, bool excluded) from `least` to `most`; TypeError or ValueError naming `name`."""
    if not _is_int(value):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    number = int(value)
    if not least <= number <= most:
        bound = f"at least {least}" if number < least else f"at most {most}"
        raise ValueError(f"{name}: expected {bound}, got {number}")
    return number


def as_pair(value: object, name: str, least: int) -> tuple[int, int]:
    """(height, width) from an int, which serves for both, or from a pair."""
    if _is_int(value):
        both = as_int(value, name, least)
        return both, both
    if not _is_pair(value) or not all(map(_is_int, value)):
        raise TypeError(f"{name}: expected an int or a (height, width) pair of ints, got {value!r}")
    return as_int(value[0], f"{name}[0]", least), as_int(value[1], f"{name}[1]", least)


class Geometry(NamedTuple):
    """How filters lie on an image: what can be checked before any shape is known."""

    stride: tuple[int, int]
    padding: Pads | Literal["same"]
    dilation: tuple[int, int]
    groups: int


def as_geometry(stride: object, padding: object, dilation: object, groups: object) -> Geometry:
    return Geometry(
        as_pair(stride, "stride", 1),
        as_padding(padding),
        as_pair(dilation, "dilation", 1),
        as_int(groups, "groups", 1),
    )


def as_padding(padding: object) -> Pads | Literal["same"]:
    """((top, bottom), (left, right)), or "same", which needs a shape to become that."""
    if isinstance(padding, str):
        if padding == "same":
            return "same"
        if padding == "valid":
            return (0, 0), (0, 0)
        raise ValueError(f"padding: expected 'valid' or 'same' if it is a string, got {padding!r}")
    if _is_pair(padding) and all(_is_pair(side) and all(map(_is_int, side)) for side in padding):
        return as_pair(padding[0], "padding[0]", 0), as_pair(padding[1], "padding[1]", 0)
    if not _is_int(padding) and not (_is_pair(padding) and all(map(_is_int, padding))):
        raise TypeError(
            "padding: expected an int, a (height, width) pair of ints, ((top, bottom), (left, right)), "
            f"'valid' or 'same', got {padding!r}"
        )
    height, width = as_pair(padding, "padding", 0)
    return (height, height), (width, width)


def _same_pads(extent: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pads for an output of ceil(extent / stride); an odd one goes to the end, as in PyTorch, TensorFlow and ONNX."""
    total = max((-(-extent // stride) - 1) * stride + kernel - extent, 0)
    return total // 2, total - total // 2


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
        numeric = all(isinstance(p, float | np.floating) or _is_int(p) for p in parameters)
        if numeric and kind == "clip" and len(parameters) == 2:
            low, high = map(float, parameters)
            if not low <= high:  # NaN too
                raise ValueError(f"activation: expected low <= high in ('clip', low, high), got {activation!r}")
            return "clip", low, high
        if numeric and kind == "leaky_relu" and len(parameters) == 1:
            slope = float(parameters[0])
            if not math.isfinite(slope):
                raise ValueError(f"activation: expected a finite slope in ('leaky_relu', slope), got {activation!r}")
            return "leaky_relu", slope, 0.0
        raise ValueError(f"activation: expected {_ACTIVATIONS_HELP}, got {activation!r}")
    raise TypeError(f"activation: expected {_ACTIVATIONS_HELP}, got {activation!r}")


def as_layout(layout: object) -> str:
    if not isinstance(layout, str):
        raise TypeError(f"layout: expected 'NCHW' or 'NHWC', got {layout!r}")
    if layout not in LAYOUTS:
        raise ValueError(f"layout: expected 'NCHW' or 'NHWC', got {layout!r}")
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
        return Layer(self.problem(layer.problem), layer.batched)


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
    return Limits(accuracy, float(max_error))


def as_dtype(dtype: object) -> str:
    """The name "float32" or "float64", from a name, a NumPy type or a dtype."""
    try:
        name = np.dtype(dtype).name  # type: ignore[call-overload]
    except TypeError:
        name = None
    if dtype is None or name not in DTYPES:  # np.dtype(None) is float64
        raise TypeError(f"dtype: expected float32 or float64, got {dtype!r}")
    return str(name)


def as_shape(shape: object, name: str, letters: str) -> Shape:
    """A tuple of ints, as many as one of the space-separated alternatives in `letters`: "CHW NCHW" takes 3 or 4."""
    forms = [f"({', '.join(form)})" for form in letters.split()]
    lengths = [len(form) for form in letters.split()]
    if not isinstance(shape, tuple | list) or not all(map(_is_int, shape)):
        raise TypeError(f"{name}: expected a tuple of ints {' or '.join(forms)}, got {shape!r}")
    if len(shape) not in lengths:
        raise ValueError(f"{name}: expected {' or '.join(forms)}, got {len(shape)} dimensions: {tuple(shape)}")
    return tuple(as_int(extent, f"{name}[{i}]", 0, _LARGEST_EXTENT) for i, extent in enumerate(shape))


class Layer(NamedTuple):
    """A sound problem, and whether the user's arrays have its axis N."""

    problem: _core.Problem
    batched: bool

    @property
    def layout(self) -> str:
        return self.problem.layout

    @property
    def output_shape(self) -> Shape:
        shape = self.problem.output_shape
        return shape if self.batched else shape[1:]

    def to_core(self, x: Array) -> Array:
        """A view of the user's array with the axis N."""
        return x if self.batched else x[np.newaxis]

    def from_core(self, y: Array) -> Array:
        """A view of the core's result as the user's."""
        return y if self.batched else y[0]


def as_filters(weight_shape: object, groups: int, name: str = "weight") -> Shape:
    """(K, C // groups, R, S), each at least 1, with K a multiple of `groups`."""
    shape = as_shape(weight_shape, name, "KCRS")
    empty = [letter for letter, extent in zip(("K", "C // groups", "R", "S"), shape, strict=True) if extent == 0]
    if empty:
        raise ValueError(f"{name}: expected {' and '.join(empty)} of at least 1, got shape {shape}")
    if shape[0] % groups:
        raise ValueError(
            f"groups: expected a divisor of the {shape[0]} filters of {name}, got {groups}; {name} has shape {shape}"
        )
    return shape


def fit(
    input_shape: object,
    weight_shape: object,
    geometry: Geometry,
    layout: str,
    dtype: str,
    names: tuple[str, str],
) -> Layer:
    """Lay checked filters on an image: the layer, or ValueError. `names` are what messages call the two tensors."""
    input_name, weight_name = names
    (stride_h, stride_w), padding, (dilation_h, dilation_w), groups = geometry
    image = as_shape(input_shape, input_name, f"{layout} {layout[1:]}")
    K, C_per_group, R, S = weight = as_filters(weight_shape, groups, weight_name)

    batched = len(image) == 4
    N = image[0] if batched else 1
    C, H, W = image[-3:] if layout == "NCHW" else (image[-1], image[-3], image[-2])
    empty = [letter for letter, extent in zip("CHW", (C, H, W), strict=True) if extent == 0]
    if empty:
        raise ValueError(f"{input_name}: expected {' and '.join(empty)} of at least 1, got shape {image}")
    if C_per_group * groups != C:
        raise ValueError(
            f"{weight_name}: expected shape[1] * groups to be the {C} channels of {input_name}, got "
            f"{C_per_group} * {groups}; {weight_name} has shape {weight}, {input_name} {image}"
        )
    kernel_h, kernel_w = dilation_h * (R - 1) + 1, dilation_w * (S - 1) + 1
    if padding == "same":
        padding = _same_pads(H, kernel_h, stride_h), _same_pads(W, kernel_w, stride_w)
    (top, bottom), (left, right) = padding
    padded_h, padded_w = H + top + bottom, W + left + right
    if kernel_h > padded_h or kernel_w > padded_w:
        raise ValueError(
            f"{input_name}: expected a padded image of at least the effective kernel, "
            f"{kernel_h} x {kernel_w} (dilation * (size - 1) + 1), got {padded_h} x {padded_w} "
            f"({H} x {W} with padding {top} + {bottom} and {left} + {right})"
        )
    problem = _core.Problem(
        dtype, N, C, H, W, K, R, S, stride_h, stride_w, top, bottom, left, right, dilation_h, dilation_w, groups, layout
    )
    return Layer(problem, batched)


def as_layer(
    input_shape: object,
    weight_shape: object,
    stride: object = 1,
    padding: object = 0,
    dilation: object = 1,
    groups: object = 1,
    *,
    layout: object = "NCHW",
    dtype: object = "float32",
    names: tuple[str, str] = ("input_shape", "weight_shape"),
) -> Layer:
    """A layer from a user's numbers, all of them checked."""
    geometry = as_geometry(stride, padding, dilation, groups)
    return fit(input_shape, weight_shape, geometry, as_layout(layout), as_dtype(dtype), names)
