"""What the machine allows: peak of fused multiply-adds, memory bandwidth per level, and the GEMM's share of the peak.

A share is always formed with a peak that was measured in the same interleaved run: clock rate and neighbours change
within seconds, and a share of yesterday's peak means nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fastconv import _core
from fastconv.bench.measure import measure
from fastconv.isa import use_isa
from fastconv.threads import num_threads

DTYPES = ("float32", "float64")
BANDWIDTH_KINDS = ("read", "write", "copy")


class PeakProbe:
    """A callable that measures the FMA peak and keeps what it saw, to be interleaved with other callables.

    Args:
        dtype: "float32" or "float64".
        seconds: Length of one measurement.
    """

    def __init__(self, dtype: str, seconds: float = 0.004) -> None:
        self.dtype = dtype
        self.seconds = seconds
        self.gflops: list[float] = []

    def __call__(self) -> None:
        self.gflops.append(_core.fma_peak(self.dtype, self.seconds))

    @property
    def median(self) -> float:
        return statistics.median(self.gflops)

    @property
    def best(self) -> float:
        return max(self.gflops)


@dataclass(frozen=True)
class GemmShare:
    """size x size x size GEMM beside the FMA peak of the same run; packing of both operands included."""

    isa: str
    threads: int
    dtype: str
    size: int
    peak_gflops_median: float
    peak_gflops_best: float
    gemm_gflops_median: float
    gemm_gflops_best: float
    gemm_gflops_first_quartile: float
    gemm_gflops_third_quartile: float
    noisy: bool

    @property
    def share_of_peak(self) -> float:
        """Median over median."""
        return self.gemm_gflops_median / self.peak_gflops_median


@dataclass(frozen=True)
class Bandwidth:
    """GB/s over a working set that lives in one level of the memory; "copy" counts bytes read plus bytes written."""

    level: str
    threads: int
    bytes_per_thread: int
    read_gb_per_s: float
    write_gb_per_s: float
    copy_gb_per_s: float


def gemm_shares(
    isa: str, threads: int, size: int = 1024, min_time: float = 0.4, dtypes: Sequence[str] = DTYPES
) -> list[GemmShare]:
    """Measure peak and GEMM of one ISA, interleaved.

    Args:
        isa: One of `_core.available_isas()`.
        threads: Threads to use.
        size: M = N = K.
        min_time: Seconds per dtype for the GEMM, and as many for the peak.
        dtypes: Of "float32" and "float64".
    Returns:
        One row per dtype.
    """
    rng = np.random.default_rng(0)
    flops = 2.0 * size**3
    rows = []
    for dtype in dtypes:
        a = rng.standard_normal((size, size)).astype(dtype)
        b = rng.standard_normal((size, size)).astype(dtype)
        probe = PeakProbe(dtype, seconds=0.01)
        gemm = partial(_core.gemm, a, b, np.empty_like(a))  # a new output costs page faults, about 2 %
        with use_isa(isa), num_threads(threads):
            timing = measure({"gemm": gemm, "peak": probe}, min_time=min_time)["gemm"]
        fast, slow = timing.quartiles
        rows.append(
            GemmShare(
                isa=isa,
                threads=threads,
                dtype=dtype,
                size=size,
                peak_gflops_median=probe.median,
                peak_gflops_best=probe.best,
                gemm_gflops_median=flops / timing.median / 1e9,
                gemm_gflops_best=flops / timing.best / 1e9,
                gemm_gflops_first_quartile=flops / slow / 1e9,
                gemm_gflops_third_quartile=flops / fast / 1e9,
                noisy=timing.noisy,
            )
        )
    return rows


def working_sets(threads: int) -> dict[str, int]:
    """Bytes per thread that live in L1, L2, L3 and DRAM: half of a cache (the last level is shared), twice the last."""
    info = _core.cpu_info()
    l1, l2, l3 = (int(info[key]) for key in ("l1d_bytes", "l2_bytes", "l3_bytes"))
    sets = {"L1": l1 // 2, "L2": l2 // 2}
    if l3 // 2 // threads > l2:
        sets["L3"] = l3 // 2 // threads
    sets["DRAM"] = min(max(2 * l3, 8 * l2) // threads + l2, 1 << 28)
    return {level: size for level, size in sets.items() if size > 0}


def bandwidths(threads: int, seconds: float = 0.05, repeats: int = 3) -> list[Bandwidth]:
    """Measure read, write and copy bandwidth per level with the present ISA; the median of interleaved repeats."""
    seen: dict[tuple[str, str], list[float]] = {}
    sets = working_sets(threads)
    with num_threads(threads):
        for _ in range(repeats):
            for level, size in sets.items():
                for kind in BANDWIDTH_KINDS:
                    seen.setdefault((level, kind), []).append(_core.bandwidth(kind, size, seconds))
    return [
        Bandwidth(level, threads, size, *(statistics.median(seen[level, kind]) for kind in BANDWIDTH_KINDS))
        for level, size in sets.items()
    ]
