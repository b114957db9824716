"""Gradients of convolutions, with the names, arguments and meaning of ``torch.nn.grad``.

By the input they are transposed convolutions, and computed as these; by the weights they are a matrix
product over all outputs of all images, a block of outputs at a time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv import _core
from fastconv.arguments import BALANCED, Array, Laid, Shape, as_layout, fit, lay
from fastconv.arrays import as_array, as_out, is_ready, ready
from fastconv.geometry import LINE, PLANE, VOLUME, AnyPadding, Geometry, Padding, Pair, Space, Steps, as_geometry
from fastconv.planes import put_planes
from fastconv.programs import Call, Wanted
from fastconv.spread import Spread, fit_transposed
from fastconv.transposed import transposed_once

REMEMBERED = 256
# Layers that were checked before: a check takes as long as a small layer. Only of tuples of ints, as 1.0 equals 1.
_lay = lru_cache(maxsize=REMEMBERED)(lay)
_fit = lru_cache(maxsize=REMEMBERED)(fit)

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def conv1d_input(
    input_size: Shape,
    weight: npt.ArrayLike,
    grad_output: npt.ArrayLike,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
    *,
    layout: str = "NCW",
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """The gradient of :func:`fastconv.conv1d` by its input: :func:`conv2d_input` for one axis.

    Args:
        input_size: Shape of the input, (N, C, W) or (C, W); in `layout`.
        weight: Filters, shape (K, C // groups, S).
        grad_output: Gradient by the output, of the shape that `conv1d` returns.
        stride, padding, dilation, groups: Those of the convolution.
        layout: ``"NCW"`` or ``"NWC"``.
        out: Array for the result, of shape `input_size`, sharing no memory with the other arrays.
    Returns:
        `out`, or a new array of shape `input_size`.
    Raises:
        ValueError, TypeError: As :func:`conv2d_input` does.
    Source: polyphase filters, Crochiere and Rabiner, Multirate Digital Signal Processing, 1983.
    """
    return _by_input(LINE, input_size, weight, grad_output, stride, padding, dilation, groups, layout, out)


def conv2d_input(
    input_size: Shape,
    weight: npt.ArrayLike,
    grad_output: npt.ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """The gradient of :func:`fastconv.conv2d` by its input.

    Args:
        input_size: Shape of the input, (N, C, H, W) or (C, H, W); with ``layout="NHWC"`` (N, H, W, C) or (H, W, C).
        weight: Filters, shape (K, C // groups, R, S); float32 or float64.
        grad_output: Gradient by the output, of the shape that `conv2d` returns and the dtype of `weight`.
        stride, padding, dilation, groups: Those of the convolution.
        layout: ``"NCHW"`` or ``"NHWC"``.
        out: Array for the result, of shape `input_size`, sharing no memory with the other arrays.
    Returns:
        `out`, or a new array of shape `input_size`.
    Raises:
        ValueError: Shapes disagree, or a number is out of range.
        TypeError: An argument of another type, or dtypes that are unsupported or differ.
    Source: polyphase filters, Crochiere and Rabiner, Multirate Digital Signal Processing, 1983.

    >>> conv2d_input((1, 1, 4), np.ones((1, 1, 1, 2), np.float32), np.ones((1, 1, 3), np.float32))
    array([[[1., 2., 2., 1.]]], dtype=float32)
    """
    return _by_input(PLANE, input_size, weight, grad_output, stride, padding, dilation, groups, layout, out)


def conv1d_weight(
    input: npt.ArrayLike,
    weight_size: Shape,
    grad_output: npt.ArrayLike,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
    *,
    layout: str = "NCW",
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """The gradient of :func:`fastconv.conv1d` by its weights: :func:`conv2d_weight` for one axis.

    Args:
        input: Signals, shape (N, C, W) or (C, W); with ``layout="NWC"`` (N, W, C) or (W, C).
        weight_size: Shape of the weights, (K, C // groups, S).
        grad_output: Gradient by the output, of the shape that `conv1d` returns.
        stride, padding, dilation, groups: Those of the convolution.
        layout: ``"NCW"`` or ``"NWC"``.
        out: Array for the result, of shape `weight_size`, sharing no memory with the other arrays.
    Returns:
        `out`, or a new array of shape `weight_size`.
    Raises:
        ValueError, TypeError: As :func:`conv2d_weight` does.
    Source: as for :func:`conv2d_weight`.
    """
    return _by_weight(LINE, input, weight_size, grad_output, stride, padding, dilation, groups, layout, out)


def conv2d_weight(
    input: npt.ArrayLike,
    weight_size: Shape,
    grad_output: npt.ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """The gradient of :func:`fastconv.conv2d` by its weights.

    Each is a sum over N * P * Q outputs, made in blocks of at most 256 of them, block after block: in `float32` the
    rounding errors grow with the root of the number of blocks, and the bits are the same for any number of threads.

    Args:
        input: Images, shape (N, C, H, W) or (C, H, W); with ``layout="NHWC"`` (N, H, W, C) or (H, W, C); float32 or
            float64.
        weight_size: Shape of the weights, (K, C // groups, R, S) in either layout.
        grad_output: Gradient by the output, of the shape that `conv2d` returns and the dtype of `input`.
        stride, padding, dilation, groups: Those of the convolution.
        layout: ``"NCHW"`` or ``"NHWC"``.
        out: Array for the result, of shape `weight_size`, sharing no memory with the other arrays.
    Returns:
        `out`, or a new array of shape `weight_size`.
    Raises:
        ValueError: Shapes disagree, or a number is out of range.
        TypeError: An argument of another type, or dtypes that are unsupported or differ.
    Source: the gradient as a matrix product over the outputs, Chetlur et al. (cuDNN), arXiv:1410.0759.

    >>> conv2d_weight(np.arange(4, dtype=np.float32).reshape(1, 1, 4), (1, 1, 1, 2), np.ones((1, 1, 3), np.float32))
    array([[[[3., 6.]]]], dtype=float32)
    """
    return _by_weight(PLANE, input, weight_size, grad_output, stride, padding, dilation, groups, layout, out)


def conv3d_input(
    input_size: Shape,
    weight: npt.ArrayLike,
    grad_output: npt.ArrayLike,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
    *,
    layout: str = "NCDHW",
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """The gradient of :func:`fastconv.conv3d` by its input: :func:`conv2d_input` for three axes.

    Args:
        input_size: Shape of the input, (N, C, D, H, W) or (C, D, H, W); in `layout`.
        weight: Filters, shape (K, C // groups, T, R, S).
        grad_output: Gradient by the output, of the shape that `conv3d` returns.
        stride, padding, dilation, groups: Those of the convolution.
        layout: ``"NCDHW"`` or ``"NDHWC"``.
        out: Array for the result, of shape `input_size`, sharing no memory with the other arrays.
    Returns:
        `out`, or a new array of shape `input_size`.
    Raises:
        ValueError, TypeError: As :func:`conv2d_input` does.
    Source: polyphase filters, Crochiere and Rabiner, Multirate Digital Signal Processing, 1983.
    """
    return _by_input(VOLUME, input_size, weight, grad_output, stride, padding, dilation, groups, layout, out)


def conv3d_weight(
    input: npt.ArrayLike,
    weight_size: Shape,
    grad_output: npt.ArrayLike,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
    *,
    layout: str = "NCDHW",
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """The gradient of :func:`fastconv.conv3d` by its weights: :func:`conv2d_weight` for three axes.

    Args:
        input: Volumes, shape (N, C, D, H, W) or (C, D, H, W); with ``layout="NDHWC"`` (N, D, H, W, C) or
            (D, H, W, C).
        weight_size: Shape of the weights, (K, C // groups, T, R, S).
        grad_output: Gradient by the output, of the shape that `conv3d` returns.
        stride, padding, dilation, groups: Those of the convolution.
        layout: ``"NCDHW"`` or ``"NDHWC"``.
        out: Array for the result, of shape `weight_size`, sharing no memory with the other arrays.
    Returns:
        `out`, or a new array of shape `weight_size`.
    Raises:
        ValueError, TypeError: As :func:`conv2d_weight` does.
    Source: as for :func:`conv2d_weight`.
    """
    return _by_weight(VOLUME, input, weight_size, grad_output, stride, padding, dilation, groups, layout, out)


def _by_input(space: Space, input_size: object, weight: object, grad_output: object, *options: Any) -> npt.NDArray[Any]:
    *numbers, layout, out = options
    name, told = f"conv{space.rank}d_input", (input_size, *numbers, layout)
    known = _core.remembered_call(name, grad_output, weight, None, out, None, False, *told)
    if known is not NotImplemented:
        return known  # type: ignore[no-any-return]
    w = as_array(weight, "weight")
    dy = as_array(grad_output, "grad_output", w.dtype.name, "weight")
    layout = as_layout(layout, space)
    laid, geometry = _forward(space, input_size, w.shape, ("input_size", "weight"), dy, layout, numbers)
    spread = Spread(geometry.stride, laid.pads, (0,) * space.rank, geometry.groups, geometry.dilation, space)
    shapes = dy.shape, w.shape
    form = fit_transposed(*shapes, spread, layout, w.dtype.name, ("grad_output", "weight"), laid.extents)
    y = as_out(out, form.output_shape, w.dtype.name, weight=w, grad_output=dy)
    return transposed_once(Call(name, shapes, told), form, Wanted("auto", None, BALANCED), dy, w, None, y)


def _by_weight(
    space: Space, input: object, weight_size: object, grad_output: object, *options: Any
) -> npt.NDArray[Any]:
    *numbers, layout, out = options
    x = as_array(input, "input")
    dy = as_array(grad_output, "grad_output", x.dtype.name, "input")
    layout = as_layout(layout, space)
    laid, geometry = _forward(space, x.shape, weight_size, ("input", "weight_size"), dy, layout, numbers)
    shape = laid.K, laid.C // geometry.groups, *laid.kernel
    y = as_out(out, shape, x.dtype.name, input=x, grad_output=dy)
    if space is VOLUME:
        images = (x, dy) if laid.batched else (x[np.newaxis], dy[np.newaxis])
        result = _by_weight_of_volumes(laid, geometry, layout, *images)
        if y is None:
            return np.ascontiguousarray(result)
        y[...] = result
        return y
    layer = _fit(x.shape, shape, geometry, layout, x.dtype.name, ("input", "weight_size"))
    of_input, of_output = layer.core_shapes
    direct = None if y is None or not is_ready(y) else y.reshape(layer.problem.weight_shape)
    result = _core.weight_gradient(layer.problem, ready(x).reshape(of_input), ready(dy).reshape(of_output), direct)
    if y is None:
        return result.reshape(shape)
    if direct is None:
        y[...] = result.reshape(shape)
    return y


def _by_weight_of_volumes(laid: Laid, geometry: Geometry, layout: str, x: Array, dy: Array) -> Array:
    """(K, C // groups, T, R, S) of a convolution, from its input and the gradient of its output, with all axes.

    Every plane of outputs is an image, and the planes it looks at are copied to be that image's channels: workspace of
    T times the input.
    """
    if layout == VOLUME.layouts[1]:
        x, dy = np.moveaxis(x, -1, 1), np.moveaxis(dy, -1, 1)
    T, groups = laid.kernel[0], geometry.groups
    N, C, _, H, W = x.shape
    K, planes, P, Q = dy.shape[1:]
    stacked = np.zeros((N, planes, groups, C // groups, T, H, W), x.dtype)
    steps_in_depth = geometry.stride[0], geometry.dilation[0]
    put_planes(x, -laid.pads[0][0], *steps_in_depth, stacked.transpose(0, 1, 4, 2, 3, 5, 6))
    images = stacked.reshape(N * planes, C * T, H, W)
    gradients = np.ascontiguousarray(dy.transpose(0, 2, 1, 3, 4)).reshape(N * planes, K, P, Q)
    (top, bottom), (left, right) = laid.pads[1:]
    sizes = N * planes, C * T, H, W, K, *laid.kernel[1:]
    steps = *geometry.stride[1:], top, bottom, left, right, *geometry.dilation[1:]
    problem = _core.Problem(x.dtype.name, *sizes, *steps, groups)  # type: ignore[call-arg]
    dw: Array = _core.weight_gradient(problem, images, gradients, None)
    return dw.reshape(K, C // groups, *laid.kernel)


def _forward(
    space: Space, input_size: object, weight_size: object, names: tuple[str, str], dy: Array, layout: str, numbers: Any
) -> tuple[Laid, Geometry]:
    """The convolution itself; its output has the shape of the gradient."""
    stride, padding, dilation, groups = numbers
    geometry = as_geometry(stride, padding, dilation, groups, space)
    is_plain = all(type(size) is tuple and all(type(i) is int for i in size) for size in (input_size, weight_size))
    laid = (_lay if is_plain else lay)(input_size, weight_size, geometry, layout, names)
    channels_last = layout == space.layouts[1]
    shape = (laid.N, *laid.outputs, laid.K) if channels_last else (laid.N, laid.K, *laid.outputs)
    shape = shape if laid.batched else shape[1:]
    if dy.shape != shape:
        raise ValueError(f"grad_output: expected shape {shape}, that of the convolution's output, got {dy.shape}")
    return laid, geometry
