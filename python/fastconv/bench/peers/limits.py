"""What the machine allows a layer: the time of its multiply-adds at the peak, or of its bytes at the bandwidth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastconv import _core
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peak import Bandwidth


@dataclass(frozen=True)
class Limit:
    """The least time a layer can take if no arithmetic is saved.

    Attributes:
        seconds: The larger of both.
        arithmetic_seconds: 2 * multiply-adds at the peak; taps in the padding are not counted, they need no work.
        memory_seconds: Images and weights read once, outputs written once, at the bandwidth of the cache that holds
            all of them: calls in a row find them there.
        level: That cache, "L1", "L2" or "L3", or "DRAM".
    """

    arithmetic_seconds: float
    memory_seconds: float
    level: str

    @property
    def seconds(self) -> float:
        return max(self.arithmetic_seconds, self.memory_seconds)

    @property
    def is_memory(self) -> bool:
        return self.memory_seconds > self.arithmetic_seconds


def limit(layer: NamedLayer, dtype: str, peak_gflops: float, levels: list[Bandwidth], threads: int) -> Limit:
    """The limit of a layer.

    Args:
        layer, dtype: What is computed.
        peak_gflops: Of all `threads` together.
        levels: As :func:`fastconv.bench.peak.bandwidths` measures them with `threads`.
        threads: At work.
    """
    problem = layer.problem(dtype)
    info = _core.cpu_info()
    holds = {"L1": info["l1d_bytes"] * threads, "L2": info["l2_bytes"] * threads, "L3": info["l3_bytes"]}
    read, written = problem.input_bytes + problem.weight_bytes, problem.output_bytes
    rates = {rate.level: rate for rate in levels}
    level = next((name for name, size in holds.items() if name in rates and read + written <= size), levels[-1].level)
    return Limit(
        arithmetic_seconds=2 * useful_multiply_adds(layer) / (peak_gflops * 1e9),
        memory_seconds=(read / rates[level].read_gb_per_s + written / rates[level].write_gb_per_s) / 1e9,
        level=level,
    )


def useful_multiply_adds(layer: NamedLayer) -> int:
    """Multiply-adds whose tap lies in the image."""
    P, Q = layer.problem().output_shape[2:]
    rows = _taps_inside(P, layer.R, layer.stride[0], layer.dilation[0], layer.padding[0][0], layer.H)
    columns = _taps_inside(Q, layer.S, layer.stride[1], layer.dilation[1], layer.padding[1][0], layer.W)
    return layer.N * layer.K * (layer.C // layer.groups) * rows * columns


def _taps_inside(outputs: int, taps: int, stride: int, dilation: int, pad: int, size: int) -> int:
    """Pairs of an output and a tap along one axis that meet the image."""
    at = np.arange(outputs)[:, None] * stride - pad + np.arange(taps) * dilation
    return int(np.count_nonzero((at >= 0) & (at < size)))
