"""What convolutions of int8 and uint8 numbers are given: checked, and brought to what the core takes.

Messages as in :mod:`fastconv.arguments`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastconv import _core
from fastconv.arguments import Laid, Shape, lay
from fastconv.arrays import ready
from fastconv.dtypes import as_any_array
from fastconv.geometry import SPACES, Geometry, as_geometry

IntegerArray: TypeAlias = npt.NDArray[np.integer[Any]]

BYTES = ("int8", "uint8")


class Requantization(NamedTuple):
    """How a sum becomes a number of 8 bits: sum * scale, rounded to the nearest (halves to even), plus zero point.

    What then exceeds the dtype becomes its least or largest number. The product is made in float64.

    Attributes:
        scale: A finite number, or (K,) of them, one per filter; taken as float32. Of quantised arrays:
            input's scale * weight's scale / output's scale.
        zero_point: What stands for 0 in the output.
        dtype: "int8" or "uint8".
    Source: ONNX operators, QLinearConv and QuantizeLinear.
    """

    scale: float | npt.ArrayLike
    zero_point: int = 0
    dtype: str = "uint8"


class Sums(NamedTuple):
    """What follows from the weights and the arguments, without an input."""

    weight: IntegerArray
    input_dtype: str
    input_zero: int
    weight_zero: npt.NDArray[np.int32]
    geometry: Geometry
    bias: npt.NDArray[np.int32] | None
    scaling: tuple[npt.NDArray[np.float32], int, bool] | None

    @property
    def arguments(self) -> dict[str, Any]:
        """Of :class:`fastconv.ConvInteger`, as plain values: a requantization is a tuple."""
        return {
            "input_dtype": self.input_dtype,
            "weight": self.weight,
            "input_zero_point": self.input_zero,
            "weight_zero_point": self.weight_zero,
            **self.geometry._asdict(),
            "bias": self.bias,
            "requantization": None if self.scaling is None else (*self.scaling[:2], self.output_dtype),
        }

    @property
    def output_dtype(self) -> str:
        if self.scaling is None:
            return "int32"
        return "int8" if self.scaling[2] else "uint8"

    def plan(self, laid: Laid) -> _core.IntegerPlan:
        """Of images; volumes' depth is further channels, see :func:`_images_of`."""
        taps, extents, kernel, pads = 1, laid.extents, laid.kernel, laid.pads
        stride, dilation, images, weight = self.geometry.stride, self.geometry.dilation, laid.N, self.weight
        if len(extents) == 3:
            taps, images = kernel[0], laid.N * laid.outputs[0]
            weight = weight.swapaxes(1, 2)
            extents, kernel, pads, stride, dilation = extents[1:], kernel[1:], pads[1:], stride[1:], dilation[1:]
        elif len(extents) == 1:
            extents, kernel, pads = (1, *extents), (1, *kernel), ((0, 0), *pads)
            stride, dilation = (1, *stride), (1, *dilation)
        numbers: Any = (
            images,
            laid.C * taps,
            *extents,
            laid.K,
            *kernel,
            *stride,
            *pads[0],
            *pads[1],
            *dilation,
            self.geometry.groups,
        )
        problem = _core.Problem("float32", *numbers)
        plain: Any = ready(weight)  # type: ignore[arg-type]
        filters: IntegerArray = plain.reshape(problem.weight_shape)
        signed = self.input_dtype == "int8"
        return _core.IntegerPlan(problem, signed, filters, self.input_zero, self.weight_zero, self.bias, self.scaling)

    def lay(self, input_shape: Shape, name: str) -> Laid:
        space = self.geometry.space
        return lay(input_shape, self.weight.shape, self.geometry, space.layouts[0], (name, "weight"))


def byte_type(dtype: Any, name: str) -> str:
    """The name "int8" or "uint8", from a name, a NumPy type or a dtype."""
    try:
        own = np.dtype(dtype).name
    except (TypeError, ValueError):  # a name that no dtype has, or that is no text
        raise TypeError(f"{name}: expected int8 or uint8, got {dtype!r}") from None
    if own not in BYTES:
        raise TypeError(f"{name}: expected int8 or uint8, got {own}; nothing is converted")
    return str(own)


def as_bytes(value: object, name: str) -> IntegerArray:
    array = as_any_array(value, name)
    byte_type(array.dtype, name)
    return array


def _numbers(value: object, name: str, K: int | None) -> IntegerArray:
    """A number, or if there is a K that many, as int64; of integers alone."""
    array = np.asarray(value) if isinstance(value, int) and not isinstance(value, bool) else as_any_array(value, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got {array.dtype.name}")
    if array.size != 1 and array.shape != (K,):
        wanted = "a number" if K is None else f"a number or shape ({K},), one per filter"
        raise ValueError(f"{name}: expected {wanted}, got shape {array.shape}")
    return array.reshape(-1)


def zero_points(value: object, name: str, dtype: str, K: int | None = None) -> npt.NDArray[np.int32]:
    """One, or if there is a K that many, of integers that the dtype has."""
    numbers, limits = _numbers(value, name, K), np.iinfo(dtype)
    if numbers.min() < limits.min or numbers.max() > limits.max:
        raise ValueError(f"{name}: expected {limits.min} to {limits.max}, as {dtype} has them, got {value!r}")
    return np.ascontiguousarray(np.broadcast_to(numbers.astype(np.int32), (K or 1,)))


def _scaling(value: object, K: int) -> tuple[npt.NDArray[np.float32], int, bool] | None:
    if value is None:
        return None
    if not isinstance(value, Requantization):
        raise TypeError(f"requantization: expected a Requantization or None, got {value!r}")
    name = byte_type(value.dtype, "requantization.dtype")
    try:
        scale = np.asarray(value.scale)
    except ValueError as error:
        raise TypeError(f"requantization.scale: expected real numbers, got {error}") from None
    if scale.dtype.kind not in "fiu":
        raise TypeError(f"requantization.scale: expected real numbers, got {scale.dtype.name}")
    if scale.size != 1 and scale.shape != (K,):
        raise ValueError(
            f"requantization.scale: expected a number or shape ({K},), one per filter, got shape {scale.shape}"
        )
    with np.errstate(over="ignore"):
        scale = scale.astype(np.float32).reshape(-1)
    if not np.isfinite(scale).all():
        raise ValueError(f"requantization.scale: expected finite numbers of float32, got {value.scale!r}")
    zero = zero_points(value.zero_point, "requantization.zero_point", name)
    return np.ascontiguousarray(np.broadcast_to(scale, (K,))), int(zero[0]), name == "int8"


def as_sums(
    input_dtype: str,
    weight: IntegerArray,
    input_zero_point: object,
    weight_zero_point: object,
    steps: tuple[object, object, object, object],
    bias: object,
    requantization: object,
) -> Sums:
    """Everything that can be checked without an input."""
    if weight.ndim - 2 not in SPACES:
        raise ValueError(f"weight: expected (K, C // groups, ...) of 1 to 3 spatial axes, got shape {weight.shape}")
    K = weight.shape[0]
    b = None
    if bias is not None:
        b = as_any_array(bias, "bias")
        if b.dtype.name != "int32":
            raise TypeError(f"bias: expected int32, got {b.dtype.name}; nothing is converted")
        if b.shape != (K,):
            raise ValueError(f"bias: expected shape ({K},), one value per filter, got {b.shape}")
        b = b.astype(np.int32, order="C")
    return Sums(
        weight,
        input_dtype,
        int(zero_points(input_zero_point, "input_zero_point", input_dtype)[0]),
        zero_points(weight_zero_point, "weight_zero_point", weight.dtype.name, K),
        as_geometry(*steps, SPACES[weight.ndim - 2]),
        b,
        _scaling(requantization, K),
    )
