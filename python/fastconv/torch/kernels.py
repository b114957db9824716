"""From tensors in plain memory to :mod:`fastconv`'s functions, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv import conv, grad
from fastconv.geometry import SPACES
from fastconv.torch.found import torch
from fastconv.torch.spec import Spec, format_of

_FORWARD: tuple[Callable[..., Any], ...] = (conv.conv1d, conv.conv2d, conv.conv3d)
_BY_INPUT: tuple[Callable[..., Any], ...] = (grad.conv1d_input, grad.conv2d_input, grad.conv3d_input)
_BY_WEIGHT: tuple[Callable[..., Any], ...] = (grad.conv1d_weight, grad.conv2d_weight, grad.conv3d_weight)


def convolve(input: Any, weight: Any, bias: Any, spec: Spec) -> Any:
    """The convolution itself."""
    kept = format_of(input, weight)
    y = _empty(spec.output_shape(input.shape, weight.shape), input, kept)
    b = None if bias is None else array_of(bias)
    function = _FORWARD[len(spec.stride) - 1]
    x = array_of(input, kept)
    function(x, array_of(weight), b, *_geometry(spec), layout=_layout(spec, kept), out=written_array_of(y, kept))
    return y


def by_input(grad_output: Any, weight: Any, size: Sequence[int], spec: Spec) -> Any:
    """The gradient by an input of this size."""
    kept = format_of(grad_output, weight)
    dx = _empty(size, grad_output, kept)
    out = written_array_of(dx, kept)
    function = _BY_INPUT[len(spec.stride) - 1]
    dy = array_of(grad_output, kept)
    function(out.shape, array_of(weight), dy, *_geometry(spec), layout=_layout(spec, kept), out=out)
    return dx


def by_weight(grad_output: Any, input: Any, size: Sequence[int], spec: Spec) -> Any:
    """The gradient by weights of this size."""
    kept = format_of(grad_output, input)
    dw = _empty(size, grad_output, torch.contiguous_format)
    function = _BY_WEIGHT[len(spec.stride) - 1]
    x, dy = array_of(input, kept), array_of(grad_output, kept)
    function(x, tuple(size), dy, *_geometry(spec), layout=_layout(spec, kept), out=written_array_of(dw))
    return dw


def _geometry(spec: Spec) -> tuple[Any, ...]:
    return spec.stride, spec.pads, spec.dilation, spec.groups


def _layout(spec: Spec, kept: Any) -> str:
    return SPACES[len(spec.stride)].layouts[kept != torch.contiguous_format]


def _empty(shape: Sequence[int], like: Any, kept: Any) -> Any:
    return torch.empty(tuple(shape), dtype=like.dtype, device=like.device, memory_format=kept)


def array_of(tensor: Any, kept: Any = None) -> Any:
    """Its memory as an array; with channels as the last axis, if that is how they are kept.

    Not by ``tensor.numpy()``, after which the tensor's memory could not grow or be given back any more.
    """
    return np.from_dlpack(_arranged(tensor.detach(), kept))


def written_array_of(tensor: Any, kept: Any = None) -> Any:
    """The same, to be written to."""
    return _arranged(tensor, kept).numpy()


def _arranged(tensor: Any, kept: Any) -> Any:
    return tensor if kept is None or kept == torch.contiguous_format else tensor.movedim(1, -1)
