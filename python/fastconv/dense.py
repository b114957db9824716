"""The fully connected layer that a convolution is: its matrix, the way back, and what its structure counts.

One image of C*H*W values times a (K*P*Q) x (C*H*W) matrix is K*P*Q outputs. Two constraints make such a matrix a
convolution: *nullity*, entries outside every receptive field are zero, and *equality*, entries that share a weight are
the same number. (Batches and layouts other than NCHW change neither.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fastconv._core import Problem
from fastconv.arguments import Array, Shape, as_layer
from fastconv.arrays import as_array
from fastconv.geometry import Padding, Pair, as_int


class Place(NamedTuple):
    """An entry of the matrix: where it is, which output (k, p, q) and input (c, h, w) it joins, and its value."""

    row: int
    column: int
    output: tuple[int, int, int]
    input: tuple[int, int, int]
    value: float

    def __str__(self) -> str:
        return f"[{self.row}, {self.column}] = {self.value!r} (output {self.output}, input {self.input})"


class ConstraintError(ValueError):
    """A matrix is not that of a convolution.

    Attributes:
        constraint: "nullity" or "equality".
        places: The offending entry; for "equality", before it the first entry that shares its weight.
        weight: Index (k, c, r, s) of the shared weight; None for "nullity".
    """

    def __init__(
        self,
        constraint: Literal["nullity", "equality"],
        places: tuple[Place, ...],
        weight: tuple[int, int, int, int] | None = None,
    ) -> None:
        self.constraint, self.places, self.weight = constraint, places, weight
        if constraint == "nullity":
            text = f"expected 0 outside every receptive field, got {places[0]}"
        else:
            text = f"expected entries that share weight {weight} to be the same, got {places[0]} and {places[1]}"
        super().__init__(f"matrix: {constraint} is broken: {text}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.constraint, self.places, self.weight)


class DenseStructure(NamedTuple):
    """Counts of a dense matrix's entries: all of them, structural zeros, all others, and distinct weights in these."""

    entries: int
    zeros: int
    nonzeros: int
    distinct: int


def _hits(tap: int, pad: int, stride: int, dilation: int, extent: int, outputs: int) -> range:
    """Output positions along one axis at which a tap lies on the image, not in the padding."""
    offset = tap * dilation - pad  # position on the image is output * stride + offset
    first = max(0, -(offset // stride))
    last = min(outputs - 1, (extent - 1 - offset) // stride)
    return range(first, max(first, last + 1))


def _axis_hits(p: Problem) -> tuple[list[range], list[range]]:
    rows = [_hits(r, p.pad_top, p.stride_h, p.dilation_h, p.H, p.P) for r in range(p.R)]
    columns = [_hits(s, p.pad_left, p.stride_w, p.dilation_w, p.W, p.Q) for s in range(p.S)]
    return rows, columns


def _taps(p: Problem) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """r, s, and the index of all entries of tap (r, s) in the matrix as (groups, K', P, Q, groups, C', H, W).

    Indexing with it gives (groups, p, q, K', C'): the positions at which the tap lies on the image come first.
    """
    g = np.arange(p.groups)[:, None, None]
    rows, columns = _axis_hits(p)
    for r, row_hits in enumerate(rows):
        P = np.asarray(row_hits, dtype=np.intp)[:, None]
        H = P * p.stride_h + r * p.dilation_h - p.pad_top
        for s, column_hits in enumerate(columns):
            Q = np.asarray(column_hits, dtype=np.intp)
            W = Q * p.stride_w + s * p.dilation_w - p.pad_left
            if P.size and Q.size:
                yield r, s, (g, slice(None), P, Q, g, slice(None), H, W)


def _by_group(matrix: npt.NDArray[Any], p: Problem) -> npt.NDArray[Any]:
    return matrix.reshape(p.groups, p.K // p.groups, p.P, p.Q, p.groups, p.C // p.groups, p.H, p.W)


def _check_memory(needed: int, limit: object, what: str) -> None:
    allowed = as_int(limit, "memory_limit", 0, 2**63 - 1)
    if needed > allowed:
        raise ValueError(f"memory_limit: expected at least {needed} bytes for {what}, got {allowed}")


def dense_matrix(
    weight: npt.ArrayLike,
    input_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    memory_limit: int = 2**30,
) -> npt.NDArray[Any]:
    """The matrix of the fully connected layer that computes the same outputs.

    ``dense_matrix(weight, x.shape) @ x.ravel()`` equals ``conv2d(x, weight).ravel()`` for one image x of shape
    (C, H, W), up to rounding.

    Args:
        weight: Filters, shape (K, C // groups, R, S), float32 or float64.
        input_shape: (C, H, W), or (N, C, H, W), of which N does not matter.
        stride, padding, dilation, groups: As in :func:`fastconv.conv2d`.
        memory_limit: Most bytes the matrix may have.
    Returns:
        Shape (K * P * Q, C * H * W), of the dtype of `weight`. Rows are outputs (k, p, q), columns inputs (c, h, w).
    Raises:
        ValueError: The matrix would have more than `memory_limit` bytes (the text says how many), or as `conv2d`.
        TypeError: As `conv2d`.
    Source: the "doubly blocked Toeplitz" matrix of two-dimensional convolution, Gray, "Toeplitz and Circulant Matrices:
        A Review", 2006.

    >>> dense_matrix(np.array([[[[1.0, 2.0]]]]), (1, 1, 4))
    array([[1., 2., 0., 0.],
           [0., 1., 2., 0.],
           [0., 0., 1., 2.]])
    """
    w = as_array(weight, "weight")
    names = ("input_shape", "weight")
    p = as_layer(input_shape, w.shape, stride, padding, dilation, groups, dtype=w.dtype.name, names=names).problem
    rows, columns = p.K * p.P * p.Q, p.C * p.H * p.W
    _check_memory(rows * columns * w.dtype.itemsize, memory_limit, f"a matrix of {rows} x {columns}")
    matrix = np.zeros((rows, columns), w.dtype.newbyteorder("="))
    entries = _by_group(matrix, p)
    kernel = w.reshape(p.groups, 1, 1, p.K // p.groups, p.C // p.groups, p.R, p.S)
    for r, s, index in _taps(p):
        entries[index] = kernel[..., r, s]
    return matrix


def kernel_from_dense(
    matrix: npt.ArrayLike,
    input_shape: Shape,
    weight_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    tolerance: float = 0.0,
) -> npt.NDArray[Any]:
    """The filters of a convolution from the matrix of its fully connected layer: the inverse of :func:`dense_matrix`.

    Weights that lie in the padding wherever the filter goes occur nowhere in the matrix: they are returned as 0.
    Takes scratch memory of two bytes per entry of the matrix.

    Args:
        matrix: Shape (K * P * Q, C * H * W), float32 or float64.
        input_shape: (C, H, W), or (N, C, H, W), of which N does not matter.
        weight_shape: (K, C // groups, R, S).
        stride, padding, dilation, groups: As in :func:`fastconv.conv2d`.
        tolerance: How far an entry may be from 0, or from the first entry in the matrix that shares its weight.
    Returns:
        Shape `weight_shape`, of the dtype of `matrix`; of entries that share a weight, the first one.
    Raises:
        ConstraintError: The matrix is not that of such a convolution. The text and the attributes say whether *nullity*
            or *equality* breaks, at which rows and columns, and which outputs and inputs these are.
        ValueError: Shapes disagree, or `tolerance` is negative.
        TypeError: An argument of another type or dtype.
    Source: local receptive fields and shared weights (LeCun et al., Proceedings of the IEEE 86(11), 1998), read as
        constraints on the matrix.

    >>> kernel_from_dense(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]]), (1, 1, 3), (1, 1, 1, 2))
    array([[[[1., 2.]]]])
    >>> kernel_from_dense(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]]), (1, 1, 3), (1, 1, 1, 2))
    Traceback (most recent call last):
    ...
    fastconv.dense.ConstraintError: matrix: equality is broken: expected entries that share weight (0, 0, 0, 1) to be \
the same, got [0, 1] = 2.0 (output (0, 0, 0), input (0, 0, 1)) and [1, 2] = 3.0 (output (0, 0, 1), input (0, 0, 2))
    """
    m = as_array(matrix, "matrix")
    p = as_layer(input_shape, weight_shape, stride, padding, dilation, groups, dtype=m.dtype.name).problem
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | np.integer | np.floating):
        raise TypeError(f"tolerance: expected a number, got {tolerance!r}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected at least 0, got {tolerance!r}")
    expected = p.K * p.P * p.Q, p.C * p.H * p.W
    if m.shape != expected:
        raise ValueError(f"matrix: expected shape {expected} (K * P * Q, C * H * W), got {m.shape}")

    entries = _by_group(np.ascontiguousarray(m), p)
    outside = np.ones(m.shape, bool)
    kernel = np.zeros((p.groups, p.K // p.groups, p.C // p.groups, p.R, p.S), m.dtype.newbyteorder("="))
    for r, s, index in _taps(p):
        _by_group(outside, p)[index] = False
        values = entries[index]
        kernel[..., r, s] = values[:, 0, 0]
    wrong = outside
    np.logical_and(outside, ~(np.abs(m) <= tolerance), out=wrong)  # so written, NaN is wrong
    if wrong.any():
        raise ConstraintError("nullity", (_place(m, p, *divmod(int(wrong.argmax()), m.shape[1])),))
    for r, s, index in _taps(p):
        _check_equality(m, p, (r, s), index, entries[index], float(tolerance))
    return kernel.reshape(p.weight_shape)


def _check_equality(
    m: Array, p: Problem, tap: tuple[int, int], index: tuple[Any, ...], values: Array, tolerance: float
) -> None:
    """`values`: the tap's entries, (groups, p, q, K', C'); each has to be its group's first."""
    first = values[:, :1, :1]
    with np.errstate(invalid="ignore"):  # inf - inf
        same = (values == first) | (np.abs(values - first) <= tolerance) | (np.isnan(values) & np.isnan(first))
    if same.all():
        return
    g, i, j, k, c = (int(n) for n in np.argwhere(~same)[0])
    _, _, P, Q, _, _, H, W = index
    filter, channel = g * (p.K // p.groups) + k, g * (p.C // p.groups) + c

    def place(i: int, j: int) -> Place:
        row = (filter * p.P + int(P[i, 0])) * p.Q + int(Q[j])
        column = (channel * p.H + int(H[i, 0])) * p.W + int(W[j])
        return _place(m, p, row, column)

    raise ConstraintError("equality", (place(0, 0), place(i, j)), (filter, c, *tap))


def _place(m: Array, p: Problem, row: int, column: int) -> Place:
    k, p_, q = (int(n) for n in np.unravel_index(row, (p.K, p.P, p.Q)))
    c, h, w = (int(n) for n in np.unravel_index(column, (p.C, p.H, p.W)))
    return Place(row, column, (k, p_, q), (c, h, w), float(m[row, column]))


def dense_structure(
    input_shape: Shape,
    weight_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> DenseStructure:
    """Count the entries of :func:`dense_matrix` without making it.

    Args:
        input_shape: (C, H, W), or (N, C, H, W), of which N does not matter.
        weight_shape: (K, C // groups, R, S).
        stride, padding, dilation, groups: As in :func:`fastconv.conv2d`.
    Returns:
        (entries, zeros, nonzeros, distinct): all entries, those no receptive field covers, the others, and how many
        different weights are among these.
    Raises:
        ValueError, TypeError: As `conv2d`.
    Source: own counting; rows and columns of the kernel count separately.

    >>> dense_structure((1, 4, 4), (1, 1, 3, 3))
    DenseStructure(entries=64, zeros=28, nonzeros=36, distinct=9)
    """
    p = as_layer(input_shape, weight_shape, stride, padding, dilation, groups).problem
    rows, columns = _axis_hits(p)
    filters = p.K * (p.C // p.groups)
    entries = p.K * p.P * p.Q * p.C * p.H * p.W
    nonzeros = filters * sum(map(len, rows)) * sum(map(len, columns))
    distinct = filters * sum(map(bool, rows)) * sum(map(bool, columns))
    return DenseStructure(entries, entries - nonzeros, nonzeros, distinct)
