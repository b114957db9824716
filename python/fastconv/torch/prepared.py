"""Weights that come again: prepared once, for calls without gradients.

A parameter, or another weight that was seen before and still has the values it had, gets a prepared operator, which
packs it once for each shape of input. Whether the values are the same is asked of the memory itself, at each call:
PyTorch's count of versions does not see what is written through ``tensor.data``, a NumPy view or another process. The
fingerprint of a weight takes as long as reading it once.

What is kept hangs on the weight, weakly, and goes with it; of all weights those used last are kept, up to a number of
bytes.
"""

from __future__ import annotations

from itertools import count
from typing import Any, NamedTuple
from weakref import ref

from fastconv import _core
from fastconv.torch.found import torch
from fastconv.torch.kernels import array_of, written_array_of
from fastconv.torch.kinds import Kind, Numbers
from fastconv.torch.spec import format_of

# Weights, and what they are packed to, that all operators of this module keep together.
MOST_BYTES = 1024 * 1024 * 1024
# A weight that is used in more ways, or for more shapes and strides of input, is not used again and again.
_LAYERS_KEPT = 8
_CASES_KEPT = 256

_clock = count()


class _Case(NamedTuple):
    """What follows from the shape and strides of an input."""

    operator: Any
    shape: tuple[int, ...]  # of the input, as the operator has it
    output: tuple[tuple[int, ...], tuple[int, ...]]  # shape and strides
    memory_format: Any
    is_ready: bool  # whether the input lies in memory as the operator takes it


class _Values:
    """A weight and a bias as long as neither changes: what was made of them.

    Args:
        at_once: Whether they are prepared at their first call, as they are likely to come again.
    """

    def __init__(self, mark: tuple[int, ...], at_once: bool) -> None:
        self.mark, self.at_once, self.calls = mark, at_once, 0
        self.operators: dict[Any, Any] = {}  # by memory format
        self.cases: dict[tuple[Any, Any], _Case] = {}

    def bytes(self) -> int:
        return sum(made._recipe.weight.nbytes + made._plan_bytes() for made in list(self.operators.values()))


class _Layer:
    """A weight with one bias, and one set of numbers.

    Args:
        arguments: The numbers as they were passed: the very same objects, which cannot change, need not be looked at
            again.
    """

    def __init__(self, kind: Kind, weight: Any, bias: Any, arguments: tuple[Any, ...], numbers: Numbers) -> None:
        self.kind, self.arguments, self.numbers = kind, arguments, numbers
        self.place = _place(weight)
        self.weight_bytes = weight.numel() * weight.element_size()
        self.bias = None if bias is None else ref(bias)
        self.values = _Values(self.mark(weight, bias), at_once=type(weight) is torch.nn.Parameter)
        self.used = next(_clock)

    def is_of(self, kind: Kind, bias: Any) -> bool:
        return self.kind is kind and (bias is None if self.bias is None else self.bias() is bias)

    def fits(self, weight: Any, bias: Any) -> bool:
        """Whether the weight still lies as it did, so that its memory can be read from one end to the other."""
        return _place(weight) == self.place and (bias is None or bias.is_contiguous())

    def mark(self, weight: Any, bias: Any) -> tuple[int, ...]:
        """The same as long as the values are."""
        of_weight = _core.fingerprint(weight.data_ptr(), self.weight_bytes)
        if bias is None:
            return (of_weight,)
        return of_weight, _core.fingerprint(bias.data_ptr(), bias.numel() * bias.element_size())

    def case(self, values: _Values, input: Any, weight: Any, bias: Any) -> _Case | None:
        """What to do with such an input; None if the values change at this moment."""
        kept = format_of(input, weight)
        is_last = kept != torch.contiguous_format
        operator = values.operators.get(kept)
        if operator is None:
            w, b = (None if tensor is None else tensor.detach().clone().numpy() for tensor in (weight, bias))
            operator = self.kind.prepared(w, b, self.numbers, self.kind.space.layouts[is_last])
            if self.mark(weight, bias) != values.mark:
                return None
            values.operators[kept] = operator
        shape = tuple(input.shape)
        output = self.kind.fit(shape, tuple(weight.shape), self.numbers).output_shape
        inner = (shape[0], *shape[2:], shape[1]) if is_last else shape
        strides = torch.empty(output, device="meta", memory_format=kept).stride()
        case = _Case(operator, inner, (output, strides), kept, input.is_contiguous(memory_format=kept))
        if len(values.cases) >= _CASES_KEPT:
            values.cases.clear()
        values.cases[input.shape, input.stride()] = case
        return case


class _Weight:
    """A weight that was seen, and the layers it is in."""

    def __init__(self, weight: Any) -> None:
        key = id(weight)

        def forget(gone: Any) -> None:
            known = _weights.get(key)
            if known is not None and known.tensor is gone:  # else another tensor has its place by now
                del _weights[key]

        self.tensor = ref(weight, forget)
        self.layers: list[_Layer] = []


_weights: dict[int, _Weight] = {}


def run(kind: Kind, input: Any, weight: Any, bias: Any, arguments: tuple[Any, ...]) -> Any:
    """The result, of plain tensors that no gradient is wanted of; None if the weight is not likely to come again.

    Args:
        arguments: Those behind the bias.
    Raises:
        ValueError, TypeError: They do not fit one another.
    """
    layer = _layer(kind, weight, bias, arguments)
    if layer is None:
        return None
    values, mark = layer.values, layer.mark(weight, bias)
    if mark != values.mark:  # values that were used but once may be followed by more of their sort
        values = layer.values = _Values(mark, at_once=values.calls > 1)
    values.calls += 1
    if values.calls == 1 and not (values.at_once or torch.are_deterministic_algorithms_enabled()):
        return None
    case = values.cases.get((input.shape, input.stride())) or layer.case(values, input, weight, bias)
    if case is None:
        return None
    operator, shape, output, memory_format, is_ready = case
    if not is_ready:
        input = input.contiguous(memory_format=memory_format)
    y = torch.empty_strided(*output, dtype=input.dtype)  # empty() takes twice as long
    layer.used = next(_clock)
    if operator._run_at(shape, input.data_ptr(), y.data_ptr()):
        return y
    operator(array_of(input, memory_format), out=written_array_of(y, memory_format))  # makes a plan, and keeps it
    _keep_within_bounds(layer)
    return y


def _layer(kind: Kind, weight: Any, bias: Any, arguments: tuple[Any, ...]) -> _Layer | None:
    """The layer, seen before or new; None if it cannot be kept."""
    known = _weights.get(id(weight))
    if known is None or known.tensor() is not weight:
        known = _Weight(weight)
    for layer in known.layers:
        if layer.is_of(kind, bias) and all(map(_is, layer.arguments, arguments)):
            if layer.fits(weight, bias):
                return layer
            known.layers = [other for other in known.layers if other is not layer]
            break
    if any(type(argument) not in (int, tuple, str) for argument in arguments) or not _is_dense(weight, bias):
        return None
    numbers = kind.numbers(arguments)
    for layer in known.layers:
        if layer.is_of(kind, bias) and layer.numbers == numbers and layer.fits(weight, bias):
            layer.arguments = arguments
            return layer
    layer = _Layer(kind, weight, bias, arguments, numbers)
    known.layers = [layer, *known.layers[: _LAYERS_KEPT - 1]]
    _weights[id(weight)] = known
    return layer


def _is_dense(weight: Any, bias: Any) -> bool:
    """Whether each fills its memory from one end to the other."""
    return weight.is_contiguous(memory_format=format_of(weight)) and (bias is None or bias.is_contiguous())


def _keep_within_bounds(newest: _Layer) -> None:
    """Drop what was used least recently while all of them take too much."""
    layers = [layer for known in list(_weights.values()) for layer in known.layers]
    total = sum(layer.values.bytes() for layer in layers)
    for layer in sorted(layers, key=lambda layer: layer.used):
        if total <= MOST_BYTES:
            return
        if layer is not newest:
            total -= layer.values.bytes()
            layer.values = _Values(layer.values.mark, at_once=True)


def _place(weight: Any) -> tuple[Any, ...]:
    return weight.shape, weight.stride(), weight.dtype


def _is(a: Any, b: Any) -> bool:
    return a is b
