"""Functions of ``scipy.signal`` with their names, arguments and results, for arrays of one to three axes.

Floating-point results agree with SciPy's to rounding. Integers give SciPy's integers, exactly; if their sums could
reach 2^53 they are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastconv.filtering import (
    AnyArray,
    Pads,
    as_number,
    as_number_array,
    as_numbers,
    computed_in,
    exact,
    filtered,
    one_of,
)
from fastconv.geometry import as_int

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d", "fftconvolve"]

_MODES = ("full", "same", "valid")
_BOUNDARIES = {"fill": "constant", "wrap": "circular", "circular": "circular", "symm": "symmetric"}
_BOUNDARIES |= {"pad": "constant", "symmetric": "symmetric"}  # SciPy's other names


def convolve2d(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: complex = 0,
) -> npt.NDArray[Any]:
    """Convolve two images: ``scipy.signal.convolve2d``.

    Args:
        in1, in2: Two axes each; integers, float16 to float64, or complex.
        mode: ``"full"``: every output that both reach; ``"same"``: of the shape of `in1`, the middle of these;
            ``"valid"``: those that see no boundary; there one array must be at least as large as the other.
        boundary: What lies beyond `in1`: ``"fill"``: `fillvalue`; ``"wrap"``: the other end; ``"symm"``: its mirror
            image.
        fillvalue: For ``boundary="fill"``.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError: Other axes, an unknown name, or in mode "valid" arrays of which neither holds the other.
        TypeError: A dtype that is none of numbers, or integers whose sums might reach 2^53.
    Source: the documentation of ``scipy.signal.convolve2d``.

    >>> convolve2d([[1, 2], [3, 4]], [[1, 1]], mode="same")
    array([[1, 3],
           [3, 7]])
    """
    x, w = _of_two_axes(in1, in2)
    if _swap_needed(mode, x, w):
        x, w = w, x
    return _result(x, _flipped(w), mode, _as_boundary(boundary), as_number(fillvalue, "fillvalue"), before=0)


def correlate2d(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: complex = 0,
) -> npt.NDArray[Any]:
    """Cross-correlate two images: ``scipy.signal.correlate2d``. The second is conjugated.

    Args:
        in1, in2, mode, boundary, fillvalue: As in :func:`convolve2d`. In mode "same" with an even extent of `in2` the
            output lies where SciPy has it, which is not where :func:`correlate` has it.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError, TypeError: As :func:`convolve2d` does.
    Source: the documentation of ``scipy.signal.correlate2d``.

    >>> correlate2d([[1, 2, 3]], [[1, -1]], mode="valid")
    array([[-1, -1]])
    """
    x, w = _of_two_axes(in1, in2)
    swapped = _swap_needed(mode, x, w)
    if swapped:
        x, w = w, x
    y = _result(x, w.conj(), mode, _as_boundary(boundary), as_number(fillvalue, "fillvalue"), before=1)
    return _flipped(y) if swapped else y


def convolve(in1: npt.ArrayLike, in2: npt.ArrayLike, mode: str = "full", method: str = "auto") -> npt.NDArray[Any]:
    """Convolve two arrays of as many axes, one to three, with zeros around them: ``scipy.signal.convolve``.

    Args:
        in1, in2, mode: As in :func:`convolve2d`.
        method: ``"auto"``, ``"direct"`` or ``"fft"``, as SciPy has it; the results are the same here.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError, TypeError: As :func:`convolve2d` does.
    Source: the documentation of ``scipy.signal.convolve``.

    >>> convolve([1, 2, 3], [1, 1])
    array([1, 3, 5, 3])
    """
    _check_method(method)
    x, w = _of_same_axes(in1, in2)
    if _swap_needed(mode, x, w):
        x, w = w, x
    return _result(x, _flipped(w), mode, "constant", 0, before=0)


def correlate(in1: npt.ArrayLike, in2: npt.ArrayLike, mode: str = "full", method: str = "auto") -> npt.NDArray[Any]:
    """Cross-correlate two arrays of as many axes, one to three: ``scipy.signal.correlate``. The second is conjugated.

    Args:
        in1, in2, mode: As in :func:`convolve2d`.
        method: As in :func:`convolve`.
    Returns:
        An array of the dtype of NumPy's promotion of both.
    Raises:
        ValueError, TypeError: As :func:`convolve2d` does.
    Source: the documentation of ``scipy.signal.correlate``.

    >>> correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    _check_method(method)
    x, w = _of_same_axes(in1, in2)
    swapped = _swap_needed(mode, x, w)
    if swapped:
        x, w = w, x
    y = _result(x, w.conj(), mode, "constant", 0, before=0)
    return _flipped(y).conj() if swapped else y


def fftconvolve(
    in1: npt.ArrayLike, in2: npt.ArrayLike, mode: str = "full", axes: int | Sequence[int] | None = None
) -> npt.NDArray[Any]:
    """:func:`convolve` whose integers become float64: ``scipy.signal.fftconvolve``.

    As there, axes along which one array has a single place are broadcast.

    Args:
        in1, in2, mode: As in :func:`convolve2d`; one to three axes each.
        axes: The axes to convolve over, at most three, numbered as in NumPy; None for all. Along the others, of which
            there may be any number, the arrays are of one size, or one has a single place.
    Returns:
        An array of floating-point or complex numbers.
    Raises:
        ValueError, TypeError: As :func:`convolve2d` does.
    Source: the documentation of ``scipy.signal.fftconvolve``.

    >>> fftconvolve([1, 2, 3], [1, 1])
    array([1., 3., 5., 3.])
    """
    if axes is not None:
        return _over_axes(in1, in2, mode, axes)
    x, w = _of_same_axes(in1, in2)
    alone = [1 in sizes for sizes in zip(x.shape, w.shape, strict=True)]
    one_of(mode, _MODES, "mode")
    if all(alone):  # then SciPy transforms nothing, and integers stay what they are
        product = x * w
        cut = [((full - size) // 2, size) for full, size in zip(product.shape, x.shape, strict=True)]
        return product[tuple(slice(low, low + size) for low, size in cut)] if mode == "same" else product
    x, w = (a.astype(np.float64) if a.dtype.kind in "iu" else a for a in (x, w))
    if mode != "valid" or not any(alone):
        return convolve(x, w, mode)
    # An axis of one place is broadcast: it rules nothing out, and nothing is cut off there.
    others = tuple(0 if one else slice(None) for one in alone)
    _swap_needed(mode, x[others], w[others])
    sizes = zip(x.shape, w.shape, strict=True)
    whole = tuple(slice(None) if 1 in (a, b) else slice(min(a, b) - 1, max(a, b)) for a, b in sizes)
    return np.ascontiguousarray(convolve(x, w)[whole])


def _over_axes(in1: object, in2: object, mode: str, axes: object) -> AnyArray:
    """:func:`fftconvolve` over some axes: place by place along the others."""
    x, w = as_numbers(in1, "in1"), as_numbers(in2, "in2")
    if x.ndim != w.ndim:
        raise ValueError(f"in2: expected as many axes as in1, got shapes {x.shape} and {w.shape}")
    numbers = tuple(axes) if isinstance(axes, Sequence) and not isinstance(axes, str | bytes) else (axes,)
    over = tuple(as_int(axis, "axes", -x.ndim, x.ndim - 1) % x.ndim for axis in numbers)
    if not 1 <= len(set(over)) == len(over) <= 3:
        raise ValueError(f"axes: expected one to three axes, each once, got {axes!r}")
    others = tuple(axis for axis in range(x.ndim) if axis not in over)
    for axis in others:
        if x.shape[axis] != w.shape[axis] and 1 not in (x.shape[axis], w.shape[axis]):
            raise ValueError(
                f"in2: expected the size of in1 along axis {axis}, or 1, got shapes {x.shape} and {w.shape}"
            )
    one_of(mode, _MODES, "mode")
    order = tuple(sorted(over))
    x, w = (np.moveaxis(a, others + order, range(a.ndim)) for a in (x, w))
    own = x.shape[: len(others)]
    outer = np.broadcast_shapes(own, w.shape[: len(others)])
    x, w = (np.broadcast_to(a, outer + a.shape[len(others) :]) for a in (x, w))
    if mode == "same":  # as SciPy: of all axes the middle that has in1's shape
        middle = tuple(slice((all_ - one) // 2, (all_ - one) // 2 + one) for all_, one in zip(outer, own, strict=True))
        x, w, outer = x[middle], w[middle], own
    parts = [fftconvolve(x[place], w[place], mode) for place in np.ndindex(*outer)]
    y = np.stack(parts).reshape(*outer, *parts[0].shape)
    return np.ascontiguousarray(np.moveaxis(y, range(y.ndim), others + order))


def _of_two_axes(in1: object, in2: object) -> tuple[AnyArray, AnyArray]:
    x, w = as_number_array(in1, "in1"), as_number_array(in2, "in2")
    for name, array in (("in1", x), ("in2", w)):
        if array.ndim != 2:
            raise ValueError(f"{name}: expected 2 axes, got shape {array.shape}")
    return x, w


def _of_same_axes(in1: object, in2: object) -> tuple[AnyArray, AnyArray]:
    x, w = as_number_array(in1, "in1"), as_number_array(in2, "in2")
    if x.ndim != w.ndim:
        raise ValueError(f"in2: expected as many axes as in1, got shapes {x.shape} and {w.shape}")
    return x, w


def _check_method(method: object) -> None:
    one_of(method, ("auto", "direct", "fft"), "method")


def _as_boundary(boundary: object) -> str:
    return _BOUNDARIES[one_of(boundary, _BOUNDARIES, "boundary")]


def _swap_needed(mode: object, x: AnyArray, w: AnyArray) -> bool:
    """Whether in mode "valid" the second array is the image, and the first the filter."""
    one_of(mode, _MODES, "mode")
    if mode != "valid":
        return False
    holds = all(a >= b for a, b in zip(x.shape, w.shape, strict=True))
    held = all(a <= b for a, b in zip(x.shape, w.shape, strict=True))
    if not holds and not held:
        raise ValueError(
            f"in2: expected one array at least as large as the other for mode='valid', got {x.shape} and {w.shape}"
        )
    return not holds


def _flipped(w: AnyArray) -> AnyArray:
    return w[(slice(None, None, -1),) * w.ndim]


def _pads(shape: tuple[int, ...], mode: str, before: int) -> Pads:
    """Of an image, for a filter of this shape; `before`: of an even one, what is centred lies a place earlier."""
    if mode == "valid":
        return ((0, 0),) * len(shape)
    if mode == "full":
        return tuple((size - 1, size - 1) for size in shape)
    lows = [(size - before) // 2 for size in shape]
    return tuple((low, size - 1 - low) for low, size in zip(lows, shape, strict=True))


def _result(x: AnyArray, w: AnyArray, mode: str, boundary: str, value: complex, *, before: int) -> AnyArray:
    """The cross-correlation of x with w."""
    dtype = np.result_type(x, w).newbyteorder("=")
    if dtype.kind in "iu":
        whole = np.array(value).astype(dtype)
        a, b = exact(np.append(x.ravel(), whole).astype(object) if whole else x, w, "in1")
        a = a[: x.size].reshape(x.shape)
        y = filtered(a, b, _pads(w.shape, mode, before), boundary, float(whole))
        return y.astype(np.int64).astype(dtype)
    inner = computed_in(dtype)
    a, b = x.astype(inner, copy=False), w.astype(inner)
    return filtered(a, b, _pads(w.shape, mode, before), boundary, value).astype(dtype, copy=False)
