"""Every named layer by every algorithm that takes it."""

from __future__ import annotations

import pytest
from conftest import ALGORITHMS, RunLayer

from fastconv.bench.layers import TABLES, NamedLayer

LAYERS = [pytest.param(layer, id=f"{table}: {layer}") for table, layers in TABLES.items() for layer in layers]


@pytest.mark.benchmark(max_time=0.3, min_rounds=5, warmup=True, warmup_iterations=3)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("layer", LAYERS)
def test_layer(layer: NamedLayer, algorithm: str, run_layer: RunLayer) -> None:
    run_layer(layer, algorithm)
