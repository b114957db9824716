"""The study of one layer: every algorithm, and two baselines, timed against each other, with memory and error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastconv import _core
from fastconv.arguments import BALANCED, Array, Limits
from fastconv.bench.baselines import BASELINES, Baseline, float64_result, max_error_over_rms
from fastconv.bench.layers import NamedLayer
from fastconv.bench.measure import Timing, measure
from fastconv.bench.memory import Growth, measure_growth
from fastconv.bench.peak import PeakProbe
from fastconv.conv import conv2d
from fastconv.dispatch import choose, for_one_call
from fastconv.isa import use_isa
from fastconv.numerics import error_bound
from fastconv.prepared import Conv2d
from fastconv.threads import num_threads

CALL = "conv2d()"
"""The row of the plain function: it chooses, packs the weights and runs, at every call."""

_PEAK = "peak"


@dataclass(frozen=True)
class Row:
    """One algorithm, the plain call, or a baseline on one layer. None where there is no such figure.

    Attributes:
        name: Name of the algorithm or baseline.
        kind: "algorithm" (weights packed beforehand), "call" (packed at each call) or "baseline".
        status: "measured", "refused" (by the algorithm) or "skipped" (too slow, or not installed).
        reason: Why it was refused or skipped.
        variant: The inner choice the algorithm makes; of the plain call, the algorithm.
        is_auto: Whether `algorithm="auto"` picks it once weights are packed beforehand.
        is_fastest: Whether its median is the lowest among the layer's algorithms with packed weights.
        workspace_bytes: Exact scratch memory of a call, as the core states it.
        packed_weight_bytes: Exact size of the weights in the algorithm's order.
        peak_memory_bytes: Measured growth of a fresh process's resident set above inputs, weights and output, from
            before the weights are packed until the call returns.
        peak_memory_call_bytes: The same for the call alone, packed weights already made.
        peak_memory_note: How it was measured, or why not.
        max_error_over_rms: Largest absolute error against float64, over the output's root mean square.
        error_bound_over_rms: What :mod:`fastconv.numerics` states for it, for normal inputs and weights.
    """

    name: str
    kind: str
    status: str = "measured"
    reason: str | None = None
    variant: str = ""
    is_auto: bool = False
    is_fastest: bool = False
    time_median_us: float | None = None
    time_first_quartile_us: float | None = None
    time_third_quartile_us: float | None = None
    time_best_us: float | None = None
    samples: int = 0
    calls_per_sample: int = 0
    noisy: bool = False
    gflop_per_s: float | None = None
    share_of_peak: float | None = None
    workspace_bytes: int | None = None
    packed_weight_bytes: int | None = None
    peak_memory_bytes: int | None = None
    peak_memory_call_bytes: int | None = None
    peak_memory_note: str | None = None
    max_error_over_rms: float | None = None
    error_bound_over_rms: float | None = None


@dataclass(frozen=True)
class LayerStudy:
    """All rows of one layer, and what holds for each of them.

    Attributes:
        peak_best_gflop_per_s: The best FMA peak among the turns, which shares refer to: a neighbour on one core halves
            the peak of two threads for the time of a probe, while a short call slips through.
    """

    layer: NamedLayer
    dtype: str
    weights: int
    multiply_adds: int
    dense_weights: int
    dense_bytes: int
    output_shape: tuple[int, int, int, int]
    auto: str
    auto_reason: str
    peak_best_gflop_per_s: float
    peak_median_gflop_per_s: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Attributes:
        min_time: Seconds per algorithm and layer, at least.
        rounds: Samples per algorithm and layer.
        memory: Whether to measure peak memory.
        baselines: Whether to run NumPy's and SciPy's ways too.
        slowest: Skip a baseline, or a memory measurement, of which one run takes more seconds than this.
    """

    min_time: float = 0.1
    rounds: int = 11
    memory: bool = True
    baselines: bool = True
    slowest: float = 2.0


def study(
    layer: NamedLayer,
    x: Array,
    w: Array,
    *,
    algorithms: Sequence[str],
    effort: Effort,
    limits: Limits = BALANCED,
    on_step: Callable[[str], None] = lambda step: None,
) -> LayerStudy:
    """Compare the algorithms on one layer, with the present ISA and threads.

    Args:
        layer: The layer.
        x: Images of its input shape.
        w: Filters of its weight shape, the dtype of `x`.
        algorithms: Names from :func:`fastconv.algorithms`.
        effort: How much to measure.
        limits: What errors algorithms may trade for speed.
        on_step: Told what is going on, now and then.
    Returns:
        One row per algorithm in the order given, then the plain call, then the baselines.
    """
    problem = limits.problem(layer.problem(x.dtype))
    P, Q = problem.output_shape[2:]
    auto = choose(problem, prepared=True, max_error=limits.most)
    refusals = {name: reason for name in algorithms if (reason := _core.rejects(name, problem)) is not None}

    results: dict[str, Array] = {}
    callables: dict[str, Callable[[], object]] = {}
    for name in algorithms:
        if name not in refusals:
            results[name] = np.empty(problem.output_shape, x.dtype)
            callables[name] = _prepared_call(layer, x, w, name, limits, results[name])
    results[CALL] = np.empty(problem.output_shape, x.dtype)
    callables[CALL] = lambda: conv2d(x, w, **layer.options, **limits.options, out=results[CALL])
    obstacles: dict[str, str] = {}
    for name, baseline in BASELINES.items() if effort.baselines else ():
        on_step(f"{layer}: how long {name} takes")
        if (obstacle := baseline.obstacle(x, w, layer, effort.slowest)) is not None:
            obstacles[name] = obstacle
        else:
            callables[name] = partial(_keep_result, results, baseline, x, w, layer)
    probe = PeakProbe(problem.dtype)
    callables[_PEAK] = probe
    timings = measure(
        callables,
        min_time=effort.min_time,
        rounds=effort.rounds,
        on_sample=lambda name: on_step(f"{layer}: {name}"),
    )
    prepared = [name for name in algorithms if name in timings]
    fastest = min(prepared, key=lambda name: timings[name].median, default=None)

    on_step(f"{layer}: float64 result")
    exact = float64_result(x, w, layer)
    errors = {name: max_error_over_rms(y, exact) for name, y in results.items()}

    rows = []
    for name in (*algorithms, CALL, *(BASELINES if effort.baselines else ())):
        kind = "call" if name == CALL else "baseline" if name in BASELINES else "algorithm"
        if name in refusals or name in obstacles:
            status, reason = ("refused", refusals[name]) if name in refusals else ("skipped", obstacles[name])
            rows.append(Row(name, kind, status=status, reason=reason))
            continue
        on_step(f"{layer}: memory of {name}")
        rows.append(
            Row(
                name,
                kind,
                is_auto=name == auto.algorithm,
                is_fastest=name == fastest,
                max_error_over_rms=errors[name],
                **_time_fields(timings[name], problem.multiply_adds, probe.best),
                **_stated(name, problem, limits),
                **_measured_memory(name, layer, problem.dtype, limits, timings[name].median, effort),
            )
        )
    dense_weights = layer.K * P * Q * layer.C * layer.H * layer.W
    return LayerStudy(
        layer=layer,
        dtype=problem.dtype,
        weights=w.size,
        multiply_adds=problem.multiply_adds,
        dense_weights=dense_weights,
        dense_bytes=dense_weights * x.dtype.itemsize,
        output_shape=problem.output_shape,
        auto=auto.algorithm,
        auto_reason=auto.reason,
        peak_best_gflop_per_s=probe.best,
        peak_median_gflop_per_s=probe.median,
        rows=tuple(rows),
    )


def memory_needed(layer: NamedLayer, dtype: str, algorithms: Sequence[str], limits: Limits = BALANCED) -> int:
    """Bytes that a study of the layer takes at least, the making of its input from a photograph among them.

    Raises:
        ValueError: No algorithm keeps the limits.
    """
    problem = limits.problem(layer.problem(dtype))
    auto = choose(problem, prepared=True, max_error=limits.most).algorithm
    taking = [name for name in {auto: None} | dict.fromkeys(algorithms) if _core.rejects(name, problem) is None]
    item = np.dtype(dtype).itemsize
    images, filters = problem.input_bytes // item, problem.weight_bytes // item
    return (
        images * (3 * 8 + item)  # planes, the whole of them, the same at mean 0: float64; and as the layer takes it
        + filters * (8 + item)
        + problem.output_bytes * (len(taking) + 1)
        + problem.output_bytes // item * 8  # the result in float64
        + sum(_core.packed_bytes(name, problem) for name in taking)
        + max((_core.workspace_bytes(name, problem) for name in taking), default=0)
    )


def _prepared_call(
    layer: NamedLayer, x: Array, w: Array, algorithm: str, limits: Limits, y: Array
) -> Callable[[], object]:
    op = Conv2d(w, **layer.options, algorithm=algorithm, **(limits.options if algorithm == "winograd" else {}))
    return lambda: op(x, out=y)


def _keep_result(results: dict[str, Array], baseline: Baseline, x: Array, w: Array, layer: NamedLayer) -> None:
    results[baseline.name] = baseline.run(x, w, layer)


def _time_fields(timing: Timing, multiply_adds: int, peak: float) -> dict[str, Any]:
    first, third = timing.quartiles
    gflop_per_s = 2 * multiply_adds / timing.median / 1e9
    return {
        "time_median_us": timing.median * 1e6,
        "time_first_quartile_us": first * 1e6,
        "time_third_quartile_us": third * 1e6,
        "time_best_us": timing.best * 1e6,
        "samples": len(timing.samples),
        "calls_per_sample": timing.calls,
        "noisy": timing.noisy,
        "gflop_per_s": gflop_per_s,
        "share_of_peak": gflop_per_s / peak,
    }


def _stated(name: str, problem: _core.Problem, limits: Limits) -> dict[str, Any]:
    if name in BASELINES:
        return {}
    if name == CALL:
        problem = for_one_call(problem)
    algorithm = choose(problem, prepared=False, max_error=limits.most).algorithm if name == CALL else name
    variant = _core.variant(algorithm, problem)
    return {
        "variant": algorithm if name == CALL else variant,
        "error_bound_over_rms": error_bound(algorithm, problem),
        "workspace_bytes": _core.workspace_bytes(algorithm, problem),
        "packed_weight_bytes": _core.packed_bytes(algorithm, problem),
    }


def _measured_memory(
    name: str, layer: NamedLayer, dtype: str, limits: Limits, seconds: float, effort: Effort
) -> dict[str, Any]:
    if not effort.memory:
        return {"peak_memory_note": "not asked for"}
    if seconds > effort.slowest:
        return {"peak_memory_note": f"not measured: one run takes {seconds:.1f} s"}
    try:
        growth = peak_memory(name, layer, dtype, limits)
    except (TimeoutError, RuntimeError) as error:
        return {"peak_memory_note": f"not measured: {error}"}
    return {
        "peak_memory_bytes": growth.peak,
        "peak_memory_call_bytes": growth.stages[-1],
        "peak_memory_note": growth.method,
    }


def peak_memory(name: str, layer: NamedLayer, dtype: str, limits: Limits = BALANCED) -> Growth:
    """Measure, in a fresh process, what a row adds to inputs, weights and output.

    Args:
        name: An algorithm (stages: packing the weights, the call), `CALL` or a baseline (one stage: the call).
        layer: The layer.
        dtype: "float32" or "float64".
        limits: What errors it may trade for speed.
    Returns:
        The growth; without the output, which the process holds beforehand, or which a baseline makes itself.
    """
    growth = measure_growth(_work, name, layer, dtype, limits, _core.get_isa(), _core.get_num_threads())
    if name not in BASELINES:
        return growth
    output = layer.problem(dtype).output_bytes
    return Growth(tuple(max(0, stage - output) for stage in growth.stages), max(0, growth.peak - output), growth.method)


def _work(name: str, layer: NamedLayer, dtype: str, limits: Limits, isa: str, threads: int) -> Iterator[None]:
    yield from warmed_up(
        partial(_stages, name, layer, dtype, limits),
        partial(_stages, name, small_like(layer), dtype, limits),
        dtype, isa, threads,
    )  # fmt: skip


def warmed_up(
    stages: Callable[[], Iterator[None]], small: Callable[[], Iterator[None]], dtype: str, isa: str, threads: int
) -> Iterator[None]:
    """The stages of a memory measurement, after small ones of the same kind.

    Code is then paged in and threads have started before anything is counted. The small ones run in a thread that ends:
    a thread keeps its workspace for the next call, which would hide as much of the growth.
    """
    with use_isa(isa), num_threads(threads):
        _core.fma_peak(dtype, 1e-3)  # the small layer may be done before it wakes a second thread
        first = threading.Thread(target=lambda: list(small()))
        first.start()
        first.join()
        yield from stages()


def _stages(name: str, layer: NamedLayer, dtype: str, limits: Limits) -> Iterator[None]:
    x, w = np.ones(layer.input_shape, dtype), np.ones(layer.weight_shape, dtype)
    if name in BASELINES:
        yield
        BASELINES[name].run(x, w, layer)
        return
    y = np.ones(layer.problem(dtype).output_shape, dtype)
    yield
    if name == CALL:
        conv2d(x, w, **layer.options, **limits.options, out=y)
    else:
        plan = _core.Plan(limits.problem(layer.problem(dtype)), name, w)
        yield
        plan(x, y)


def small_like(layer: NamedLayer) -> NamedLayer:
    """A layer of the same kind whose tensors take next to no memory."""
    groups = min(layer.groups, 8)
    C, K = (min(8, extent // layer.groups) * groups for extent in (layer.C, layer.K))
    H, W = (field + 4 * step for field, step in zip(layer.receptive_field, layer.stride, strict=True))
    return replace(layer, N=1, C=C, H=H, W=W, K=K, groups=groups)
