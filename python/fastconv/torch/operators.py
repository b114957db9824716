"""Operators of PyTorch: ``fastconv::convolution`` and its gradients, ``convolution_input`` and ``convolution_weight``.

They are what a traced or compiled graph holds. Derivatives, of any order and in both modes, are those of
:mod:`fastconv.torch.functions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastconv.torch import kernels
from fastconv.torch.found import torch
from fastconv.torch.spec import Spec, format_of, spec_of

_REST = "int[] stride, int[] padding, int[] dilation, int groups"
_SCHEMAS = {
    "convolution": f"(Tensor input, Tensor weight, Tensor? bias, {_REST}) -> Tensor",
    "convolution_input": f"(Tensor grad, Tensor weight, SymInt[] size, {_REST}) -> Tensor",
    "convolution_weight": f"(Tensor grad, Tensor input, SymInt[] size, {_REST}) -> Tensor",
}


def _empty(shape: Sequence[Any], like: Any, memory_format: Any) -> Any:
    return torch.empty(tuple(shape), dtype=like.dtype, device=like.device, memory_format=memory_format)


def _convolution(input: Any, weight: Any, bias: Any, spec: Spec) -> Any:
    return _empty(spec.output_shape(input.shape, weight.shape), input, format_of(input, weight))


def _by_input(grad: Any, weight: Any, size: Any, spec: Spec) -> Any:
    return _empty(size, grad, format_of(grad, weight))


def _by_weight(grad: Any, input: Any, size: Any, spec: Spec) -> Any:
    return _empty(size, grad, torch.contiguous_format)


def _with_spec(function: Callable[..., Any]) -> Callable[..., Any]:
    """From the operators' lists to a :class:`Spec`."""

    def called(first: Any, second: Any, third: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        return function(first, second, third, spec_of(stride, padding, dilation, groups))

    return called


def register(derivatives: dict[str, Callable[..., Any]]) -> Any:
    """Make the operators known, by these functions wherever a derivative might be wanted; the library they are in.

    It is done at import: a compiler that traces a call cannot do so.
    """
    library = torch.library.Library("fastconv", "DEF")
    plain: dict[str, Callable[..., Any]] = {
        "convolution": kernels.convolve,
        "convolution_input": kernels.by_input,
        "convolution_weight": kernels.by_weight,
    }
    shapes = {"convolution": _convolution, "convolution_input": _by_input, "convolution_weight": _by_weight}
    for name, schema in _SCHEMAS.items():
        library.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
        library.impl(name, _with_spec(plain[name]), "CPU")
        library.impl(name, _with_spec(derivatives[name]), "Autograd")
        torch.library.register_fake(f"fastconv::{name}", _with_spec(shapes[name]), lib=library)
    return library
