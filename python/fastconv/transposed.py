"""Transposed convolutions: :func:`conv_transpose1d`, :func:`conv_transpose2d`, :func:`conv_transpose3d`.

They are computed as dense convolutions, one for each phase of the stride: cpp/include/fastconv/lowering.hpp.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy.typing as npt

from fastconv import _core, programs
from fastconv.arguments import (
    Activation,
    Array,
    as_accuracy,
    as_activation,
    as_layout,
    as_workspace_limit,
)
from fastconv.arrays import as_added, as_array, as_bias_of, as_out, as_residual
from fastconv.dispatch import as_algorithm
from fastconv.dtypes import convert, need_converting
from fastconv.geometry import (
    LINE,
    PLANE,
    VOLUME,
    AnyPadding,
    Padding,
    Pair,
    Space,
    Steps,
)
from fastconv.layers import Form
from fastconv.programs import Call, Wanted
from fastconv.spread import as_spread, as_spread_filters, fit_transposed

_remembered_call = _core.remembered_call


def _first_call(
    function: Callable[..., npt.NDArray[Any]],
    space: Space,
    input: object,
    weight: object,
    bias: object,
    out: object,
    residual: object,
    accumulate: object,
    options: tuple[Any, ...],
) -> npt.NDArray[Any]:
    """A call that the core does not remember; `options` are the function's others, in its order."""
    stride, padding, output_padding, groups, dilation, algorithm, layout, activation, *more = options
    workspace_limit, accuracy, max_error, promote = more
    if need_converting(input, weight, promote):
        convolve = partial(
            function,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            groups=groups,
            dilation=dilation,
            algorithm=algorithm,
            layout=layout,
            workspace_limit=workspace_limit,
            accuracy=accuracy,
            max_error=max_error,
        )
        added = as_added(residual, accumulate, out)
        return convert(convolve, input, weight, bias, out, added, activation=activation, promote=promote)  # type: ignore[no-any-return]
    x = as_array(input, "input")
    w = as_array(weight, "weight", x.dtype.name, "input")
    spread = as_spread(stride, padding, output_padding, groups, dilation, space)
    shapes = x.shape, as_spread_filters(w.shape, spread.groups, space)
    form = fit_transposed(*shapes, spread, as_layout(layout, space), x.dtype.name)
    b = as_bias_of(form.layer.K, bias, w)
    limits = as_accuracy(accuracy, max_error)
    wanted = Wanted(as_algorithm(algorithm), as_activation(activation), limits, as_workspace_limit(workspace_limit))
    y = as_out(out, form.output_shape, x.dtype.name, input=x, weight=w, bias=b)
    r = as_residual(as_added(residual, accumulate, y), form.output_shape, x.dtype.name, y)
    call = Call(function.__name__, shapes, options)
    return transposed_once(call, form, wanted, x, w, b, y, r)


def transposed_once(
    call: Call,
    form: Form,
    wanted: Wanted,
    x: Array,
    w: Array,
    b: Array | None,
    out: npt.NDArray[Any] | None,
    residual: Array | None = None,
) -> Array:
    """A transposed layer's result for checked arrays, with weights that are used once."""
    if programs.as_one_product(form.layer, wanted, residual):
        return programs.product(form, x, w, b, wanted.activation, out)
    return programs.remembered(call, form, wanted, x, w, b, out, residual)


def conv_transpose2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCHW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    workspace_limit: int | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
    residual: npt.ArrayLike | None = None,
    accumulate: bool = False,
) -> npt.NDArray[Any]:
    """Spread images over a larger output: every pixel adds its multiple of a filter, `stride` apart.

    The positional arguments and their meaning are those of ``torch.nn.functional.conv_transpose2d``. It is the gradient
    of :func:`conv2d` by its input, computed as dense convolutions, one for each phase of the stride. Weights are
    brought into order at each call; :class:`ConvTranspose2d` does so once.

    Args:
        input: Images, shape (N, C, H, W) or (C, H, W); with ``layout="NHWC"`` (N, H, W, C) or (H, W, C). float32 or
            float64.
        weight: Filters, shape (C, K // groups, R, S) in either layout, of the dtype of `input`.
        bias: One value per channel of the output, shape (K,), of the dtype of `input`; or None.
        stride: Output pixels from one input pixel's filter to the next's, at least 1: an int or a (height, width) pair.
        padding: Output pixels cut off at the edges: an int, a pair, or ``((top, bottom), (left, right))``.
        output_padding: Output pixels added at the bottom and right, fewer than the stride or the dilation.
        groups: Channels of input and output are cut into this many groups, each convolved on its own.
        dilation: Distance of neighbouring taps in output pixels, at least 1: an int or a (height, width) pair.
        algorithm: ``"auto"``, or a name from :func:`algorithms`, for every phase.
        layout, activation, out, workspace_limit, accuracy, max_error, promote, residual,
            accumulate: As in :func:`conv2d`.
    Returns:
        `out`, or a new array of shape (N, K, P, Q), or (N, P, Q, K) with ``layout="NHWC"``, or without N if `input` has
        none. P = (H - 1) * stride_h - top - bottom + dilation_h * (R - 1) + output_padding_h + 1; Q likewise.
    Raises:
        ValueError: Shapes disagree, a number is out of range, or `algorithm` rejects a phase.
        TypeError: An argument of another type, or dtypes that are unsupported or differ.
        MemoryError, KeyboardInterrupt: As in :func:`conv2d`.
    Source: polyphase filters, Crochiere and Rabiner, Multirate Digital Signal Processing, 1983.

    >>> x = np.array([[[1, 2]]], np.float32)
    >>> conv_transpose2d(x, np.ones((1, 1, 1, 3), np.float32), stride=2)
    array([[[1., 1., 3., 2., 2.]]], dtype=float32)
    """
    options = (
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        algorithm,
        layout,
        activation,
        workspace_limit,
        accuracy,
        max_error,
        promote,
    )
    y = _remembered_call("conv_transpose2d", input, weight, bias, out, residual, accumulate, *options)
    if y is not NotImplemented:
        return y  # type: ignore[no-any-return]
    return _first_call(conv_transpose2d, PLANE, input, weight, bias, out, residual, accumulate, options)


def conv_transpose1d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    output_padding: Steps = 0,
    groups: int = 1,
    dilation: Steps = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    workspace_limit: int | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
    residual: npt.ArrayLike | None = None,
    accumulate: bool = False,
) -> npt.NDArray[Any]:
    """Spread signals over a longer output: :func:`conv_transpose2d` for one axis.

    The positional arguments and their meaning are those of ``torch.nn.functional.conv_transpose1d``.

    Args:
        input: Signals, shape (N, C, W) or (C, W); with ``layout="NWC"`` (N, W, C) or (W, C). float32 or float64.
        weight: Filters, shape (C, K // groups, S) in either layout, of the dtype of `input`.
        bias: One value per channel of the output, shape (K,); or None.
        stride, output_padding, dilation: An int or a tuple of one.
        padding: Output samples cut off at the ends: an int, a tuple of one, or ``((left, right),)``.
        groups, algorithm, activation, out, workspace_limit, accuracy, max_error, promote, residual,
            accumulate: As in :func:`conv_transpose2d`.
        layout: ``"NCW"`` or ``"NWC"``, of input and output.
    Returns:
        `out`, or a new array of shape (N, K, Q), or (N, Q, K) with ``layout="NWC"``, or without N if `input` has none.
    Raises:
        ValueError, TypeError, MemoryError, KeyboardInterrupt: As :func:`conv_transpose2d` does.
    Source: polyphase filters, Crochiere and Rabiner, Multirate Digital Signal Processing, 1983.

    >>> conv_transpose1d(np.array([[1, 2]], np.float32), np.ones((1, 1, 3), np.float32), stride=2)
    array([[1., 1., 3., 2., 2.]], dtype=float32)
    """
    options = (
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        algorithm,
        layout,
        activation,
        workspace_limit,
        accuracy,
        max_error,
        promote,
    )
    y = _remembered_call("conv_transpose1d", input, weight, bias, out, residual, accumulate, *options)
    if y is not NotImplemented:
        return y  # type: ignore[no-any-return]
    return _first_call(conv_transpose1d, LINE, input, weight, bias, out, residual, accumulate, options)


def conv_transpose3d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    output_padding: Steps = 0,
    groups: int = 1,
    dilation: Steps = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCDHW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    workspace_limit: int | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
    residual: npt.ArrayLike | None = None,
    accumulate: bool = False,
) -> npt.NDArray[Any]:
    """Spread volumes over a larger output: :func:`conv_transpose2d` for three axes.

    The positional arguments and their meaning are those of ``torch.nn.functional.conv_transpose3d``.

    Args:
        input: Volumes, shape (N, C, D, H, W) or (C, D, H, W); with ``layout="NDHWC"`` (N, D, H, W, C) or (D, H, W, C).
        weight: Filters, shape (C, K // groups, T, R, S) in either layout, of the dtype of `input`.
        bias: One value per channel of the output, shape (K,); or None.
        stride, output_padding, dilation: An int or a (depth, height, width) triple.
        padding: Output voxels cut off: an int, a triple, or ``((front, back), (top, bottom), (left, right))``.
        groups, algorithm, activation, out, workspace_limit, accuracy, max_error, promote, residual,
            accumulate: As in :func:`conv_transpose2d`.
        layout: ``"NCDHW"`` or ``"NDHWC"``, of input and output.
    Returns:
        `out`, or a new array of shape (N, K, O, P, Q), or (N, O, P, Q, K) with ``layout="NDHWC"``, or without N if
        `input` has none.
    Raises:
        ValueError, TypeError, MemoryError, KeyboardInterrupt: As :func:`conv_transpose2d` does.
    Source: polyphase filters, Crochiere and Rabiner, Multirate Digital Signal Processing, 1983.

    >>> conv_transpose3d(np.ones((1, 1, 1, 2), np.float32), np.ones((1, 1, 1, 1, 2), np.float32))
    array([[[[1., 2., 1.]]]], dtype=float32)
    """
    options = (
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        algorithm,
        layout,
        activation,
        workspace_limit,
        accuracy,
        max_error,
        promote,
    )
    y = _remembered_call("conv_transpose3d", input, weight, bias, out, residual, accumulate, *options)
    if y is not NotImplemented:
        return y  # type: ignore[no-any-return]
    return _first_call(conv_transpose3d, VOLUME, input, weight, bias, out, residual, accumulate, options)
