"""`pytest benchmarks`: pytest-benchmark suites over the named layers; figures beyond time are in extra_info.

For ratios between algorithms use `fastconv compare`, whose candidates take turns; these suites keep a history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastconv
from fastconv import _core
from fastconv.bench.baselines import float64_result, max_error_over_rms
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peak import PeakProbe
from fastconv.numerics import error_bound

ALGORITHMS = [name for name in fastconv.algorithms() if name not in ("reference", "dense")]  # both far too slow here
RunLayer = Callable[[NamedLayer, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--threads", type=int, default=1, help="threads per call (default: 1)")
    parser.addoption("--dtype", choices=("float32", "float64"), default="float32")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Suites are named bench_*.py, so that a run of all tests does not take them for tests."""
    named = parent.session.isinitpath(file_path)  # on the command line: pytest collects it by itself
    if file_path.suffix == ".py" and file_path.name.startswith("bench_") and not named:
        return pytest.Module.from_parent(parent, path=file_path)
    return None


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    count: int = request.config.getoption("--threads")
    with fastconv.num_threads(count):
        yield count


@lru_cache(maxsize=1)  # the algorithms of a layer come one after the other
def _exact(layer: NamedLayer, dtype: str) -> npt.NDArray[np.float64]:
    return float64_result(layer.random_input(dtype), layer.random_weight(dtype), layer)


def gflop_per_s(benchmark: Any, problem: _core.Problem) -> float | None:
    """By the median; None without a time (--benchmark-disable), when the rest is checked all the same."""
    return None if benchmark.stats is None else 2 * problem.multiply_adds / benchmark.stats.stats.median / 1e9


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
        error = max_error_over_rms(y, _exact(layer, dtype))
        benchmark.group = layer.name
        peak = PeakProbe(dtype)
        peak()
        benchmark(op, x, out=y)
        peak()
        rate = gflop_per_s(benchmark, problem)
        benchmark.extra_info.update(
            isa=_core.get_isa(),
            threads=threads,
            dtype=dtype,
            variant=_core.variant(algorithm, problem),
            multiply_adds=problem.multiply_adds,
            tensor_bytes=problem.input_bytes + problem.weight_bytes + problem.output_bytes,
            workspace_bytes=_core.workspace_bytes(algorithm, problem),
            packed_weight_bytes=_core.packed_bytes(algorithm, problem),
            max_error_over_rms=error,
            gflop_per_s=rate,
            share_of_peak=None if rate is None else rate / peak.median,
        )
        assert error <= error_bound(algorithm, problem)

    return run
