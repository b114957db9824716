"""Plain NumPy: the matrix of patches, and its BLAS."""

from __future__ import annotations

import numpy as np

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, in_layout, output_array

_MOST_BYTES = 1 << 29
"""Of the matrix of patches: 31x31 on 512 x 512 pixels would have 1 GB."""


class NumPy(Engine):
    """`sliding_window_view`, a copy of the patches, `matmul` per group; weights as a matrix beforehand."""

    name = "NumPy"
    module = distribution = "numpy"
    also_needs = ("threadpoolctl",)  # to say how many threads its BLAS has
    layouts = ("NCHW", "NHWC")
    dtypes = ("float32", "float64")

    def refuses(self, layer: NamedLayer, dtype: str, layout: str) -> str | None:
        N, _, P, Q = layer.problem(dtype).output_shape
        if N * layer.C * layer.R * layer.S * P * Q * np.dtype(dtype).itemsize > _MOST_BYTES:
            return f"the matrix of patches takes more than {_MOST_BYTES >> 20} MiB"
        return super().refuses(layer, dtype, layout)

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        blas = self.load("threadpoolctl").ThreadpoolController().select(internal_api="openblas")
        blas.limit(limits=threads)
        y = output_array(layer, weight.dtype, layout)
        convolve = _nchw if layout == "NCHW" else _nhwc
        # Taps before channels in NHWC: the order in which pixels lie there.
        filters = in_layout(weight, layout).reshape(layer.groups, layer.K // layer.groups, -1)
        added = None if bias is None else bias[:, np.newaxis, np.newaxis] if layout == "NCHW" else bias

        def call(x: Array) -> Array:
            convolve(layer, x, filters, y)
            if added is not None:
                np.add(y, added, out=y)
            return y

        return call


def _windows(layer: NamedLayer, x: Array, axes: tuple[int, int]) -> Array:
    """The view of all patches: `x` with pixels of outputs in the place of its pixels, at `axes`; then R, S."""
    pads: list[tuple[int, int]] = [(0, 0)] * 4
    pads[axes[0]], pads[axes[1]] = layer.padding
    image = np.pad(x, pads) if any(map(any, layer.padding)) else x
    view: Array = np.lib.stride_tricks.sliding_window_view(image, layer.receptive_field, axes)
    steps = [slice(None)] * 6
    for axis, stride, dilation in zip(axes, layer.stride, layer.dilation, strict=True):
        steps[axis], steps[axis - axes[0] + 4] = slice(None, None, stride), slice(None, None, dilation)
    return view[tuple(steps)]


def _nchw(layer: NamedLayer, x: Array, filters: Array, y: Array) -> None:
    N, K, P, Q = y.shape
    columns = _windows(layer, x, (2, 3)).transpose(0, 1, 4, 5, 2, 3).reshape(N, layer.groups, -1, P * Q)
    np.matmul(filters, columns, out=y.reshape(N, layer.groups, K // layer.groups, P * Q))


def _nhwc(layer: NamedLayer, x: Array, filters: Array, y: Array) -> None:
    N, P, Q, K = y.shape
    G, taps = layer.groups, layer.R * layer.S
    rows = _windows(layer, x, (1, 2)).transpose(0, 1, 2, 4, 5, 3).reshape(N * P * Q, taps, G, layer.C // G)
    products = rows.transpose(2, 0, 1, 3).reshape(G, N * P * Q, -1) @ filters.transpose(0, 2, 1)
    y.reshape(N * P * Q, G, K // G)[:] = products.transpose(1, 0, 2)
