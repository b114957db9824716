"""One layer family over kernel sizes: 64 -> 64 channels on 56 x 56, dense and depthwise."""

from __future__ import annotations

import pytest
from conftest import ALGORITHMS, RunLayer

from fastconv.bench.layers import square

KERNELS = (1, 3, 5, 7, 11, 15)


@pytest.mark.benchmark(max_time=0.3, min_rounds=5, warmup=True, warmup_iterations=3)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("groups", [1, 64], ids=["dense", "depthwise"])
def test_kernel_size(groups: int, kernel: int, algorithm: str, run_layer: RunLayer) -> None:
    run_layer(square(f"64->64 @56 {kernel}x{kernel}", 64, 56, 64, kernel, groups=groups), algorithm)
