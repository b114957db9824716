"""Functions of ``scipy.ndimage`` with their names, arguments and results, for arrays of one to three axes.

As in SciPy, sums are made in double precision and the output has the dtype of the input; results agree with SciPy's to
rounding. Integers are filtered by whole-numbered weights, exactly; other weights would make the last bit of the result
depend on the order of its sums, and are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering import AnyArray, Pads, as_number, as_number_array, exact, filtered, one_of
from fastconv.geometry import as_int

__all__ = ["convolve", "correlate"]

# SciPy's name, and the name in fastconv.filtering.
_MODES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "constant": "constant",
    "grid-constant": "constant",
    "nearest": "replicate",
    "mirror": "reflect",
    "wrap": "circular",
    "grid-wrap": "circular",
}


def correlate(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: npt.NDArray[Any] | npt.DTypeLike | None = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | tuple[int, ...] = 0,
) -> npt.NDArray[Any]:
    """Cross-correlate an array with weights around each place: ``scipy.ndimage.correlate``.

    Args:
        input: One to three axes; integers, float32, float64 or complex.
        weights: As many axes; real, or complex (then conjugated, as in SciPy).
        output: An array to write to, or the output's dtype; None for that of `input`.
        mode: What lies beyond the edges: ``"reflect"`` (d c b a | a b c d), ``"mirror"`` (d c b | a b c d),
            ``"nearest"``, ``"wrap"``, ``"constant"``, or SciPy's names with "grid-".
        cval: For ``mode="constant"``.
        origin: How far the weights are shifted, for all axes or per axis.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError: Axes that differ in number, an unknown mode, or an origin that leaves the weights.
        TypeError: A dtype that is none of numbers, or integers that would not be filtered exactly.
    Source: the documentation of ``scipy.ndimage.correlate``.

    >>> correlate([1, 2, 3, 4], [1, 0, -1])
    array([-1, -2, -2, -1])
    """
    x, w = _arrays(input, weights)
    return _result(x, w.conj(), output, mode, cval, _origins(origin, w.shape))


def convolve(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: npt.NDArray[Any] | npt.DTypeLike | None = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | tuple[int, ...] = 0,
) -> npt.NDArray[Any]:
    """Convolve an array with weights: ``scipy.ndimage.convolve``.

    Args:
        input, weights, output, mode, cval, origin: As in :func:`correlate`; weights are not conjugated.
    Returns:
        `output` or a new array of the shape of `input`.
    Raises:
        ValueError, TypeError: As :func:`correlate` does.
    Source: the documentation of ``scipy.ndimage.convolve``.

    >>> convolve([1, 2, 3, 4], [1, 0, -1], mode="constant")
    array([ 2,  2,  2, -3])
    """
    x, w = _arrays(input, weights)
    shifts = tuple(
        -shift - (1 - size % 2) for shift, size in zip(_origins(origin, w.shape, True), w.shape, strict=True)
    )
    return _result(x, w[(slice(None, None, -1),) * w.ndim], output, mode, cval, shifts)


def _arrays(input: object, weights: object) -> tuple[AnyArray, AnyArray]:
    x, w = as_number_array(input, "input"), as_number_array(weights, "weights")
    if x.ndim != w.ndim:
        raise ValueError(f"weights: expected as many axes as input, got shapes {x.shape} and {w.shape}")
    return x, w


def _origins(origin: object, shape: tuple[int, ...], flipped: bool = False) -> tuple[int, ...]:
    given = origin if isinstance(origin, tuple | list) else (origin,) * len(shape)
    if len(given) != len(shape):
        raise ValueError(f"origin: expected {len(shape)} numbers, got {origin!r}")
    origins = tuple(as_int(shift, "origin", -(2**31)) for shift in given)
    for shift, size in zip(origins, shape, strict=True):
        least, most = -(size // 2), (size - 1) // 2
        if flipped:  # what it becomes when the weights are flipped has to be within these
            least, most = -most - (1 - size % 2), -least - (1 - size % 2)
        if not least <= shift <= most:
            raise ValueError(f"origin: expected {least} to {most} for weights of shape {shape}, got {origin!r}")
    return origins


def _whole(cval: complex) -> int:
    if cval.imag or not float(cval.real).is_integer():
        raise TypeError(f"cval: expected a whole number for an input of integers, got {cval!r}")
    return int(cval.real)


def _result(x: AnyArray, w: AnyArray, output: object, mode: object, cval: object, shifts: tuple[int, ...]) -> AnyArray:
    """The cross-correlation with weights shifted by so much."""
    boundary, cval = _MODES[one_of(mode, _MODES, "mode")], as_number(cval, "cval")
    pads: Pads = tuple(
        (size // 2 + shift, size - 1 - size // 2 - shift) for size, shift in zip(w.shape, shifts, strict=True)
    )
    if isinstance(output, np.ndarray):
        y, dtype = output, output.dtype
        if y.shape != x.shape:
            raise ValueError(f"output: expected shape {x.shape}, got {y.shape}")
    else:
        complex_result = x.dtype.kind == "c" or w.dtype.kind == "c"
        default = np.promote_types(x.dtype, np.complex64) if complex_result else x.dtype
        dtype = np.dtype(default if output is None else output)  # type: ignore[call-overload]
        y = np.empty(x.shape, dtype.newbyteorder("="))
    if x.dtype.kind in "iu" and dtype.kind in "iu":
        whole = w.dtype.kind in "iu" or (w.dtype.kind == "f" and bool((w == np.rint(w)).all()))
        if not whole:
            raise TypeError("weights: expected whole numbers for an input of integers")
        a, b = exact(np.append(x.ravel(), _whole(cval)), np.rint(w).astype(np.int64), "input")
        y[...] = filtered(a[:-1].reshape(x.shape), b, pads, boundary, cval).astype(np.int64)
        return y
    inner = np.complex128 if "c" in (x.dtype.kind, w.dtype.kind) else np.float64
    result = filtered(x.astype(inner), w.astype(inner), pads, boundary, cval)
    np.copyto(y, result, casting="unsafe")
    return y
