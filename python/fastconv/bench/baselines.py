"""What a NumPy or SciPy user would write today, and a float64 result to judge every other one by."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer


def float64_result(x: Array, w: Array, layer: NamedLayer) -> npt.NDArray[np.float64]:
    """The convolution in float64: one matrix product per kernel tap, added up.

    It shares no code with the compiled core, and needs no memory beyond a few images.

    Args:
        x: Images (N, C, H, W).
        w: Filters (K, C // groups, R, S).
        layer: The geometry.
    Returns:
        (N, K, P, Q).
    """
    (sh, sw), (dh, dw), G = layer.stride, layer.dilation, layer.groups
    P, Q = layer.problem().output_shape[2:]
    image = _padded(x.astype(np.float64), layer)
    filters = w.astype(np.float64).reshape(G, layer.K // G, layer.C // G, layer.R, layer.S)
    y = np.zeros((layer.N, G, layer.K // G, P * Q))
    for r in range(layer.R):
        for s in range(layer.S):
            seen = image[:, :, r * dh :, s * dw :][:, :, : (P - 1) * sh + 1 : sh, : (Q - 1) * sw + 1 : sw]
            y += filters[:, :, :, r, s] @ seen.reshape(layer.N, G, layer.C // G, P * Q)
    return y.reshape(layer.N, layer.K, P, Q)


def max_error_over_rms(y: Array, exact: npt.NDArray[np.float64]) -> float:
    """The largest absolute error, over the root mean square of the exact output."""
    if not exact.size:
        return 0.0
    rms = float(np.sqrt(np.mean(np.square(exact))))
    return float(np.max(np.abs(y - exact))) / (rms or 1.0)


def numpy_tensordot(x: Array, w: Array, layer: NamedLayer) -> Array:
    """`sliding_window_view` and `tensordot`, group by group: NumPy's im2col and its BLAS."""
    (sh, sw), (dh, dw), G = layer.stride, layer.dilation, layer.groups
    field = layer.receptive_field
    windows = np.lib.stride_tricks.sliding_window_view(_padded(x, layer), (1, 1, *field))
    windows = windows[:, :, ::sh, ::sw, 0, 0, ::dh, ::dw]  # (N, C, P, Q, R, S)
    Cg, Kg = layer.C // G, layer.K // G
    groups = [
        np.tensordot(windows[:, g * Cg : (g + 1) * Cg], w[g * Kg : (g + 1) * Kg], axes=([1, 4, 5], [1, 2, 3]))
        for g in range(G)
    ]
    return np.ascontiguousarray(np.concatenate(groups, axis=3).transpose(0, 3, 1, 2))


def scipy_correlate(x: Array, w: Array, layer: NamedLayer) -> Array:
    """`scipy.signal.correlate` per filter, over all channels of its group at once; SciPy picks sums or an FFT."""
    y = np.empty(layer.problem(x.dtype).output_shape, x.dtype)
    image = _padded(x, layer)
    for n in range(layer.N):
        for k in range(layer.K):
            y[n, k] = _scipy_filter(image[n], w, k, layer)
    return y


def _scipy_filter(image: Array, w: Array, k: int, layer: NamedLayer) -> Array:
    signal = importlib.import_module("scipy.signal")
    (dh, dw), Cg = layer.dilation, layer.C // layer.groups
    field = layer.receptive_field
    spread = np.zeros((Cg, *field), w.dtype)
    spread[:, ::dh, ::dw] = w[k]
    first = k // (layer.K // layer.groups) * Cg
    out: Array = signal.correlate(image[first : first + Cg], spread, mode="valid")[0]
    return out[:: layer.stride[0], :: layer.stride[1]]


def _padded(x: Array, layer: NamedLayer) -> Array:
    return np.pad(x, ((0, 0), (0, 0), *layer.padding)) if any(map(any, layer.padding)) else x


def _numpy_seconds(x: Array, w: Array, layer: NamedLayer) -> float:
    """From the first image's top rows; an eighth of the layer or less."""
    P = layer.problem().output_shape[2]
    rows = max(1, P // 8)
    H = (rows - 1) * layer.stride[0] + layer.receptive_field[0]
    sides = layer.padding[1]
    part = replace(layer, N=1, H=H, padding=((0, 0), sides))
    top = np.resize(x[:1], part.input_shape)
    return _seconds(lambda: numpy_tensordot(top, w, part)) * layer.N * P / rows


def _scipy_seconds(x: Array, w: Array, layer: NamedLayer) -> float:
    """From the first filter."""
    image = _padded(x[:1], layer)[0]
    return _seconds(lambda: _scipy_filter(image, w, 0, layer)) * layer.N * layer.K


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Baseline:
    """Another way to the same result.

    Attributes:
        name: As the tables show it.
        module: What must be installed.
        run: Takes images, filters and the layer.
        estimate: Seconds that one `run` would take, from a small part of it.
    """

    name: str
    module: str
    run: Callable[[Array, Array, NamedLayer], Array]
    estimate: Callable[[Array, Array, NamedLayer], float]

    def obstacle(self, x: Array, w: Array, layer: NamedLayer, limit: float) -> str | None:
        """Why not to run it: not installed, or one run would take more than `limit` seconds; None if nothing is."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.module} is not installed"
        self.estimate(x, w, layer)  # imports and warms up
        seconds = self.estimate(x, w, layer)
        return f"one run would take about {seconds:.1f} s" if seconds > limit else None


BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline("numpy tensordot", "numpy", numpy_tensordot, _numpy_seconds),
        Baseline("scipy correlate", "scipy", scipy_correlate, _scipy_seconds),
    )
}
