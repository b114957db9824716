"""A call of :func:`fastconv.torch.conv2d` and the like, from its arguments to a function with derivatives."""

from __future__ import annotations

import warnings
from typing import Any

from fastconv.torch import prepared
from fastconv.torch.found import torch
from fastconv.torch.functions import ByInput, Convolution
from fastconv.torch.kinds import Kind
from fastconv.torch.state import are_plain, is_recorded

_HALVES = () if torch is None else (torch.bfloat16, torch.float16)
_DTYPES = () if torch is None else (torch.float32, torch.float64, *_HALVES)


def convolve(kind: Kind, input: Any, weight: Any, bias: Any, *arguments: Any) -> Any:
    """The convolution of checked tensors, in float32 or float64."""
    fitted = kind.fit(_shape(input), _shape(weight), kind.numbers(arguments))
    if bias is not None and _shape(bias) != (fitted.filters,):
        raise ValueError(f"bias: expected shape ({fitted.filters},), one value per filter, got {_shape(bias)}")
    images = input if fitted.batched else input.unsqueeze(0)
    if kind.is_transposed:
        y = ByInput.of(images, weight, fitted.output_shape, fitted.spec)
        y = y if bias is None else y + bias.reshape(-1, *[1] * kind.space.rank)
    elif is_recorded():
        y = torch.ops.fastconv.convolution(images, weight, bias, *fitted.spec.lists())
    else:
        y = Convolution.of(images, weight, bias, fitted.spec)
    return y if fitted.batched else y.squeeze(0)


def convolve_plain(kind: Kind, input: Any, weight: Any, bias: Any, *arguments: Any) -> Any:
    """The same of plain tensors, as :mod:`fastconv.torch.state` has it: prepared, if the weight comes again."""
    is_differentiated = torch.is_grad_enabled() and (
        input.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    )
    if not is_differentiated:
        is_batched = input.ndim == 2 + kind.space.rank
        y = prepared.run(kind, input if is_batched else input.unsqueeze(0), weight, bias, arguments)
        if y is not None:
            return y if is_batched else y.squeeze(0)
    return convolve(kind, input, weight, bias, *arguments)


def convolve_any(kind: Kind, input: Any, weight: Any, bias: Any, *arguments: Any) -> Any:
    """The same of any tensors: TypeError for those that it cannot take.

    Half precision is storage, as in :mod:`fastconv.dtypes`; autocasting makes it of all but float64, as PyTorch does.
    """
    given = (input, weight) if bias is None else (input, weight, bias)
    if not is_recorded() and are_plain(*given):
        return convolve_plain(kind, input, weight, bias, *arguments)
    tensors = dict(zip(("input", "weight", "bias"), given, strict=False))
    for name, tensor in tensors.items():
        _check(tensor, name)
    if torch.is_autocast_enabled("cpu"):
        wanted = torch.get_autocast_dtype("cpu")
        tensors = {
            name: tensor if tensor.dtype == torch.float64 else tensor.to(wanted) for name, tensor in tensors.items()
        }
    dtype = tensors["input"].dtype
    for name, tensor in tensors.items():
        if tensor.dtype != dtype:
            raise TypeError(f"{name}: expected {dtype}, the dtype of input, got {tensor.dtype}")
    if dtype in _HALVES:
        tensors = {name: tensor.to(torch.float32) for name, tensor in tensors.items()}
    y = convolve(kind, tensors["input"], tensors["weight"], tensors.get("bias"), *arguments)
    return y.to(dtype)


def _check(tensor: Any, name: str) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    if tensor.is_nested:
        raise TypeError(f"{name}: expected a tensor with one shape, got a nested one")
    if tensor.layout != torch.strided:
        raise TypeError(f"{name}: expected a tensor of strided layout, got {tensor.layout}")
    if tensor.device.type not in ("cpu", "meta"):
        raise TypeError(f"{name}: expected a tensor on the CPU, got one on {tensor.device}")
    if tensor.dtype not in _DTYPES:
        raise TypeError(f"{name}: expected dtype float32, float64, bfloat16 or float16, got {tensor.dtype}")


def _shape(tensor: Any) -> tuple[Any, ...]:
    """The shape in numbers, for checks: of a graph that is recorded those of this call, also where it has symbols."""
    shape = tensor.shape
    if torch.compiler.is_dynamo_compiling():
        return tuple(shape)
    if torch._C._get_tracing_state() is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            return tuple(int(size) for size in shape)
    return tuple(size if type(size) is int else size.node.hint for size in shape)
