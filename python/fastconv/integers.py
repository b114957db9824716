"""Convolutions of int8 and uint8 numbers, exactly: sums of 32 bits, with zero points, and scaled back to 8 bits.

What ONNX calls ConvInteger and QLinearConv, of one to three spatial axes. Every sum is exact; one that exceeds int32
wraps around. The core multiplies bytes where the CPU has instructions for it (AVX-512 VNNI), else numbers of 16 bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastconv import _core
from fastconv.arguments import Laid, Shape
from fastconv.arrays import as_out, is_ready, ready
from fastconv.dtypes import as_any_array, as_tensor, is_tensor
from fastconv.geometry import AnyPadding, Steps
from fastconv.integer_arguments import IntegerArray, Requantization, Sums, as_bytes, as_sums, byte_type
from fastconv.planes import put_planes
from fastconv.prepared_call import Keeping

__all__ = ["ConvInteger", "Requantization", "conv_integer"]

Numbers: TypeAlias = int | npt.ArrayLike


class _Prepared(NamedTuple):
    plan: _core.IntegerPlan
    laid: Laid
    core_shape: Shape
    output_shape: Shape

    @property
    def is_plain(self) -> bool:
        """Whether arrays go to the plan and come from it as they are."""
        return self.laid.batched and len(self.laid.extents) == 2


class ConvInteger(Keeping):
    """A convolution of int8 or uint8 numbers with weights of its own, packed once per input shape: ``op(x)``.

    Arguments are those of :func:`conv_integer`, with the input's dtype in the place of the input. The weights are
    copied. ``op(x, out=y)`` writes to `y`. Plans are kept as in :class:`fastconv.Conv2d`; a plan runs the instruction
    set that was in use when it was made. Operators can be called from many threads at once, copied and pickled; a
    pickle has a version, and one of another version is refused with a ValueError. An operator that is initialized
    again (``op.__init__(...)``) is as a new one.

    Args:
        input_dtype: "int8" or "uint8".
        weight, input_zero_point, weight_zero_point, stride, padding, dilation, groups, bias, requantization:
            As in :func:`conv_integer`.
    Raises:
        ValueError, TypeError: As :func:`conv_integer` does.
    Source: ONNX operators, ConvInteger.

    >>> op = ConvInteger("uint8", np.ones((1, 1, 1, 2), np.int8), input_zero_point=1)
    >>> op(np.array([[[[1, 2, 4]]]], np.uint8))
    array([[[[1, 4]]]], dtype=int32)
    """

    _derived = ("_dtype",)

    def __init__(
        self,
        input_dtype: npt.DTypeLike,
        weight: npt.ArrayLike,
        input_zero_point: Numbers = 0,
        weight_zero_point: Numbers = 0,
        stride: Steps = 1,
        padding: AnyPadding = 0,
        dilation: Steps = 1,
        groups: int = 1,
        *,
        bias: npt.ArrayLike | None = None,
        requantization: Requantization | None = None,
    ) -> None:
        name = byte_type(input_dtype, "input_dtype")
        w = as_bytes(weight, "weight").copy()
        steps = stride, padding, dilation, groups
        self._recipe = as_sums(name, w, input_zero_point, weight_zero_point, steps, bias, requantization)
        self._dtype = np.dtype(name)

    def _arguments(self, recipe: Sums) -> dict[str, Any]:
        return recipe.arguments

    def _initialize(self, arguments: dict[str, Any]) -> None:
        scaling = arguments["requantization"]
        arguments = {**arguments, "requantization": None if scaling is None else Requantization(*scaling)}
        ConvInteger.__init__(self, **arguments)

    def __call__(  # type: ignore[override]
        self, x: npt.ArrayLike, out: IntegerArray | None = None
    ) -> IntegerArray:
        """Convolve; shapes, dtypes and errors as of :func:`conv_integer`."""
        if out is None and type(x) is np.ndarray and x.dtype == self._dtype:
            known = self._kept(self._recipe, x.shape)
            if known is not None and known.is_plain and x.flags.carray:
                return known.plan(x)  # type: ignore[no-any-return]
        array, sums = as_bytes(x, "x"), self._recipe
        shape = array.shape
        if array.dtype.name != sums.input_dtype:
            raise TypeError(f"x: expected {sums.input_dtype}, got {array.dtype.name}; nothing is converted")
        kept = self._kept(sums, shape)
        prepared = _prepare(sums, shape, "x") if kept is None else kept
        y = _run(sums, prepared, array, out, {"x": array})
        if kept is None:
            self._keep_plan(sums, shape, prepared.output_shape, prepared, prepared.plan.packed_bytes)
        return _like(x, y, out)

    def __repr__(self) -> str:
        s = self._recipe
        return f"ConvInteger({s.input_dtype!r}, weight={s.weight.dtype.name}{list(s.weight.shape)}, {s.geometry})"


def conv_integer(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    input_zero_point: Numbers = 0,
    weight_zero_point: Numbers = 0,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    dilation: Steps = 1,
    groups: int = 1,
    *,
    bias: npt.ArrayLike | None = None,
    requantization: Requantization | None = None,
    out: IntegerArray | None = None,
) -> IntegerArray:
    """Convolve arrays of int8 or uint8, exactly: sums of (input - its zero point) * (weight - its zero point).

    Signals, images or volumes: as many spatial axes as `weight` has. The two dtypes may differ. :class:`ConvInteger`
    packs the weights once.

    Args:
        input: (N, C, ...) or (C, ...), of one to three spatial axes, int8 or uint8; an array, or a PyTorch tensor.
        weight: (K, C // groups, ...), int8 or uint8.
        input_zero_point: What stands for 0 in `input`, and in the padding: a number of input's dtype.
        weight_zero_point: What stands for 0 in `weight`: a number of weight's dtype, or (K,), one per filter.
        stride, padding, dilation, groups: As in :func:`fastconv.conv1d`, :func:`fastconv.conv2d` or
            :func:`fastconv.conv3d`.
        bias: Added to the sums: int32, (K,); or None.
        requantization: How sums become numbers of 8 bits; None for the sums themselves.
        out: Array for the result, of its exact shape and dtype, sharing no memory with the other arrays.
    Returns:
        `out`, or a new array (N, K, ...), without N if `input` has none: int32, or the dtype of `requantization`.
        A sum beyond int32, which takes more than 33000 products, wraps around. Volumes are copied once per tap in
        depth; images and signals are not copied.
    Raises:
        ValueError: Shapes disagree, or a number is out of range.
        TypeError: An argument of another type: nothing is converted.
        MemoryError: There is no memory for the result or the workspace.
        KeyboardInterrupt: Ctrl-C during the call, in the main thread.
    Source: ONNX operators, ConvInteger.

    >>> x = np.array([[[[1, 2, 3]]]], np.uint8)
    >>> conv_integer(x, np.array([[[[-1, 1]]]], np.int8), input_zero_point=1, padding=((0, 0), (0, 1)))
    array([[[[ 1,  1, -2]]]], dtype=int32)
    >>> conv_integer(x, np.array([[[[4]]]], np.int8), requantization=Requantization(0.125, 10))
    array([[[[10, 11, 12]]]], dtype=uint8)
    """
    x, w = as_bytes(input, "input"), as_bytes(weight, "weight")
    steps = stride, padding, dilation, groups
    sums = as_sums(x.dtype.name, w, input_zero_point, weight_zero_point, steps, bias, requantization)
    y = _run(sums, _prepare(sums, x.shape, "input"), x, out, {"input": x, "weight": w})
    return _like(input, y, out)


def _like(input: object, y: IntegerArray, out: object) -> IntegerArray:
    """The result, a tensor if the input is one."""
    result: Any = as_tensor(y) if out is None and is_tensor(input) else y
    return result  # type: ignore[no-any-return]


def _prepare(sums: Sums, input_shape: Shape, name: str) -> _Prepared:
    laid = sums.lay(input_shape, name)
    images: Shape = (laid.N, laid.C, *((1,) if len(laid.extents) == 1 else ()), *laid.extents)
    output: Shape = (laid.N, laid.K, *laid.outputs)
    return _Prepared(sums.plan(laid), laid, images, output if laid.batched else output[1:])


def _run(
    sums: Sums, prepared: _Prepared, x: IntegerArray, out: IntegerArray | None, operands: dict[str, IntegerArray]
) -> IntegerArray:
    target: Any = as_any_array(out, "out") if is_tensor(out) else out
    if isinstance(target, np.ndarray) and target.dtype.name != sums.output_dtype:
        raise TypeError(f"out: expected {sums.output_dtype}, got {target.dtype.name}")
    target = as_out(target, prepared.output_shape, sums.output_dtype, **operands)  # type: ignore[arg-type]
    ready_x: Any = ready(x)  # type: ignore[arg-type]
    images: IntegerArray = ready_x.reshape(prepared.core_shape)
    laid = prepared.laid
    y: IntegerArray
    if len(laid.extents) == 3:
        planes = prepared.plan(_images_of(images, laid, sums))
        y = planes.reshape(laid.N, laid.outputs[0], laid.K, *laid.outputs[1:]).swapaxes(1, 2)
        y = np.ascontiguousarray(y)
    elif target is not None and is_ready(target):
        prepared.plan(images, target.reshape(prepared.plan.problem.output_shape))
        return out  # type: ignore[return-value]
    else:
        y = prepared.plan(images)
    y = y.reshape(prepared.output_shape)
    if target is None:
        return y
    target[...] = y
    return out  # type: ignore[return-value]


def _images_of(x: IntegerArray, laid: Laid, sums: Sums) -> IntegerArray:
    """Per plane of outputs an image whose channels are, group by group, the planes of all channels that it looks at."""
    groups, stride, dilation = sums.geometry.groups, sums.geometry.stride[0], sums.geometry.dilation[0]
    T, (H, W) = laid.kernel[0], laid.extents[1:]
    images: IntegerArray = np.full(
        (laid.N, laid.outputs[0], groups, T, laid.C // groups, H, W), sums.input_zero, x.dtype
    )
    put_planes(x, -laid.pads[0][0], stride, dilation, images.transpose(0, 1, 3, 2, 4, 5, 6))
    return images.reshape(laid.N * laid.outputs[0], laid.C * T, H, W)
