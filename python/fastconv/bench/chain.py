"""Layers one after the other: what they add up to, and how long they take against other chains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fastconv import _core
from fastconv.arguments import Array
from fastconv.bench.compare import small_like, warmed_up
from fastconv.bench.layers import NamedLayer
from fastconv.bench.measure import Timing, measure
from fastconv.bench.memory import measure_growth
from fastconv.dispatch import choose
from fastconv.prepared import Conv2d


@dataclass(frozen=True)
class Chain:
    """Layers of which each takes the outputs of the one before; nothing stands between them.

    Attributes:
        source: Where the idea comes from; "" for the layer as it is.
    """

    name: str
    layers: tuple[NamedLayer, ...]
    source: str = ""

    def __post_init__(self) -> None:
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if before.problem().output_shape != after.input_shape:
                raise ValueError(
                    f"{self.name}: {before.name} gives {before.problem().output_shape}, "
                    f"{after.name} takes {after.input_shape}"
                )

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.layers[0].input_shape

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.layers[-1].problem().output_shape

    @property
    def weights(self) -> int:
        return sum(math.prod(layer.weight_shape) for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Taps in the padding included."""
        return sum(layer.problem().multiply_adds for layer in self.layers)

    @property
    def receptive_field(self) -> tuple[int, int]:
        """Input pixels, in height and width, that one output sees."""
        field, step = [1, 1], [1, 1]
        for layer in self.layers:
            for axis in (0, 1):
                field[axis] += (layer.receptive_field[axis] - 1) * step[axis]
                step[axis] *= layer.stride[axis]
        return field[0], field[1]

    def map_bytes(self, dtype: str = "float32") -> int:
        """Of all maps between the layers."""
        return sum(layer.problem(dtype).output_bytes for layer in self.layers[:-1])


@dataclass(frozen=True)
class ChainRow:
    """What a chain adds up to, and what was measured.

    Attributes:
        algorithms: That "auto" picked, layer by layer, with their variants.
        noisy: See :data:`fastconv.bench.measure.NOISY_SPREAD`.
        packed_weight_bytes: Exact, of all layers.
        workspace_bytes: Exact; the largest of the layers', which run one after the other.
        map_bytes: Of all maps between the layers; each is kept, as a caller who names them does.
        peak_memory_bytes: Measured growth of a fresh process above input, weights and output: packed weights, maps and
            workspace; None if not measured.
    """

    name: str
    source: str
    layers: tuple[str, ...]
    algorithms: tuple[str, ...]
    weights: int
    multiply_adds: int
    receptive_field: tuple[int, int]
    time_median_us: float
    time_first_quartile_us: float
    time_third_quartile_us: float
    noisy: bool
    gflop_per_s: float
    packed_weight_bytes: int
    workspace_bytes: int
    map_bytes: int
    peak_memory_bytes: int | None

    @property
    def stated_bytes(self) -> int:
        """Exact: packed weights, workspace, maps."""
        return self.packed_weight_bytes + self.workspace_bytes + self.map_bytes


def measure_chains(
    chains: Sequence[Chain],
    *,
    dtype: str = "float32",
    min_time: float = 0.1,
    rounds: int = 11,
    memory: bool = True,
    on_step: Callable[[str], None] = lambda step: None,
    on_row: Callable[[], object] = lambda: None,
) -> list[ChainRow]:
    """Time chains against each other, by "auto" with weights packed beforehand, with the present ISA and threads.

    Args:
        chains: Their names differ. Each gets standard normal images; layers further on get what comes out.
        dtype: "float32" or "float64".
        min_time, rounds: As in :func:`fastconv.bench.measure.measure`.
        memory: Whether to measure peak memory, too.
        on_step: Told what is going on, now and then.
        on_row: Called when a row is complete.
    Returns:
        A row per chain, in the order given.
    """
    calls = {chain.name: prepared(chain, dtype) for chain in chains}
    timings = measure(calls, min_time=min_time, rounds=rounds, on_sample=on_step)
    rows = []
    for chain in chains:
        on_step(f"memory of {chain.name}")
        rows.append(_row(chain, dtype, timings[chain.name], peak_memory(chain, dtype) if memory else None))
        on_row()
    return rows


def memory_needed(chains: Sequence[Chain], dtype: str) -> int:
    """Bytes that measuring them takes at least: all are prepared before the first is timed."""
    item = np.dtype(dtype).itemsize
    total = 0
    for chain in chains:
        problems = [layer.problem(dtype) for layer in chain.layers]
        total += problems[0].input_bytes + chain.weights * item + sum(problem.output_bytes for problem in problems)
        total += sum(_core.packed_bytes(choose(problem, prepared=True).algorithm, problem) for problem in problems)
    first = chains[0].layers[0].problem(dtype)
    return total + first.input_bytes // item * 8  # random images are float64 at first


def prepared(chain: Chain, dtype: str) -> Callable[[], object]:
    """A call that computes the whole chain into arrays made beforehand, weights packed."""
    x: Array = chain.layers[0].random_input(dtype)
    steps: list[tuple[Conv2d, Array, Array]] = []
    for layer in chain.layers:
        y = np.zeros(layer.problem(dtype).output_shape, dtype)
        steps.append((Conv2d(layer.random_weight(dtype), **layer.options), x, y))
        x = y

    def call() -> None:
        for op, before, after in steps:
            op(before, out=after)

    return call


def _row(chain: Chain, dtype: str, timing: Timing, peak: int | None) -> ChainRow:
    problems = [layer.problem(dtype) for layer in chain.layers]
    chosen = [choose(problem, prepared=True).algorithm for problem in problems]
    first, third = timing.quartiles
    pairs = list(zip(chosen, problems, strict=True))
    return ChainRow(
        name=chain.name,
        source=chain.source,
        layers=tuple(layer.name for layer in chain.layers),
        algorithms=tuple(f"{name} {_core.variant(name, problem)}".strip() for name, problem in pairs),
        weights=chain.weights,
        multiply_adds=chain.multiply_adds,
        receptive_field=chain.receptive_field,
        time_median_us=timing.median * 1e6,
        time_first_quartile_us=first * 1e6,
        time_third_quartile_us=third * 1e6,
        noisy=timing.noisy,
        gflop_per_s=2 * chain.multiply_adds / timing.median / 1e9,
        packed_weight_bytes=sum(_core.packed_bytes(name, problem) for name, problem in pairs),
        workspace_bytes=max(_core.workspace_bytes(name, problem) for name, problem in pairs),
        map_bytes=chain.map_bytes(dtype),
        peak_memory_bytes=peak,
    )


def peak_memory(chain: Chain, dtype: str) -> int | None:
    """Growth of a fresh process above input, weights and output; None if it could not be measured."""
    try:
        return measure_growth(_work, chain, dtype, _core.get_isa(), _core.get_num_threads()).peak
    except (TimeoutError, RuntimeError):
        return None


def _work(chain: Chain, dtype: str, isa: str, threads: int) -> Iterator[None]:
    small = [Chain(layer.name, (small_like(layer),)) for layer in chain.layers]
    yield from warmed_up(partial(_stages, [chain], dtype), partial(_stages, small, dtype), dtype, isa, threads)


def _stages(chains: Sequence[Chain], dtype: str) -> Iterator[None]:
    made = []
    for chain in chains:
        x = np.ones(chain.input_shape, dtype)
        weights = [np.ones(layer.weight_shape, dtype) for layer in chain.layers]
        made.append((chain, x, weights, np.ones(chain.layers[-1].problem(dtype).output_shape, dtype)))
    yield
    for chain, x, weights, y in made:
        # Plans keep packed weights alone; a Conv2d keeps the user's, too, which are not the chain's cost.
        problems = [layer.problem(dtype) for layer in chain.layers]
        plans = [
            _core.Plan(problem, choose(problem, prepared=True).algorithm, w)
            for problem, w in zip(problems, weights, strict=True)
        ]
        maps = [x, *(np.empty(problem.output_shape, dtype) for problem in problems[:-1]), y]
        for plan, before, after in zip(plans, maps, maps[1:], strict=False):
            plan(before, after)
