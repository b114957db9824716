"""fastconv inside PyTorch: an operator with gradients, and a way to have PyTorch's own functions use it.

    import fastconv.torch

    with fastconv.torch.patch():
        y = model(x)  # its convolutions of float32 and float64 tensors on the CPU run here

:func:`conv1d`, :func:`conv2d` and :func:`conv3d` are one custom operator, ``fastconv::convolution``, with a gradient by
each of its tensors, of any order, known to ``torch.compile``. Importing this module, which ``import fastconv`` does not
do, imports PyTorch if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from fastconv import conv, grad
from fastconv.arguments import lay
from fastconv.geometry import LINE, PLANE, VOLUME, AnyPadding, Geometry, Space, Steps, as_geometry

__all__ = ["conv1d", "conv2d", "conv3d", "patch"]

_SPACES = {3: LINE, 4: PLANE, 5: VOLUME}
_SCHEMA = "Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, int groups"
_BACKWARD = (
    "Tensor grad, Tensor input, Tensor weight, int[] stride, int[] padding, int[] dilation, int groups, bool[] mask"
)


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
) -> Any:
    """``torch.nn.functional.conv1d`` on CPU tensors, with gradients.

    Args:
        input, weight, bias: Tensors, float32 or float64, shapes as in :func:`fastconv.conv1d`.
        stride, padding, dilation, groups: As in :func:`fastconv.conv1d`.
    Returns:
        A tensor.
    Raises:
        ValueError, TypeError: As :func:`fastconv.conv1d` does.
    Source: PyTorch's documentation of ``torch.library``.
    """
    return _apply(LINE, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
) -> Any:
    """``torch.nn.functional.conv2d`` on CPU tensors, with gradients.

    Args:
        input, weight, bias: Tensors, float32 or float64, shapes as in :func:`fastconv.conv2d`.
        stride, padding, dilation, groups: As in :func:`fastconv.conv2d`.
    Returns:
        A tensor.
    Raises:
        ValueError, TypeError: As :func:`fastconv.conv2d` does.
    Source: PyTorch's documentation of ``torch.library``.
    """
    return _apply(PLANE, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
) -> Any:
    """``torch.nn.functional.conv3d`` on CPU tensors, with gradients.

    Args:
        input, weight, bias: Tensors, float32 or float64, shapes as in :func:`fastconv.conv3d`.
        stride, padding, dilation, groups: As in :func:`fastconv.conv3d`.
    Returns:
        A tensor.
    Raises:
        ValueError, TypeError: As :func:`fastconv.conv3d` does.
    Source: PyTorch's documentation of ``torch.library``.
    """
    return _apply(VOLUME, input, weight, bias, stride, padding, dilation, groups)


@contextmanager
def patch() -> Iterator[None]:
    """Have ``torch.nn.functional.conv1d``, ``conv2d`` and ``conv3d`` run here, for tensors that can.

    Eligible are float32 and float64 tensors on the CPU, of one dtype, with images in them; all others go where they
    always go. Holds for every thread until the ``with`` block ends, and for modules such as ``torch.nn.Conv2d``.

    Raises:
        ImportError: There is no package ``torch``.
    Source: PyTorch's modules look the functions up at each call.
    """
    import torch.nn.functional as functional

    own = {"conv1d": conv1d, "conv2d": conv2d, "conv3d": conv3d}
    theirs = {name: getattr(functional, name) for name in own}
    for name, function in own.items():
        setattr(functional, name, _where_eligible(function, theirs[name]))
    try:
        yield
    finally:
        for name, function in theirs.items():
            setattr(functional, name, function)


def _where_eligible(own: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    def convolve(input: Any, weight: Any, bias: Any = None, *args: Any, **options: Any) -> Any:
        function = own if _is_eligible(input, weight, bias) else theirs
        return function(input, weight, bias, *args, **options)

    return convolve


def _is_eligible(*tensors: Any) -> bool:
    import torch

    given = [tensor for tensor in tensors if tensor is not None]
    return all(
        isinstance(tensor, torch.Tensor)
        and tensor.device.type == "cpu"
        and tensor.layout == torch.strided
        and tensor.dtype in (torch.float32, torch.float64)
        and tensor.dtype == given[0].dtype
        and 0 not in tensor.shape
        for tensor in given
    )


def _apply(
    space: Space, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    geometry = as_geometry(stride, padding, dilation, groups, space)
    laid = lay(tuple(input.shape), tuple(weight.shape), geometry, space.layouts[0], ("input", "weight"))
    pads = [pad for sides in laid.pads for pad in sides]
    images = input if laid.batched else input.unsqueeze(0)
    y = _convolution(images, weight, bias, list(geometry.stride), pads, list(geometry.dilation), groups)
    return y if laid.batched else y.squeeze(0)


def _geometry(tensor: Any, stride: list[int], padding: list[int], dilation: list[int], groups: int) -> Geometry:
    space = _SPACES[tensor.ndim]
    sides = list(zip(padding[::2], padding[1::2], strict=True))
    return as_geometry(tuple(stride), sides, tuple(dilation), groups, space)


def _output_shape(input: Any, weight: Any, geometry: Geometry) -> tuple[int, ...]:
    """Of extents that may be symbols, while a graph is traced."""
    sizes = zip(input.shape[2:], weight.shape[2:], geometry.padding, geometry.stride, geometry.dilation, strict=True)
    outputs = [
        (size + low + high - step * (taps - 1) - 1) // stride + 1 for size, taps, (low, high), stride, step in sizes
    ]
    return (input.shape[0], weight.shape[0], *outputs)


def _registered() -> Any:
    """The operator, from then on ``torch.ops.fastconv.convolution``; what raises ImportError if there is no PyTorch.

    Registered at import: a compiler that traces a call cannot do so.
    """
    if find_spec("torch") is None:
        return _missing
    import torch

    def array(tensor: Any) -> Any:
        return tensor.detach().numpy()

    def forward(input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        g = _geometry(input, stride, padding, dilation, groups)
        function: Callable[..., Any] = (conv.conv1d, conv.conv2d, conv.conv3d)[g.space.rank - 1]
        b = None if bias is None else array(bias)
        return torch.from_numpy(function(array(input), array(weight), b, g.stride, g.padding, g.dilation, groups))

    def backward(
        grad_output: Any, input: Any, weight: Any, stride: Any, padding: Any, dilation: Any, groups: int, mask: Any
    ) -> Any:
        g = _geometry(input, stride, padding, dilation, groups)
        rank = g.space.rank
        by_input: Callable[..., Any] = (grad.conv1d_input, grad.conv2d_input, grad.conv3d_input)[rank - 1]
        by_weight: Callable[..., Any] = (grad.conv1d_weight, grad.conv2d_weight, grad.conv3d_weight)[rank - 1]
        rest = g.stride, g.padding, g.dilation, groups
        dy, none = array(grad_output), np.empty(0, array(input).dtype)
        dx = by_input(tuple(input.shape), array(weight), dy, *rest) if mask[0] else none
        dw = by_weight(array(input), tuple(weight.shape), dy, *rest) if mask[1] else none
        db = dy.sum(axis=(0, *range(2, 2 + rank))) if mask[2] else none
        return tuple(torch.from_numpy(values if values.size else values.copy()) for values in (dx, dw, db))

    library: Any = torch.library
    convolution = library.custom_op(
        "fastconv::convolution", forward, mutates_args=(), schema=f"({_SCHEMA}) -> Tensor", device_types="cpu"
    )
    gradient = library.custom_op(
        "fastconv::convolution_backward",
        backward,
        mutates_args=(),
        schema=f"({_BACKWARD}) -> (Tensor, Tensor, Tensor)",
        device_types="cpu",
    )

    def fake(input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        shape = _output_shape(input, weight, _geometry(input, stride, padding, dilation, groups))
        return torch.empty(shape, dtype=input.dtype, device=input.device)

    def fake_gradient(
        grad_output: Any, input: Any, weight: Any, stride: Any, padding: Any, dilation: Any, groups: int, mask: Any
    ) -> Any:
        shapes = [tuple(input.shape), tuple(weight.shape), (weight.shape[0],)]
        return tuple(
            torch.empty(shape if wanted else (0,), dtype=input.dtype, device=input.device)
            for shape, wanted in zip(shapes, mask, strict=True)
        )

    def remember(ctx: Any, inputs: Any, output: Any) -> None:
        input, weight, bias, *ctx.rest = inputs
        ctx.has_bias = bias is not None
        ctx.save_for_backward(input, weight)

    def differentiate(ctx: Any, grad_output: Any) -> Any:
        mask = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias and ctx.needs_input_grad[2]]
        gradients = gradient(grad_output, *ctx.saved_tensors, *ctx.rest, mask)
        wanted = (values if needed else None for values, needed in zip(gradients, mask, strict=True))
        return (*wanted, None, None, None, None)

    def remember_gradient(ctx: Any, inputs: Any, output: Any) -> None:
        grad_output, input, weight, *ctx.rest, ctx.mask = inputs
        ctx.save_for_backward(grad_output, input, weight)

    def differentiate_gradient(ctx: Any, *of_gradients: Any) -> Any:
        # A convolution is linear in its input and in its weights, and so are its gradients in what they are made of:
        # the derivative by one is the operation itself with the others' in its place.
        dy, x, w = ctx.saved_tensors
        ddx, ddw, ddb = (values if wanted else None for values, wanted in zip(of_gradients, ctx.mask, strict=True))
        of_dy = []
        if ctx.needs_input_grad[0]:
            of_dy += [] if ddx is None else [convolution(ddx, w, None, *ctx.rest)]
            of_dy += [] if ddw is None else [convolution(x, ddw, None, *ctx.rest)]
            of_dy += [] if ddb is None else [ddb.reshape(-1, *(1,) * (dy.ndim - 2)).expand(dy.shape)]
        mask = [ctx.needs_input_grad[1] and ddw is not None, ctx.needs_input_grad[2] and ddx is not None, False]
        of_x = of_w = None
        if any(mask):
            of_x, of_w, _ = gradient(dy, x if ddx is None else ddx, w if ddw is None else ddw, *ctx.rest, mask)
        by_dy = sum(of_dy[1:], of_dy[0]) if of_dy else None
        return (by_dy, of_x if mask[0] else None, of_w if mask[1] else None, *(None,) * 5)

    convolution.register_fake(fake)
    gradient.register_fake(fake_gradient)
    convolution.register_autograd(differentiate, setup_context=remember)
    gradient.register_autograd(differentiate_gradient, setup_context=remember_gradient)
    return convolution


def _missing(*arguments: Any) -> Any:
    raise ImportError("fastconv.torch: expected the package torch to be installed")


_convolution = _registered()
