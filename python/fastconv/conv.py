"""Convolutions whose weights are used once: :func:`conv1d`, :func:`conv2d` and :func:`conv3d` pack them at each call.

They try the shortest way first: the core remembers calls. Only what it does not know comes to the checks and
conversions below; a call that raises does so there, before any work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy.typing as npt

from fastconv import _core, layers, programs
from fastconv.arguments import (
    Activation,
    as_accuracy,
    as_activation,
    as_layout,
    as_workspace_limit,
    lay,
)
from fastconv.arrays import as_added, as_array, as_bias, as_out, as_residual
from fastconv.borders import as_padding_mode, check_pads, mend, residual_apart
from fastconv.dispatch import as_algorithm
from fastconv.dtypes import as_any_array, convert, need_converting
from fastconv.geometry import LINE, PLANE, VOLUME, AnyPadding, Geometry, Padding, Pair, Space, Steps, as_geometry
from fastconv.programs import Call, Wanted

_remembered_call = _core.remembered_call


def conv2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCHW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    workspace_limit: int | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
    padding_mode: str = "zeros",
    residual: npt.ArrayLike | None = None,
    accumulate: bool = False,
) -> npt.NDArray[Any]:
    """Convolve images with K filters (cross-correlation: the filters are not flipped).

    The positional arguments and their meaning are those of ``torch.nn.functional.conv2d``. Weights are packed at each
    call; :class:`Conv2d` packs them once. Whatever is not a C-contiguous, aligned array of native byte order is copied.

    Args:
        input: Images, shape (N, C, H, W) or (C, H, W); with ``layout="NHWC"`` (N, H, W, C) or (H, W, C). float32 or
            float64: an array, or what NumPy can view as one; not a list. Or float16, bfloat16, complex64, complex128,
            or a PyTorch tensor on the CPU: see :mod:`fastconv.dtypes`.
        weight: Filters, shape (K, C // groups, R, S) in either layout, of the dtype of `input`.
        bias: One value per filter, shape (K,), of the dtype of `input`; or None.
        stride: In pixels, at least 1: an int or a (height, width) pair.
        padding: Zeros around the image, in pixels: an int, a (height, width) pair, ``((top, bottom), (left, right))``,
            ``"valid"`` for none, or ``"same"`` for an output of ceil(H / stride_h) x ceil(W / stride_w), with an odd
            pixel of padding at the bottom and right; with ``"same_lower"`` it is at the top and left.
        dilation: Distance of neighbouring taps in pixels, at least 1: an int or a (height, width) pair.
        groups: Channels and filters are cut into this many groups, each convolved on its own.
        algorithm: A name from :func:`algorithms`, or ``"auto"`` for the one :mod:`fastconv.dispatch` chooses.
        layout: ``"NCHW"`` or ``"NHWC"``, of input and output. Algorithms that read NCHW alone get transposed copies,
            which count as workspace; :func:`explain` says which.
        activation: Applied to every output as it is stored: None, ``"relu"``, ``"relu6"``, ``("clip", low, high)``,
            ``"leaky_relu"`` (slope 0.01), ``("leaky_relu", slope)``, ``"hardswish"``, ``"sigmoid"``, ``"silu"`` or
            ``"tanh"``.
        out: Array for the result, of its exact shape and dtype, sharing no memory with the other arrays. A call that
            is interrupted leaves it half written.
        workspace_limit: Most scratch memory, in bytes: workspace and packed weights together; None for no limit.
            "auto" passes over algorithms that need more.
        accuracy: What algorithms with fewer multiplications may do to the digits: ``"strict"`` leaves plain sums alone;
            ``"balanced"`` keeps the error expected for normal data within 25 epsilon (float32: 3e-6 of the output,
            both root mean square); ``"fast"`` within 250. Those errors are relative to the largest values of a tile of
            the image: data whose neighbours differ by a factor of a million (depth maps with sentinels, HDR images,
            radar) want "strict", as outputs near a large value are lost otherwise: docs/numerics.md has the figures.
            See :mod:`fastconv.numerics`.
        max_error: Instead of `accuracy`: the largest error that may be expected for normal data, over the root mean
            square of the output; None for no such limit.
        promote: False takes arrays of one dtype alone; True brings them to the one that NumPy's rules give.
        padding_mode: What stands in the padding: ``"zeros"``, or what ``torch.nn.Conv2d`` has: ``"reflect"`` (less
            padding than pixels), ``"replicate"``, ``"circular"`` (no more than pixels).
        residual: Added to the sums, before the activation: an array of the output's shape and dtype; or None. It may be
            `out` itself, but not overlap a part of it.
        accumulate: True adds to what `out` holds, which is short for ``residual=out``. A copy of it may be workspace.
    Returns:
        `out`, or a new array of shape (N, K, P, Q), or (N, P, Q, K) with ``layout="NHWC"``, or without N if `input` has
        none. P = (H + top + bottom - dilation_h * (R - 1) - 1) // stride_h + 1; Q likewise.
    Raises:
        ValueError: Shapes disagree, a number is out of range, `algorithm` rejects the problem (the text says why), or
            `workspace_limit` is too small.
        TypeError: An argument of another type, or dtypes that are unsupported or differ: nothing is converted silently.
        MemoryError: There is no memory for the result or the workspace.
        KeyboardInterrupt: Ctrl-C during the call, in the main thread.
    Source: letters as in the cuDNN paper, arXiv:1410.0759.

    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> conv2d(x, np.ones((1, 1, 3, 3), np.float32))
    array([[[45., 54.],
            [81., 90.]]], dtype=float32)
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        algorithm,
        layout,
        activation,
        workspace_limit,
        accuracy,
        max_error,
        promote,
        padding_mode,
    )
    y = _remembered_call("conv2d", input, weight, bias, out, residual, accumulate, *options)
    if y is not NotImplemented:
        return y  # type: ignore[no-any-return]
    return _first_call(conv2d, PLANE, input, weight, bias, out, residual, accumulate, options)


def conv1d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    workspace_limit: int | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
    padding_mode: str = "zeros",
    residual: npt.ArrayLike | None = None,
    accumulate: bool = False,
) -> npt.NDArray[Any]:
    """Convolve signals with K filters (cross-correlation: the filters are not flipped).

    The positional arguments and their meaning are those of ``torch.nn.functional.conv1d``. A signal is an image one
    pixel high, to the same kernels: nothing is copied to make it one. :class:`Conv1d` packs the weights once.

    Args:
        input: Signals, shape (N, C, W) or (C, W); with ``layout="NWC"`` (N, W, C) or (W, C). float32 or float64.
        weight: Filters, shape (K, C // groups, S) in either layout, of the dtype of `input`.
        bias: One value per filter, shape (K,), of the dtype of `input`; or None.
        stride, dilation: In samples, at least 1: an int or a tuple of one.
        padding: Zeros around the signal, in samples: an int, a tuple of one, ``((left, right),)``, ``"valid"``,
            ``"same"`` or ``"same_lower"``.
        groups, algorithm, activation, out, workspace_limit, accuracy, max_error,
            promote, padding_mode, residual, accumulate: As in :func:`conv2d`.
        layout: ``"NCW"`` or ``"NWC"``, of input and output.
    Returns:
        `out`, or a new array of shape (N, K, Q), or (N, Q, K) with ``layout="NWC"``, or without N if `input` has none.
        Q = (W + left + right - dilation * (S - 1) - 1) // stride + 1.
    Raises:
        ValueError, TypeError, MemoryError, KeyboardInterrupt: As :func:`conv2d` does.
    Source: letters as in the cuDNN paper, arXiv:1410.0759.

    >>> conv1d(np.arange(5, dtype=np.float32).reshape(1, 5), np.ones((1, 1, 3), np.float32), padding="same")
    array([[1., 3., 6., 9., 7.]], dtype=float32)
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        algorithm,
        layout,
        activation,
        workspace_limit,
        accuracy,
        max_error,
        promote,
        padding_mode,
    )
    y = _remembered_call("conv1d", input, weight, bias, out, residual, accumulate, *options)
    if y is not NotImplemented:
        return y  # type: ignore[no-any-return]
    return _first_call(conv1d, LINE, input, weight, bias, out, residual, accumulate, options)


def conv3d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCDHW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    workspace_limit: int | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
    padding_mode: str = "zeros",
    residual: npt.ArrayLike | None = None,
    accumulate: bool = False,
) -> npt.NDArray[Any]:
    """Convolve volumes with K filters (cross-correlation: the filters are not flipped).

    The positional arguments and their meaning are those of ``torch.nn.functional.conv3d``. Depth becomes further
    channels of convolutions of images. :class:`Conv3d` packs the weights once.

    Args:
        input: Volumes, shape (N, C, D, H, W) or (C, D, H, W); with ``layout="NDHWC"`` (N, D, H, W, C) or (D, H, W, C).
            float32 or float64.
        weight: Filters, shape (K, C // groups, T, R, S) in either layout, of the dtype of `input`.
        bias: One value per filter, shape (K,), of the dtype of `input`; or None.
        stride, dilation: In voxels, at least 1: an int or a (depth, height, width) triple.
        padding: Zeros around the volume: an int, a triple, ``((front, back), (top, bottom), (left, right))``,
            ``"valid"``, ``"same"`` or ``"same_lower"``.
        groups, activation, out, workspace_limit, accuracy, max_error, promote,
            padding_mode, residual, accumulate: As in :func:`conv2d`.
        algorithm: ``"auto"``, or a name from :func:`algorithms`, of the convolutions of images.
        layout: ``"NCDHW"`` or ``"NDHWC"``, of input and output.
    Returns:
        `out`, or a new array of shape (N, K, O, P, Q), or (N, O, P, Q, K) with ``layout="NDHWC"``, or without N if
        `input` has none. O = (D + front + back - dilation_d * (T - 1) - 1) // stride_d + 1; P and Q likewise.
    Raises:
        ValueError, TypeError, MemoryError, KeyboardInterrupt: As :func:`conv2d` does.
    Source: letters as in the cuDNN paper, arXiv:1410.0759.

    >>> x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    >>> conv3d(x, np.ones((1, 1, 2, 1, 1), np.float32))
    array([[[[ 4.,  6.],
             [ 8., 10.]]]], dtype=float32)
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        algorithm,
        layout,
        activation,
        workspace_limit,
        accuracy,
        max_error,
        promote,
        padding_mode,
    )
    y = _remembered_call("conv3d", input, weight, bias, out, residual, accumulate, *options)
    if y is not NotImplemented:
        return y  # type: ignore[no-any-return]
    return _first_call(conv3d, VOLUME, input, weight, bias, out, residual, accumulate, options)


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
    stride, padding, dilation, groups, algorithm, layout, activation, *more = options
    workspace_limit, accuracy, max_error, promote, padding_mode = more
    kept = partial(
        function,
        groups=groups,
        algorithm=algorithm,
        workspace_limit=workspace_limit,
        accuracy=accuracy,
        max_error=max_error,
    )
    if padding_mode != "zeros":
        convolve = partial(kept, activation=activation, promote=promote)
        geometry = as_geometry(stride, padding, dilation, groups, space)
        added = as_added(residual, accumulate, out)
        return _with_borders(convolve, padding_mode, geometry, layout, input, weight, bias, out, added)
    if need_converting(input, weight, promote):
        convolve = partial(kept, stride=stride, padding=padding, dilation=dilation, layout=layout)
        added = as_added(residual, accumulate, out)
        return convert(convolve, input, weight, bias, out, added, activation=activation, promote=promote)  # type: ignore[no-any-return]
    x = as_array(input, "input")
    w = as_array(weight, "weight", x.dtype.name, "input")
    geometry = as_geometry(stride, padding, dilation, groups, space)
    limits = as_accuracy(accuracy, max_error)
    checked = as_layout(layout, space)
    shapes = x.shape, w.shape
    laid = lay(*shapes, geometry, checked, ("input", "weight"))
    form = layers.of_convolution(laid, geometry, checked, x.dtype.name)
    b = as_bias(bias, w)
    wanted = Wanted(as_algorithm(algorithm), as_activation(activation), limits, as_workspace_limit(workspace_limit))
    y = as_out(out, form.output_shape, x.dtype.name, input=x, weight=w, bias=b)
    r = as_residual(as_added(residual, accumulate, y), form.output_shape, x.dtype.name, y)
    call = Call(function.__name__, shapes, options)
    return programs.remembered(call, form, wanted, x, w, b, y, r)


def _with_borders(
    convolve: Callable[..., Any],
    padding_mode: object,
    geometry: Geometry,
    layout: object,
    input: object,
    weight: object,
    bias: object,
    out: object,
    added: object,
) -> npt.NDArray[Any]:
    """The whole with zeros, then what looked at them again: :mod:`fastconv.borders`."""
    mode = as_padding_mode(padding_mode)
    x, w = as_any_array(input, "input"), as_any_array(weight, "weight")
    checked = as_layout(layout, geometry.space)
    laid = lay(x.shape, w.shape, geometry, checked, ("input", "weight"))
    check_pads(laid, mode)
    convolve = partial(convolve, stride=geometry.stride, dilation=geometry.dilation, layout=checked)
    b = None if bias is None else as_any_array(bias, "bias")

    def of_strip(strip: npt.NDArray[Any], residual: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
        return convolve(strip, w, b, residual=residual)  # type: ignore[no-any-return]

    kept = residual_apart(added, out)
    y = convolve(input, weight, bias, padding=laid.pads, out=out, residual=added)
    mend(as_any_array(y, "out"), x, laid, geometry, mode, checked, of_strip, kept)
    return y  # type: ignore[no-any-return]
