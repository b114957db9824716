"""ONNX's convolutions for its reference evaluator: Conv, ConvTranspose, ConvInteger and QLinearConv.

    session = onnx.reference.ReferenceEvaluator(model, new_ops=fastconv.onnx.operators())

The functions compute on arrays and need no package beside NumPy; :func:`operators` needs ``onnx``. One to three spatial
axes. Quantised convolutions are exact: see :mod:`fastconv.integers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv import integers
from fastconv.arguments import BALANCED
from fastconv.arrays import as_array, as_bias_of
from fastconv.conv import conv1d, conv2d, conv3d
from fastconv.dtypes import as_any_array
from fastconv.geometry import LINE, PLANE, VOLUME, Pads, as_int
from fastconv.integer_arguments import zero_points
from fastconv.integers import Requantization
from fastconv.programs import Call, Wanted
from fastconv.spread import Spread, as_spread, as_spread_filters, fit_transposed
from fastconv.transposed import transposed_once

__all__ = ["conv", "conv_integer", "conv_transpose", "operators", "qlinear_conv"]

AnyArray = npt.NDArray[Any]
Numbers = Sequence[int] | None

_FUNCTIONS: dict[int, Callable[..., AnyArray]] = {3: conv1d, 4: conv2d, 5: conv3d}
_SPACES = {3: LINE, 4: PLANE, 5: VOLUME}
_AUTO_PADS = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}


def conv(
    X: AnyArray,
    W: AnyArray,
    B: AnyArray | None = None,
    auto_pad: str = "NOTSET",
    dilations: Numbers = None,
    group: int = 1,
    kernel_shape: Numbers = None,
    pads: Numbers = None,
    strides: Numbers = None,
) -> AnyArray:
    """ONNX's Conv.

    Args:
        X: (N, C, ...) of one to three spatial axes; any dtype that :func:`fastconv.conv2d` takes.
        W: (K, C // group, ...).
        B: (K,), or None.
        auto_pad: "NOTSET", "SAME_UPPER", "SAME_LOWER" or "VALID".
        kernel_shape: That of W, or None.
        pads: All axes' beginnings, then all ends.
        dilations, strides: One per axis; None for 1.
        group: Channels and filters are cut into this many groups.
    Returns:
        (N, K, ...).
    Raises:
        ValueError, TypeError: As :func:`fastconv.conv2d` does, or for attributes that do not fit the arrays.
    Source: ONNX operators, Conv.
    """
    X, W = as_any_array(X, "X"), as_any_array(W, "W")
    axes = _axes(X, W, kernel_shape)
    padding = _AUTO_PADS[auto_pad] if _is_automatic(auto_pad) else _pads(pads, axes)
    y: AnyArray = _FUNCTIONS[axes + 2](
        X, W, B, _per_axis(strides, axes, "strides"), padding, _per_axis(dilations, axes, "dilations"), group
    )
    return y


def conv_transpose(
    X: AnyArray,
    W: AnyArray,
    B: AnyArray | None = None,
    auto_pad: str = "NOTSET",
    dilations: Numbers = None,
    group: int = 1,
    kernel_shape: Numbers = None,
    output_padding: Numbers = None,
    output_shape: Numbers = None,
    pads: Numbers = None,
    strides: Numbers = None,
) -> AnyArray:
    """ONNX's ConvTranspose.

    Args:
        X: (N, C, ...) of one to three spatial axes, float32 or float64.
        W: (C, K // group, ...).
        B: (K,), or None.
        output_shape: The output's spatial extents; then, and with a "SAME" `auto_pad`, pads follow from it.
        auto_pad, dilations, group, kernel_shape, pads, strides: As in :func:`conv`.
        output_padding: One per axis; None for 0.
    Returns:
        (N, K, ...).
    Raises:
        ValueError, TypeError: As :func:`fastconv.conv_transpose2d` does, or for attributes that do not fit the arrays.
    Source: ONNX operators, ConvTranspose.
    """
    x = as_array(X, "X")
    w = as_array(W, "W", x.dtype.name, "X")
    axes = _axes(x, w, kernel_shape)
    space = _SPACES[axes + 2]
    stride, dilation = _per_axis(strides, axes, "strides"), _per_axis(dilations, axes, "dilations")
    more = _per_axis(output_padding, axes, "output_padding", 0)
    spread = as_spread(stride, _pads(pads, axes), more, group, dilation, space)
    shape = as_spread_filters(w.shape, group, space)
    outputs = None if output_shape is None else _per_axis(tuple(output_shape)[-axes:], axes, "output_shape")
    if outputs is None and _is_automatic(auto_pad) and auto_pad != "VALID":
        outputs = tuple(size * step for size, step in zip(x.shape[2:], stride, strict=True))
    if outputs is not None:
        spread = spread._replace(padding=_pads_for(outputs, x.shape[2:], shape[2:], spread, auto_pad))
    form = fit_transposed(x.shape, shape, spread, space.layouts[0], x.dtype.name, ("X", "W"), outputs)
    bias = as_bias_of(form.layer.K, B, w)
    call = Call("onnx", (x.shape, shape), (spread.stride, spread.padding, outputs, spread.groups, spread.dilation))
    return transposed_once(call, form, Wanted("auto", None, BALANCED), x, w, bias, None)


def conv_integer(
    x: AnyArray,
    w: AnyArray,
    x_zero_point: AnyArray | None = None,
    w_zero_point: AnyArray | None = None,
    **attributes: Any,
) -> npt.NDArray[np.int32]:
    """ONNX's ConvInteger: whole numbers, exactly.

    Args:
        x: (N, C, ...), int8 or uint8.
        w: (K, C // group, ...), int8 or uint8.
        x_zero_point: What stands for 0 in x, and in its padding; None for 0.
        w_zero_point: What stands for 0 in w, one for all filters or one for each; None for 0.
        attributes: As in :func:`conv`.
    Returns:
        (N, K, ...), int32; sums beyond it wrap around.
    Raises:
        TypeError: Another dtype.
        ValueError: As :func:`conv` does.
    Source: ONNX operators, ConvInteger.
    """
    return _integers(x, w, x_zero_point, w_zero_point, None, None, attributes)


def qlinear_conv(
    x: AnyArray,
    x_scale: AnyArray,
    x_zero_point: AnyArray,
    w: AnyArray,
    w_scale: AnyArray,
    w_zero_point: AnyArray,
    y_scale: AnyArray,
    y_zero_point: AnyArray,
    B: npt.NDArray[np.int32] | None = None,
    **attributes: Any,
) -> AnyArray:
    """ONNX's QLinearConv: exact sums, scaled, rounded to the nearest (halves to even) and clipped.

    Args:
        x, w, x_zero_point, w_zero_point, attributes: As in :func:`conv_integer`.
        x_scale, y_scale: Of one number of x and of the output.
        w_scale: Of one number of w, one for all filters or one for each.
        y_zero_point: What stands for 0 in the output, and of its dtype: int8 or uint8.
        B: (K,), in units of x_scale * w_scale; or None.
    Returns:
        (N, K, ...), of the dtype of `y_zero_point`.
    Raises:
        ValueError, TypeError: As :func:`conv_integer` does.
    Source: ONNX operators, QLinearConv.
    """
    x_step, y_step = _as_scale(x_scale, "x_scale"), _as_scale(y_scale, "y_scale")
    w_step = _as_scale(w_scale, "w_scale", (*as_any_array(w, "w").shape, 0)[0])
    zero = as_any_array(y_zero_point, "y_zero_point")
    if zero.dtype not in (np.int8, np.uint8):
        raise TypeError(f"y_zero_point: expected int8 or uint8, got {zero.dtype}")
    if zero.size != 1:
        raise ValueError(f"y_zero_point: expected a number, got shape {zero.shape}")
    with np.errstate(all="ignore"):
        factor = x_step * w_step / y_step
    if not np.isfinite(factor).all():
        raise ValueError(f"y_scale: expected x_scale * w_scale / y_scale within float32, got {y_scale!r}")
    bias = None if B is None else _as_bias(B)
    requantization = Requantization(factor, int(zero.reshape(())), zero.dtype.name)
    return _integers(x, w, x_zero_point, w_zero_point, bias, requantization, attributes)


def _as_scale(value: object, name: str, K: int | None = None) -> npt.NDArray[np.float32]:
    """A positive number, or if there is a K that many."""
    scale = as_any_array(value, name) if not isinstance(value, float) else np.asarray(value)
    if scale.dtype.kind != "f":
        raise TypeError(f"{name}: expected floating-point numbers, got {scale.dtype.name}")
    if scale.size != 1 and scale.shape != (K,):
        wanted = "a number" if K is None else f"a number or shape ({K},), one per filter"
        raise ValueError(f"{name}: expected {wanted}, got shape {scale.shape}")
    with np.errstate(over="ignore"):
        steps = scale.astype(np.float32).reshape(-1)
    if not (np.isfinite(steps) & (steps > 0)).all():
        raise ValueError(f"{name}: expected positive numbers within float32, got {value!r}")
    return steps


def _as_bias(value: object) -> npt.NDArray[np.int32]:
    """Integers that int32 holds; their number is for the convolution to check."""
    bias = as_any_array(value, "B")
    if bias.dtype.kind not in "iu":
        raise TypeError(f"B: expected int32, got {bias.dtype.name}; nothing is converted")
    limits = np.iinfo(np.int32)
    if bias.size and not limits.min <= int(bias.min()) <= int(bias.max()) <= limits.max:
        raise ValueError(f"B: expected numbers that int32 holds, got {int(bias.min())} to {int(bias.max())}")
    return bias.astype(np.int32)


def operators() -> list[type]:
    """The classes for ``onnx.reference.ReferenceEvaluator(model, new_ops=...)``.

    Raises:
        ImportError: There is no package ``onnx``.
    """
    from onnx.reference.op_run import OpRun

    def made(name: str, function: Any) -> type:
        def run(self: Any, *inputs: Any, **attributes: Any) -> tuple[AnyArray]:
            given = {key: value for key, value in attributes.items() if value is not None}
            return (function(*inputs, **given),)

        return type(name, (OpRun,), {"op_domain": "", "_run": run, "__doc__": function.__doc__})

    functions = {
        "Conv": conv,
        "ConvTranspose": conv_transpose,
        "ConvInteger": conv_integer,
        "QLinearConv": qlinear_conv,
    }
    return [made(name, function) for name, function in functions.items()]


def _integers(
    x: AnyArray,
    w: AnyArray,
    x_zero_point: AnyArray | None,
    w_zero_point: AnyArray | None,
    bias: AnyArray | None,
    requantization: Requantization | None,
    attributes: dict[str, Any],
) -> AnyArray:
    """:func:`fastconv.conv_integer` with ONNX's attributes, and its own names in messages."""
    x, w = as_any_array(x, "x"), as_any_array(w, "w")
    for name, array in (("x", x), ("w", w)):
        if array.dtype not in (np.int8, np.uint8):
            raise TypeError(f"{name}: expected int8 or uint8, got {array.dtype}")
    left = dict(attributes)
    axes = _axes(x, w, left.pop("kernel_shape", None))
    auto_pad, pads = left.pop("auto_pad", "NOTSET"), left.pop("pads", None)
    options: dict[str, Any] = {
        "stride": _per_axis(left.pop("strides", None), axes, "strides"),
        "padding": _AUTO_PADS[auto_pad] if _is_automatic(auto_pad) else _pads(pads, axes),
        "dilation": _per_axis(left.pop("dilations", None), axes, "dilations"),
        "groups": left.pop("group", 1),
    }
    if left:
        raise TypeError(f"attributes: expected those of Conv, got {', '.join(left)}")
    x_zero = 0 if x_zero_point is None else int(zero_points(x_zero_point, "x_zero_point", x.dtype.name)[0])
    w_zero = 0 if w_zero_point is None else zero_points(w_zero_point, "w_zero_point", w.dtype.name, len(w))
    return integers.conv_integer(x, w, x_zero, w_zero, **options, bias=bias, requantization=requantization)


def _axes(X: AnyArray, W: AnyArray, kernel_shape: Numbers) -> int:
    if X.ndim not in _FUNCTIONS:
        raise ValueError(f"X: expected 1 to 3 spatial axes, got shape {X.shape}")
    if kernel_shape is not None and _per_axis(kernel_shape, W.ndim - 2, "kernel_shape") != W.shape[2:]:
        raise ValueError(f"kernel_shape: expected that of W, {W.shape[2:]}, got {tuple(kernel_shape)}")
    return X.ndim - 2


def _is_automatic(auto_pad: object) -> bool:
    if not isinstance(auto_pad, str):
        raise TypeError(f"auto_pad: expected NOTSET, {', '.join(_AUTO_PADS)}, got {auto_pad!r}")
    if auto_pad != "NOTSET" and auto_pad not in _AUTO_PADS:
        raise ValueError(f"auto_pad: expected NOTSET, {', '.join(_AUTO_PADS)}, got {auto_pad!r}")
    return auto_pad != "NOTSET"


def _per_axis(numbers: Numbers, axes: int, name: str, default: int = 1) -> tuple[int, ...]:
    if numbers is None:
        return (default,) * axes
    if isinstance(numbers, str) or not np.iterable(numbers):
        raise TypeError(f"{name}: expected {axes} numbers, got {numbers!r}")
    if len(numbers) != axes:
        raise ValueError(f"{name}: expected {axes} numbers, got {tuple(numbers)}")
    return tuple(as_int(number, name, 0) for number in numbers)


def _pads(pads: Numbers, axes: int) -> Pads:
    numbers = _per_axis(pads, 2 * axes, "pads", 0)
    return tuple(zip(numbers[:axes], numbers[axes:], strict=True))


def _pads_for(
    outputs: tuple[int, ...], extents: tuple[int, ...], kernel: tuple[int, ...], spread: Spread, auto_pad: str
) -> Pads:
    """What is cut off for an output of these extents; what is missing is added at the ends."""
    whole = spread._replace(padding=((0, 0),) * len(outputs)).outputs(extents, kernel)
    totals = [max(full - size, 0) for full, size in zip(whole, outputs, strict=True)]
    halves = [(total // 2, total - total // 2) for total in totals]
    return tuple((low, high) if auto_pad == "SAME_UPPER" else (high, low) for low, high in halves)
