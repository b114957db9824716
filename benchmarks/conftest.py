"""`pytest benchmarks`: pytest-benchmark suites over the named layers; figures beyond time are in extra_info.

For ratios between algorithms use `fastconv compare`, whose candidates take turns; these suites keep a history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import _core
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peak import PeakProbe

ALGORITHMS = [name for name in fastconv.algorithms() if name not in ("reference", "dense")]  # both far too slow here
RunLayer = Callable[[NamedLayer, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--threads", type=int, default=1, help="threads per call (default: 1)")
    parser.addoption("--dtype", choices=("float32", "float64"), default="float32")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Suites are named bench_*.py, so that a run of all tests does not take them for tests."""
    if file_path.suffix == ".py" and file_path.name.startswith("bench_"):
        return pytest.Module.from_parent(parent, path=file_path)
    return None


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    count: int = request.config.getoption("--threads")
    with fastconv.num_threads(count):
        yield count


@pytest.fixture
def run_layer(benchmark: Any, threads: int, request: pytest.FixtureRequest) -> RunLayer:
    """Time an algorithm on a layer, its weights packed beforehand, or skip what the algorithm refuses."""
    dtype: str = request.config.getoption("--dtype")

    def run(layer: NamedLayer, algorithm: str) -> None:
        problem = layer.problem(dtype)
        if (reason := fastconv.rejects(algorithm, problem)) is not None:
            pytest.skip(reason)
        op = fastconv.Conv2d(layer.random_weight(dtype), **layer.options, algorithm=algorithm)
        x, y = layer.random_input(dtype), np.empty(problem.output_shape, dtype)
        op(x, out=y)
        peak = PeakProbe(dtype)
        peak()
        benchmark(op, x, out=y)
        peak()
        gflop_per_s = 2 * problem.multiply_adds / benchmark.stats.stats.median / 1e9
        benchmark.extra_info.update(
            isa=_core.get_isa(),
            threads=threads,
            dtype=dtype,
            variant=_core.variant(algorithm, problem),
            multiply_adds=problem.multiply_adds,
            tensor_bytes=problem.input_bytes + problem.weight_bytes + problem.output_bytes,
            workspace_bytes=_core.workspace_bytes(algorithm, problem),
            packed_weight_bytes=_core.packed_bytes(algorithm, problem),
            gflop_per_s=gflop_per_s,
            share_of_peak=gflop_per_s / peak.median,
        )

    return run
