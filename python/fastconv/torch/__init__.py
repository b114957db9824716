"""fastconv inside PyTorch: an operator with gradients, and a way to have PyTorch's own functions use it.

    import fastconv.torch

    with fastconv.torch.patch():
        y = model(x)  # its convolutions of float32 and float64 tensors on the CPU run here

:func:`conv1d`, :func:`conv2d` and :func:`conv3d` have derivatives by each of their tensors, of any order and in both
modes, under ``torch.func`` too; ``torch.compile`` keeps them in its graph as an operator, ``fastconv::convolution``.
Importing this module, which ``import fastconv`` does not do, imports PyTorch if there is one.
"""

from __future__ import annotations

from typing import Any

from fastconv.geometry import AnyPadding, Steps
from fastconv.torch.calls import convolve_any
from fastconv.torch.found import need_torch, torch
from fastconv.torch.kinds import CONV1D, CONV2D, CONV3D, Kind
from fastconv.torch.patching import patch
from fastconv.torch.state import is_recorded

__all__ = ["conv1d", "conv2d", "conv3d", "patch"]


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
) -> Any:
    """``torch.nn.functional.conv1d`` on CPU tensors, with derivatives.

    Args:
        input, weight, bias: Tensors of one dtype, float32 or float64, or half precision, which is computed in float32
            and rounded once; shapes as in :func:`fastconv.conv1d`.
        stride, padding, dilation, groups: As in :func:`fastconv.conv1d`.
    Returns:
        A tensor.
    Raises:
        ValueError, TypeError: As :func:`fastconv.conv1d` does; TypeError for tensors that are elsewhere, sparse, nested
            or quantised.
    Source: PyTorch's documentation of ``torch.library``.
    """
    return _apply(conv1d, CONV1D, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
) -> Any:
    """``torch.nn.functional.conv2d`` on CPU tensors, with derivatives.

    Args:
        input, weight, bias: Tensors of one dtype, float32 or float64, or half precision, which is computed in float32
            and rounded once; shapes as in :func:`fastconv.conv2d`.
        stride, padding, dilation, groups: As in :func:`fastconv.conv2d`.
    Returns:
        A tensor.
    Raises:
        ValueError, TypeError: As :func:`conv1d` does.
    Source: PyTorch's documentation of ``torch.library``.
    """
    return _apply(conv2d, CONV2D, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
) -> Any:
    """``torch.nn.functional.conv3d`` on CPU tensors, with derivatives.

    Args:
        input, weight, bias: Tensors of one dtype, float32 or float64, or half precision, which is computed in float32
            and rounded once; shapes as in :func:`fastconv.conv3d`.
        stride, padding, dilation, groups: As in :func:`fastconv.conv3d`.
    Returns:
        A tensor.
    Raises:
        ValueError, TypeError: As :func:`conv1d` does.
    Source: PyTorch's documentation of ``torch.library``.
    """
    return _apply(conv3d, CONV3D, input, weight, bias, stride, padding, dilation, groups)


def _apply(own: Any, kind: Kind, input: Any, weight: Any, bias: Any, *arguments: Any) -> Any:
    need_torch()
    tensors = (input, weight, bias)
    if not is_recorded() and torch.overrides.has_torch_function(tensors):  # classes that have their own way of calls
        return torch.overrides.handle_torch_function(own, tensors, *tensors, *arguments)
    return convolve_any(kind, *tensors, *arguments)
