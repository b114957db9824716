"""A convolution of tensors and its derivatives: three functions that are each other's, in both modes and of any order.

A convolution y = w * x is linear in each of its two tensors, and so are the gradients by x and by w in what they are
made of. The derivative of any of the three is another of them, with what is differentiated in the place of an operand:
there is nothing else to know. Under ``torch.vmap`` instances become images or groups of one convolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv.torch import kernels
from fastconv.torch.found import Function, torch
from fastconv.torch.operators import register
from fastconv.torch.spec import Spec
from fastconv.torch.state import are_plain


def _run(name: str, kernel: Callable[..., Any], first: Any, second: Any, third: Any, spec: Spec) -> Any:
    """Below all derivatives: at once if the tensors are plain memory, else as an operator, for whoever looks on."""
    if are_plain(first, second):
        return kernel(first, second, third, spec)
    with torch._C._AutoDispatchBelowAutograd():
        return getattr(torch.ops.fastconv, name).default(first, second, third, *spec.lists())


class _Bilinear(Function):  # type: ignore[misc]  # it is Any
    """A function of two tensors, linear in each; the third argument is a bias, or the size of the result."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        first, second, ctx.third, ctx.spec = inputs
        ctx.has_bias = isinstance(ctx.third, torch.Tensor)
        if ctx.has_bias:
            ctx.third = None
        ctx.save_for_backward(first, second)
        ctx.save_for_forward(first, second)

    @classmethod
    def of(cls, first: Any, second: Any, third: Any, spec: Spec) -> Any:
        """apply(), for plain tensors without what that does for ``torch.func``: it takes longer than small layers."""
        if are_plain(first, second):
            return super(Function, cls).apply(first, second, third, spec)
        return cls.apply(first, second, third, spec)

    @classmethod
    def tangent(cls, ctx: Any, of_first: Any, of_second: Any) -> Any:
        """The sum over the operands of the function with a tangent in one's place; None if there are no tangents."""
        first, second = ctx.saved_tensors
        terms = []
        if of_first is not None:
            terms.append(cls.apply(of_first, second, ctx.third, ctx.spec))
        if of_second is not None:
            terms.append(cls.apply(first, of_second, ctx.third, ctx.spec))
        return sum(terms[1:], terms[0]) if terms else None


class Convolution(_Bilinear):
    """apply(input, weight, bias or None, spec)."""

    @staticmethod
    def forward(input: Any, weight: Any, bias: Any, spec: Spec) -> Any:
        return _run("convolution", kernels.convolve, input, weight, bias, spec)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        input, weight = ctx.saved_tensors
        of_input, of_weight, of_bias, _ = ctx.needs_input_grad
        return (
            ByInput.of(grad, weight, tuple(input.shape), ctx.spec) if of_input else None,
            ByWeight.of(grad, input, tuple(weight.shape), ctx.spec) if of_weight else None,
            grad.sum(dim=(0, *range(2, grad.ndim))) if of_bias and ctx.has_bias else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, of_input: Any, of_weight: Any, of_bias: Any, _: Any) -> Any:
        tangent = Convolution.tangent(ctx, of_input, of_weight)
        if of_bias is None:
            return tangent
        added = of_bias.reshape(-1, *[1] * len(ctx.spec.stride))
        if tangent is not None:
            return tangent + added
        input, weight = ctx.saved_tensors
        return added.expand(ctx.spec.output_shape(input.shape, weight.shape))

    @staticmethod
    def vmap(info: Any, in_dims: Any, input: Any, weight: Any, bias: Any, spec: Spec) -> Any:
        B = info.batch_size
        of_input, of_weight, of_bias, _ = in_dims
        if of_weight is None:
            images = _in_row(input, of_input, B)
            y = Convolution.of(images, weight, bias if of_bias is None else None, spec).unflatten(0, (B, -1))
            if of_bias is None:
                return y, 0
            return y + bias.movedim(of_bias, 0).reshape(B, 1, -1, *[1] * len(spec.stride)), 0
        filters = _in_row(weight, of_weight, B)
        if bias is not None:
            bias = bias.repeat(B) if of_bias is None else _in_row(bias, of_bias, B)
        if of_input is None and spec.groups == 1:
            y = Convolution.of(input, filters, bias, spec)
        else:
            y = Convolution.of(_side_by_side(input, of_input, B), filters, bias, spec.times(B))
        return y.unflatten(1, (B, -1)), 1


class ByInput(_Bilinear):
    """apply(gradient by the output, weight, size of the input, spec)."""

    @staticmethod
    def forward(grad: Any, weight: Any, size: Any, spec: Spec) -> Any:
        return _run("convolution_input", kernels.by_input, grad, weight, size, spec)

    @staticmethod
    def backward(ctx: Any, ddx: Any) -> Any:
        grad, weight = ctx.saved_tensors
        of_grad, of_weight, *_ = ctx.needs_input_grad
        return (
            Convolution.of(ddx, weight, None, ctx.spec) if of_grad else None,
            ByWeight.of(grad, ddx, tuple(weight.shape), ctx.spec) if of_weight else None,
            None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, of_grad: Any, of_weight: Any, *_: Any) -> Any:
        return ByInput.tangent(ctx, of_grad, of_weight)

    @staticmethod
    def vmap(info: Any, in_dims: Any, grad: Any, weight: Any, size: Any, spec: Spec) -> Any:
        B = info.batch_size
        of_grad, of_weight, *_ = in_dims
        N, C, *extents = size
        if of_weight is None:
            dx = ByInput.of(_in_row(grad, of_grad, B), weight, (B * N, C, *extents), spec)
            return dx.unflatten(0, (B, N)), 0
        filters, gradients = _in_row(weight, of_weight, B), _side_by_side(grad, of_grad, B)
        return ByInput.of(gradients, filters, (N, B * C, *extents), spec.times(B)).unflatten(1, (B, C)), 1


class ByWeight(_Bilinear):
    """apply(gradient by the output, input, size of the weights, spec)."""

    @staticmethod
    def forward(grad: Any, input: Any, size: Any, spec: Spec) -> Any:
        return _run("convolution_weight", kernels.by_weight, grad, input, size, spec)

    @staticmethod
    def backward(ctx: Any, ddw: Any) -> Any:
        grad, input = ctx.saved_tensors
        of_grad, of_input, *_ = ctx.needs_input_grad
        return (
            Convolution.of(input, ddw, None, ctx.spec) if of_grad else None,
            ByInput.of(grad, ddw, tuple(input.shape), ctx.spec) if of_input else None,
            None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, of_grad: Any, of_input: Any, *_: Any) -> Any:
        return ByWeight.tangent(ctx, of_grad, of_input)

    @staticmethod
    def vmap(info: Any, in_dims: Any, grad: Any, input: Any, size: Any, spec: Spec) -> Any:
        B = info.batch_size
        of_grad, of_input, *_ = in_dims
        K, *rest = size
        gradients = _side_by_side(grad, of_grad, B)
        if of_input is not None or spec.groups > 1:
            input, spec = _side_by_side(input, of_input, B), spec.times(B)
        return ByWeight.of(gradients, input, (B * K, *rest), spec).unflatten(0, (B, K)), 0


def _batched(tensor: Any, dim: int | None, B: int) -> Any:
    """With the instances as the first axis."""
    return tensor.expand(B, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def _in_row(tensor: Any, dim: int | None, B: int) -> Any:
    """All instances' images, or filters, one after another."""
    return _batched(tensor, dim, B).flatten(0, 1)


def _side_by_side(tensor: Any, dim: int | None, B: int) -> Any:
    """All instances' channels, as those of the same images."""
    return _batched(tensor, dim, B).movedim(0, 1).flatten(1, 2)


LIBRARY: Any = None
if torch is not None:
    applied = {
        "convolution": Convolution.apply,
        "convolution_input": ByInput.apply,
        "convolution_weight": ByWeight.apply,
    }
    LIBRARY = register(applied)
