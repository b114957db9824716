"""Windows of images as columns, and columns added up to images: :func:`unfold` and :func:`fold`.

Nothing here multiplies, and no convolution of this package needs either; they are for programs that call PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastconv.arguments import Laid, as_images, as_shape, lay
from fastconv.dtypes import COMPLEX, HALVES, AnyArray, as_any_array, as_tensor, is_tensor
from fastconv.geometry import PLANE, Geometry, Padding, Pair, as_geometry, as_steps

_SUMMED = ("float32", "float64", *HALVES, *COMPLEX)
_MOST_BYTES = 2**63 - 1


def unfold(
    input: npt.ArrayLike, kernel_size: Pair, dilation: Pair = 1, padding: Padding = 0, stride: Pair = 1
) -> npt.NDArray[Any]:
    """Each window of the images, as a column (im2col).

    Arguments, their order and their meaning are those of ``torch.nn.functional.unfold``. A convolution is the product
    of the filters, as rows, and these columns.

    Args:
        input: Images, shape (N, C, H, W) or (C, H, W): numbers of any dtype, booleans, or a PyTorch tensor on the CPU.
        kernel_size: Extents (R, S) of a window, in taps: an int or a (height, width) pair.
        dilation, padding, stride: As in :func:`conv2d`.
    Returns:
        A new array (a tensor, if `input` is one) of the dtype of `input`, shape (N, C * R * S, P * Q), or without N if
        `input` has none. Row (c * R + r) * S + s holds tap (r, s) of channel c.
    Raises:
        ValueError: Shapes disagree, or a number is out of range.
        TypeError: An argument of another type, or a dtype that is no number's.
        MemoryError: There is no memory for the result.
    Source: Chellapilla, Puri and Simard, High performance convolutional neural networks for document processing, 2006.

    >>> unfold(np.arange(6).reshape(1, 2, 3), 2)
    array([[0, 1],
           [1, 2],
           [3, 4],
           [4, 5]])
    """
    x = as_any_array(input, "input")
    if x.dtype.kind not in "biufc" and x.dtype.name not in HALVES:
        raise TypeError(f"input: expected numbers or booleans, got dtype {x.dtype}")
    image = as_images(x.shape, "input", PLANE.layouts[0])
    windows = _Windows.of("input", x.shape, image.C, kernel_size, dilation, padding, stride)
    columns = np.zeros(windows.shape(x.dtype, "input"), x.dtype.newbyteorder("="))
    images = x.reshape(image.N, image.C, *image.extents)
    for pixels, values in windows.views(images, columns):
        values[...] = pixels
    result = columns.reshape(windows.columns_shape)
    return as_tensor(result) if is_tensor(input) else result


def fold(
    input: npt.ArrayLike,
    output_size: Pair,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Padding = 0,
    stride: Pair = 1,
) -> npt.NDArray[Any]:
    """Images whose pixels are the sums of all values of `input` that :func:`unfold` would take from them (col2im).

    Arguments, their order and their meaning are those of ``torch.nn.functional.fold``. Values are added in the order of
    the windows' taps; half precision in float32, and rounded once.

    Args:
        input: Columns, shape (N, C * R * S, P * Q) or (C * R * S, P * Q), as `unfold` returns them; float32, float64,
            float16, bfloat16, complex64, complex128, or a PyTorch tensor on the CPU.
        output_size: Extents (H, W) of the images: an int or a (height, width) pair.
        kernel_size, dilation, padding, stride: As in :func:`unfold`.
    Returns:
        A new array (a tensor, if `input` is one) of the dtype of `input`, shape (N, C, H, W), or without N if `input`
        has none.
    Raises:
        ValueError: Shapes disagree, or a number is out of range.
        TypeError: An argument of another type, or an unsupported dtype.
        MemoryError: There is no memory for the result.
    Source: as for :func:`unfold`.

    >>> fold(np.ones((4, 2), np.float32), (2, 3), 2)
    array([[[1., 2., 1.],
            [1., 2., 1.]]], dtype=float32)
    """
    columns = as_any_array(input, "input")
    name = columns.dtype.name
    if name not in _SUMMED:
        raise TypeError(f"input: expected one of {', '.join(_SUMMED)}, got dtype {columns.dtype}")
    batched = columns.ndim == 3
    *_, rows, count = as_shape(columns.shape, "input", "ML NML")
    taps = math.prod(as_steps(kernel_size, "kernel_size", 1))
    extents = as_steps(output_size, "output_size", 1)
    if rows == 0 or rows % taps:
        raise ValueError(
            f"input: expected a multiple of the {taps} taps of kernel_size on the axis before the last, "
            f"got shape {columns.shape}"
        )
    C, N = rows // taps, columns.shape[0] if batched else 1
    shape = (N, C, *extents) if batched else (C, *extents)
    windows = _Windows.of("output_size", shape, C, kernel_size, dilation, padding, stride)
    if columns.shape != windows.columns_shape:
        raise ValueError(
            f"input: expected {' * '.join(map(str, windows.laid.outputs))} windows on the last axis, "
            f"got {count}; input has shape {columns.shape}"
        )
    dtype = np.dtype(np.float32) if name in HALVES else columns.dtype.newbyteorder("=")
    _check_size((N, C, *extents), dtype, "output_size")
    images = np.zeros((N, C, *extents), dtype)
    for pixels, values in windows.views(images, columns.reshape(windows.shape(dtype, "input"))):
        pixels += values
    with np.errstate(over="ignore"):  # what is too large becomes infinite, as in PyTorch
        result = images.astype(columns.dtype.newbyteorder("="), copy=False).reshape(shape)
    return as_tensor(result) if is_tensor(input) else result


def _check_size(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> None:
    if math.prod(extent for extent in shape if extent) * dtype.itemsize > _MOST_BYTES:
        raise ValueError(f"{name}: expected arrays of at most {_MOST_BYTES} bytes, got shape {shape} of {dtype}")


class _Windows(NamedTuple):
    """Sound windows on sound images."""

    laid: Laid
    geometry: Geometry

    @classmethod
    def of(
        cls,
        name: str,
        shape: tuple[int, ...],
        C: int,
        kernel_size: object,
        dilation: object,
        padding: object,
        stride: object,
    ) -> _Windows:
        """From a user's numbers; `name` is what messages call the images' shape."""
        kernel = as_steps(kernel_size, "kernel_size", 1)
        geometry = as_geometry(stride, padding, dilation, 1, PLANE)
        return cls(lay(shape, (1, C, *kernel), geometry, PLANE.layouts[0], (name, "kernel_size")), geometry)

    @property
    def columns_shape(self) -> tuple[int, ...]:
        laid = self.laid
        rows_and_windows = laid.C * math.prod(laid.kernel), math.prod(laid.outputs)
        return (laid.N, *rows_and_windows) if laid.batched else rows_and_windows

    def shape(self, dtype: np.dtype[Any], name: str) -> tuple[int, ...]:
        """Of the columns, with an axis for each letter: (N, C, R, S, P, Q)."""
        shape = self.laid.N, self.laid.C, *self.laid.kernel, *self.laid.outputs
        _check_size(shape, dtype, name)
        return shape

    def views(self, images: AnyArray, columns: AnyArray) -> Iterator[tuple[AnyArray, AnyArray]]:
        """Pixels, and the equally shaped values that stand for them; together every tap that is no padding."""
        by_axis = columns.transpose(0, 1, 2, 4, 3, 5)  # (N, C, R, P, S, Q)
        for above in self._along(0):
            for beside in self._along(1):
                pixels = images[:, :, above[0], beside[0]]
                yield pixels, by_axis[:, :, above[1], above[2], beside[1], beside[2]]

    def _along(self, axis: int) -> Iterator[tuple[slice, int | slice, int | slice]]:
        """Pixels, taps and outputs along an axis: for each tap or for each output, whichever are fewer."""
        laid, geometry = self.laid, self.geometry
        taps, outputs, extent, pad = laid.kernel[axis], laid.outputs[axis], laid.extents[axis], laid.pads[axis][0]
        by_tap = taps <= outputs
        steps = geometry.dilation[axis], geometry.stride[axis]
        (one_step, step), (ones, others) = (steps, (taps, outputs)) if by_tap else (steps[::-1], (outputs, taps))
        for one in range(ones):
            start = one * one_step - pad  # the pixel of the first of the others
            first = max(0, -(start // step))
            last = min(others - 1, (extent - 1 - start) // step)
            if first <= last:
                pixels = slice(start + first * step, start + last * step + 1, step)
                run = slice(first, last + 1)
                yield (pixels, one, run) if by_tap else (pixels, run, one)
