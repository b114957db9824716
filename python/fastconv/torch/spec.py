"""What a convolution of tensors is beside its tensors, and how the result lies in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastconv.geometry import Geometry, Pads
from fastconv.torch.found import torch


@dataclass(frozen=True)
class Spec:
    """Numbers per axis, `padding` before and after each in turn, as PyTorch's operators take lists.

    No tuple: :mod:`torch.func` would take it apart.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, geometry: Geometry, pads: Pads) -> Spec:
        flat = tuple(pad for sides in pads for pad in sides)
        return cls(geometry.stride, flat, geometry.dilation, geometry.groups)

    @property
    def pads(self) -> Pads:
        return tuple(zip(self.padding[::2], self.padding[1::2], strict=True))

    def lists(self) -> tuple[list[int], list[int], list[int], int]:
        """As the operators take them."""
        return list(self.stride), list(self.padding), list(self.dilation), self.groups

    def times(self, factor: int) -> Spec:
        """With so many times the groups."""
        return replace(self, groups=self.groups * factor)

    def output_shape(self, input_shape: Sequence[Any], weight_shape: Sequence[Any]) -> tuple[Any, ...]:
        """Of extents that may be symbols, while a graph is traced."""
        axes = zip(input_shape[2:], weight_shape[2:], self.pads, self.stride, self.dilation, strict=True)
        outputs = [
            (size + low + high - step * (taps - 1) - 1) // stride + 1 for size, taps, (low, high), stride, step in axes
        ]
        return (input_shape[0], weight_shape[0], *outputs)


def spec_of(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int) -> Spec:
    return Spec(tuple(stride), tuple(padding), tuple(dilation), groups)


def format_of(*tensors: Any) -> Any:
    """PyTorch's rule for the result of a convolution: channels last if the strides of a tensor say so."""
    suggest = torch._prims_common.suggest_memory_format
    formats = [suggest(tensor) for tensor in tensors]
    return next((given for given in formats if given != torch.contiguous_format), torch.contiguous_format)
