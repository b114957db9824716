"""Every named layer by every other engine that is installed; for ratios use `fastconv bench --peers`."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import gflop_per_s

from fastconv.bench.layers import TABLES, NamedLayer
from fastconv.bench.peers import PEERS
from fastconv.bench.peers.case import Case
from fastconv.bench.peers.contest import INACCURATE, max_error

INSTALLED = [name for name, engine in PEERS.items() if engine.missing() is None]
LAYERS = [pytest.param(layer, id=f"{table}: {layer}") for table, layers in TABLES.items() for layer in layers]


@pytest.mark.filterwarnings("default")
@pytest.mark.benchmark(max_time=0.3, min_rounds=5, warmup=True, warmup_iterations=1)
@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("layer", LAYERS)
def test_peer(layer: NamedLayer, name: str, threads: int, benchmark: Any, request: pytest.FixtureRequest) -> None:
    case = Case(layer, request.config.getoption("--dtype"), threads=threads)
    engine = PEERS[name]
    if (reason := case.refused_by(engine)) is not None:
        pytest.skip(reason)
    engine.set_environment(threads)
    call, x = case.prepare(engine), case.images
    error = max_error(call(x), case.exact())
    benchmark.group = layer.name
    benchmark(call, x)
    problem = layer.problem(case.dtype)
    benchmark.extra_info.update(
        engine=name,
        version=engine.version,
        threads=threads,
        dtype=case.dtype,
        multiply_adds=problem.multiply_adds,
        tensor_bytes=problem.input_bytes + problem.weight_bytes + problem.output_bytes,
        max_error_over_max=error,
        gflop_per_s=gflop_per_s(benchmark, problem),
    )
    if error > INACCURATE[case.dtype]:
        pytest.xfail(f"error {error:.1e}")
