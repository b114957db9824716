"""Padding by other values than zeros: reflected, replicated or circular ones.

The whole convolution runs with zeros, on the image as it is; then the outputs that looked at padding are made again,
from copies of the strips of the image that they see. So no padded copy of the image exists, and whatever an algorithm
knows about zeros still holds inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.arguments import Laid
from fastconv.dtypes import as_any_array
from fastconv.geometry import Geometry

MODES = ("zeros", "reflect", "replicate", "circular")


def as_padding_mode(mode: object) -> str:
    if not isinstance(mode, str):
        raise TypeError(f"padding_mode: expected one of {', '.join(MODES)}, got {mode!r}")
    if mode not in MODES:
        raise ValueError(f"padding_mode: expected one of {', '.join(MODES)}, got {mode!r}")
    return mode


def check_pads(laid: Laid, mode: str) -> None:
    """ValueError if an image is too small to be reflected or repeated so far, as in PyTorch."""
    for extent, pads in zip(laid.extents, laid.pads, strict=True):
        most = {"reflect": extent - 1, "circular": extent}.get(mode)
        if most is not None and max(pads) > most:
            raise ValueError(
                f"padding: expected at most {most} with padding_mode={mode!r} on {extent}, got {max(pads)}"
            )


def source(places: npt.NDArray[np.intp], extent: int, mode: str) -> npt.NDArray[np.intp]:
    """Which of `extent` values stands at each place, places before 0 and from `extent` on being padding.

    Beside `MODES`, "symmetric": reflected with the first and the last value doubled.
    """
    if mode == "symmetric":
        folded = places % (2 * extent)
        return np.minimum(folded, 2 * extent - 1 - folded)
    if mode == "circular":
        return places % extent
    if mode == "replicate":
        return places.clip(0, extent - 1)
    period = max(2 * (extent - 1), 1)
    folded = places % period
    return np.minimum(folded, period - folded) if extent > 1 else np.zeros_like(places)


def _regions(laid: Laid, geometry: Geometry) -> list[tuple[range, ...]]:
    """Boxes of outputs that look at padding: each once, as ranges per axis."""
    inner = []
    numbers = zip(laid.extents, laid.pads, geometry.fields(laid.kernel), geometry.stride, laid.outputs, strict=True)
    for extent, (low, _), field, stride, outputs in numbers:
        begin = min(-(-low // stride), outputs)
        end = max((extent + low - field) // stride + 1, begin)
        inner.append(range(begin, min(end, outputs)))
    if any(len(axis) == 0 for axis in inner):
        return [tuple(map(range, laid.outputs))]
    regions = []
    for axis, own in enumerate(inner):
        for outer in (range(own.start), range(own.stop, laid.outputs[axis])):
            if len(outer):
                regions.append((*inner[:axis], outer, *map(range, laid.outputs[axis + 1 :])))
    return regions


def residual_apart(residual: object, out: object) -> npt.NDArray[Any] | None:
    """What :func:`mend` adds when `out` has been written: a copy of what lies there."""
    array = None if residual is None else as_any_array(residual, "residual")
    if array is not None and out is not None and np.may_share_memory(array, as_any_array(out, "out")):
        array = array.copy()
    return array


def mend(
    y: npt.NDArray[Any],
    x: npt.NDArray[Any],
    laid: Laid,
    geometry: Geometry,
    mode: str,
    layout: str,
    convolve: Callable[[npt.NDArray[Any], npt.NDArray[Any] | None], npt.NDArray[Any]],
    residual: npt.NDArray[Any] | None,
) -> None:
    """Make the outputs again that looked at zeros.

    Args:
        y: Outputs, to be written to.
        x: The images.
        mode: One of `MODES`, but "zeros".
        convolve: The same convolution without padding, of a strip and what is added to its outputs, or None.
        residual: As it was before `y` was written, or None.
    """
    fields = geometry.fields(laid.kernel)
    first_axis = (1 if layout.endswith("C") else 2) - (not laid.batched)  # of the spatial ones
    for region in _regions(laid, geometry):
        strip = x
        for axis, outputs in enumerate(region):
            begin = outputs.start * geometry.stride[axis] - laid.pads[axis][0]
            count = (len(outputs) - 1) * geometry.stride[axis] + fields[axis]
            places = source(np.arange(begin, begin + count), laid.extents[axis], mode)
            strip = strip.take(places, axis=first_axis + axis)
        box = [slice(None)] * first_axis + [slice(outputs.start, outputs.stop) for outputs in region]
        y[tuple(box)] = convolve(strip, None if residual is None else residual[tuple(box)])
