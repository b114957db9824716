"""Chains of layers and the alternatives to a layer: shapes, receptive fields, the papers' arithmetic, memory."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fastconv.bench import alternatives as alt
from fastconv.bench import chain
from fastconv.bench.chain import Chain, measure_chains
from fastconv.bench.layers import NamedLayer, square

LAYERS = (
    square("3x3", 8, 12, 16, 3),
    square("5x5", 8, 12, 16, 5),
    square("7x7/2", 16, 15, 16, 7, 2),
    square("11x11", 4, 13, 4, 11),
    NamedLayer("uneven pads", 4, 14, 11, 8, 5, 5, stride=(2, 3), padding=((3, 0), (1, 2))),
    NamedLayer("dilated", 4, 21, 21, 8, 5, 5, padding=((4, 4), (4, 4)), dilation=(2, 2)),
    NamedLayer("rectangle", 6, 14, 14, 6, 3, 5, N=2, padding=((1, 1), (2, 2))),
)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_alternatives_see_as_much_and_give_the_same_shape(layer: NamedLayer) -> None:
    chains = list(alt.alternatives(layer))
    names = [each.name for each in chains]
    assert names[0] == "as is"
    assert len(names) == len(set(names)) > 2
    for each in chains:
        assert each.input_shape == layer.input_shape, each.name
        assert each.output_shape == layer.problem().output_shape, each.name
        assert each.receptive_field == layer.receptive_field, each.name
        assert bool(each.source) == (each.name != "as is"), each.name


def share(idea: Chain | None, layer: NamedLayer) -> float:
    assert idea is not None
    return idea.multiply_adds / layer.problem().multiply_adds


def test_the_arithmetic_of_the_papers() -> None:
    layer = square("", 64, 32, 64, 5)
    three = replace(square("", 64, 32, 64, 3))
    assert share(alt.stack(layer), layer) == pytest.approx(18 / 25)  # VGG, Inception-v3
    assert share(alt.rows_then_columns(layer), layer) == pytest.approx(2 / 5)
    assert share(alt.depthwise_separable(three), three) == pytest.approx(1 / 64 + 1 / 9)  # MobileNet, eq. 5
    assert share(alt.grouped(three, 8), three) == pytest.approx(1 / 8)
    assert share(alt.bottleneck(three), three) == pytest.approx((2 * 4 + 9) / (16 * 9))
    assert share(alt.dilated(layer), layer) == pytest.approx(9 / 25)


def test_ideas_that_do_not_apply() -> None:
    pointwise, three, even = (square("", 8, 8, 8, kernel) for kernel in (1, 3, 4))
    assert [each.name for each in alt.alternatives(pointwise)] == ["as is", "2 groups", "4 groups"]
    assert alt.stack(three) is None
    assert alt.stack(even) is None
    assert alt.grouped(three, 3) is None
    assert alt.grouped(three, 8) is None, "that is depthwise"


def test_layers_of_a_chain_must_fit() -> None:
    with pytest.raises(ValueError, match="gives"):
        Chain("wrong", (square("a", 4, 8, 6, 3), square("b", 4, 8, 4, 3)))


def test_chains_are_measured() -> None:
    layer = square("5x5", 8, 16, 8, 5)
    chains = list(alt.alternatives(layer))
    rows = measure_chains(chains, min_time=0.001, rounds=3, memory=False)
    assert [row.name for row in rows] == [each.name for each in chains]
    for row, each in zip(rows, chains, strict=True):
        assert row.time_first_quartile_us <= row.time_median_us <= row.time_third_quartile_us
        assert row.weights == sum(math.prod(part.weight_shape) for part in each.layers)
        assert row.gflop_per_s == pytest.approx(2 * row.multiply_adds / row.time_median_us / 1e3)
        assert len(row.algorithms) == len(row.layers) == len(each.layers)
        assert (row.map_bytes > 0) == (len(each.layers) > 1)
        assert row.peak_memory_bytes is None


def test_memory_of_a_chain_is_what_was_stated() -> None:
    layer = square("5x5", 64, 96, 64, 5)
    stack = alt.stack(layer)
    assert stack is not None
    row = measure_chains([stack], min_time=0.001, rounds=1)[0]
    stated = row.stated_bytes
    assert row.map_bytes == 4 * 64 * 96 * 96
    assert row.peak_memory_bytes == pytest.approx(stated, rel=0.1, abs=1 << 20)
    assert chain.peak_memory(stack, "float64") == pytest.approx(2 * stated, rel=0.2, abs=1 << 20)
