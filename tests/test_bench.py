"""The measurement package: statistics on a made-up clock, memory of known allocations, layers, baselines, the study."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import _core
from fastconv.bench import baselines, compare, diff, image, layers, networks, peak
from fastconv.bench.layers import KINDS, ODD, TABLES, NamedLayer, square
from fastconv.bench.measure import Timing, measure
from fastconv.bench.memory import measure_growth
from fastconv.bench.peers import memory as peers_memory
from fastconv.bench.peers.case import Case
from fastconv.bench.peers.own import FastConv

MIB = 1 << 20


class Clock:
    """Time that passes only while a callable made by `takes` runs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def takes(self, name: str, *seconds: float) -> Callable[[], None]:
        durations = itertools.cycle(seconds)

        def call() -> None:
            self.calls.append(name)
            self.now += next(durations)

        return call


def test_timing_statistics() -> None:
    timing = Timing((4.0, 1.0, 2.0, 3.0, 5.0))
    assert timing.median == 3.0
    assert timing.quartiles == (2.0, 4.0)
    assert timing.best == 1.0
    assert timing.noisy
    assert not Timing((1.0, 1.01, 1.02, 1.03, 5.0)).noisy, "one outlier does not make a timing noisy"
    assert Timing((7.0,)).quartiles == (7.0, 7.0)


def test_measure_finds_the_time_per_call() -> None:
    clock = Clock()
    timings = measure(
        {"fast": clock.takes("fast", 1e-5), "slow": clock.takes("slow", 3e-2)}, min_time=0.15, rounds=15, clock=clock
    )
    assert timings["fast"].median == pytest.approx(1e-5)
    assert timings["slow"].median == pytest.approx(3e-2)
    assert len(timings["fast"].samples) == 15
    assert timings["fast"].calls == 1000, "a sample fills min_time / rounds"
    assert timings["slow"].calls == 1
    assert timings["fast"].calls * 15 * 1e-5 >= 0.15 * 0.999


def test_measure_takes_turns_and_turns_around() -> None:
    clock = Clock()
    names = "abc"
    measure({name: clock.takes(name, 0.02) for name in names}, min_time=0.04, rounds=4, clock=clock)
    assert "".join(clock.calls) == "abc" + "abc" + "cba" + "abc" + "cba", "a warm-up call each, then four rounds"


def test_measure_spreads_the_rounds_of_the_slow() -> None:
    clock = Clock()
    timings = measure(
        {"fast": clock.takes("f", 0.01), "slow": clock.takes("s", 0.1)}, min_time=0.1, rounds=10, clock=clock
    )
    assert len(timings["fast"].samples) == 10
    assert len(timings["slow"].samples) == 3, "three times min_time is its limit"
    turns = "".join(clock.calls)[2:]
    assert turns.count("s") == 3
    assert "ss" not in turns


def test_measure_calls_the_slowest_twice_and_counts_the_second() -> None:
    clock = Clock()
    timings = measure({"slowest": clock.takes("slowest", 12.0, 9.0)}, min_time=0.1, clock=clock)
    assert timings["slowest"].samples == (9.0,)
    assert clock.calls == ["slowest"] * 2


def test_what_is_done_once_is_no_sample() -> None:
    """Packing the weights of a dense matrix takes longer than all calls that follow."""
    clock = Clock()
    durations = itertools.chain([0.7], itertools.repeat(0.02))

    def packs_at_first() -> None:
        clock.now += next(durations)

    timing = measure({"x": packs_at_first}, min_time=0.1, rounds=5, clock=clock)["x"]
    assert timing.samples == pytest.approx((0.02,) * 5)


def test_measure_ignores_a_slow_first_call() -> None:
    clock = Clock()
    durations = iter([0.005])
    inner = clock.takes("x", 1e-3)

    def first_call_starts_threads() -> None:
        clock.now += next(durations, 0.0)
        inner()

    timing = measure({"x": first_call_starts_threads}, min_time=0.15, rounds=15, clock=clock)["x"]
    assert timing.calls == 10
    assert timing.median == pytest.approx(1e-3)


@pytest.mark.parametrize(("options", "name"), [({"min_time": 0.0}, "min_time"), ({"rounds": 0}, "rounds")])
def test_measure_refuses_bad_options(options: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        measure({}, **options)  # type: ignore[arg-type]


# Convolutions, multiply-adds in 10^9 and weights in 10^6: the totals that torchvision's documentation gives for its
# models (RepLKNet: its paper's table), less the fully connected layers and, of the weights, less the norms'.
PUBLISHED = {
    "alexnet": (5, 0.656, 2.47),
    "vgg16": (13, 15.35, 14.71),
    "resnet50": (53, 4.09, 23.45),
    "inception_v3": (94, 5.71, 21.75),
    "mobilenet_v2": (52, 0.300, 2.19),
    "resnext50": (53, 4.23, 22.9),
    "densenet121": (120, 2.83, 6.87),
    "efficientnet_b0": (81, 0.39, 3.97),
    "convnext_t": (58, 4.46, 27.8),
    "replknet_31b": (130, 15.3, 78.3),
}


@pytest.mark.parametrize("network", PUBLISHED)
def test_networks_count_what_their_papers_say(network: str) -> None:
    convolutions, multiply_adds, weights = PUBLISHED[network]
    every = networks.layers(network)
    assert len(every) == convolutions
    assert sum(layer.problem().multiply_adds for layer in every) / 1e9 == pytest.approx(multiply_adds, rel=0.02)
    assert sum(math.prod(layer.weight_shape) for layer in every) / 1e6 == pytest.approx(weights, rel=0.01)


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_rows_of_networks_are_sound(network: str) -> None:
    rows = networks.NETWORKS[network]
    assert set(rows) == set(networks.layers(network))
    assert len({row.name for row in rows}) == len(rows), "a name says all that is different"
    assert {row.kind for row in rows} <= set(KINDS)


def test_networks_hold_the_tables_of_their_name() -> None:
    def geometries(rows: tuple[NamedLayer, ...]) -> set[NamedLayer]:
        return {replace(row, name="", kind="") for row in rows if not row.name.startswith("AlexNet")}

    tables = {"resnet50_3x3": "resnet50", "resnet50_1x1": "resnet50", "vgg16_3x3": "vgg16", "resnext50": "resnext50",
              "inception_v3": "inception_v3", "mobilenet_v2_depthwise": "mobilenet_v2",
              "mobilenet_v2_1x1": "mobilenet_v2", "efficientnet_depthwise": "efficientnet_b0",
              "convnext_depthwise": "convnext_t"}  # fmt: skip
    for table, network in tables.items():
        assert geometries(TABLES[table]) <= geometries(networks.NETWORKS[network]), table


def test_classes_of_tables_and_networks_agree() -> None:
    for table in ("first", "resnet50_3x3", "resnet50_1x1", "mobilenet_v2_depthwise", "inception_v3", "large_kernels"):
        for row in TABLES[table]:
            if row.C > 1:
                assert networks.kind_of(row) == row.kind, row


def run_of(peak: float = 100.0, /, **times: tuple[float, float, float]) -> dict[str, Any]:
    """A record with one layer: quartiles and median per engine, in microseconds."""
    entries = [
        {"engine": name.replace("_", " "), "time_first_quartile_us": first, "time_median_us": median,
         "time_third_quartile_us": third, "noisy": False}
        for name, (first, median, third) in times.items()
    ]  # fmt: skip
    return {"cpu": "x", "layers": [{"name": "layer", "peak_gflop_per_s": peak, "entries": entries}]}


@pytest.mark.parametrize(
    ("after", "verdict", "factor"),
    [
        (run_of(fastconv=(95, 100, 105)), "same", 1.0),
        (run_of(fastconv=(104, 110, 120)), "same", 1.1),
        (run_of(fastconv=(145, 150, 155)), "slower", 1.5),
        (run_of(fastconv=(45, 50, 55)), "faster", 0.5),
        (run_of(50.0, fastconv=(190, 200, 210)), "same", 1.0),
        (run_of(50.0, fastconv=(95, 100, 105)), "faster", 0.5),
    ],
)
def test_diff_takes_the_drift_of_the_peak_out(after: dict[str, Any], verdict: str, factor: float) -> None:
    found = diff.difference(run_of(fastconv=(95, 100, 105)), after)
    assert [change.verdict for change in found.changes] == [verdict]
    assert found.factor == pytest.approx(factor)
    assert found.unlike == {}


def test_diff_trusts_other_engines_more_than_the_peak() -> None:
    before = run_of(fastconv=(99, 100, 101), fastconv_direct=(99, 100, 101), PyTorch=(99, 100, 101), ncnn=(9, 10, 11))
    after = run_of(
        50.0, fastconv=(99, 100, 101), fastconv_direct=(49, 50, 51), PyTorch=(99, 100, 101), ncnn=(9, 10, 11)
    )
    assert diff.difference(before, after).changes[0].verdict == "same"
    assert diff.difference(before, after, "fastconv direct").changes[0].verdict == "faster"


def test_diff_names_what_cannot_be_compared() -> None:
    one, other = run_of(fastconv=(1, 1, 1)), run_of(fastconv=(1, 1, 1))
    other["layers"].append({**other["layers"][0], "name": "new"})
    other["isa"] = "avx2"
    found = diff.difference(one, other)
    assert (found.only_before, found.only_after) == ((), ("new",))
    assert found.unlike == {"isa": (None, "avx2")}
    with pytest.raises(ValueError, match="engine"):
        diff.difference(one, other, "PyTorch")
    with pytest.raises(ValueError, match="after: expected what fastconv bench --json writes"):
        diff.difference(one, {"parts": []})


def allocate(first_mib: int, second_mib: int) -> Iterator[None]:
    kept = [np.ones(5 * MIB, np.uint8)]  # before the first yield: not counted
    yield
    kept.append(np.ones(first_mib * MIB, np.uint8))
    yield
    np.ones(second_mib * MIB, np.uint8)  # freed at once: only a high-water mark sees it


def fail(how: str) -> Iterator[None]:
    yield
    if how == "raise":
        raise ValueError("no such thing")
    os._exit(3)


def test_memory_sees_known_allocations() -> None:
    growth = measure_growth(allocate, 16, 48)
    assert growth.stages[0] == pytest.approx(16 * MIB, abs=MIB // 2)
    assert growth.stages[1] == pytest.approx(48 * MIB, abs=MIB // 2)
    assert growth.peak == pytest.approx(64 * MIB, abs=MIB // 2)


def test_memory_reports_what_went_wrong() -> None:
    with pytest.raises(RuntimeError, match="ValueError: no such thing"):
        measure_growth(fail, "raise")
    with pytest.raises(RuntimeError, match="exit code 3"):
        measure_growth(fail, "die")


@pytest.mark.parametrize("algorithm", ["im2col", "winograd", "direct"])
def test_measured_memory_is_the_stated_memory(algorithm: str) -> None:
    layer = square("64->64 @112 3x3", 64, 112, 64, 3)
    problem = layer.problem()
    growth = compare.peak_memory(algorithm, layer, "float32")
    packed, workspace = _core.packed_bytes(algorithm, problem), _core.workspace_bytes(algorithm, problem)
    assert growth.stages[0] <= packed + MIB // 2
    assert growth.stages[1] <= workspace + MIB // 2


MEMORY_LAYERS = (
    *layers.RESNET50_3X3[:1], *layers.RESNET50_3X3[3:5], *layers.RESNET50_1X1[10:12], layers.VGG16_3X3[6],
    layers.RESNEXT50[5], layers.INCEPTION_V3[0], layers.DILATED[3], layers.LARGE_KERNELS[1], layers.LARGE_KERNELS[5],
    layers.BATCHES[0],
)  # fmt: skip


@pytest.mark.parametrize("layer", MEMORY_LAYERS, ids=str)
def test_the_memory_column_is_what_the_system_saw(layer: NamedLayer) -> None:
    engine, case = FastConv(), Case(layer, threads=1)
    with fastconv.num_threads(1):
        stated = engine.stated_memory(layer, case.dtype, case.layout)
        measured = peers_memory.peak_memory(engine, case)
    assert measured == pytest.approx(stated, rel=0.1, abs=MIB)


@pytest.mark.parametrize("table", TABLES)
def test_layer_tables_are_sound(table: str) -> None:
    for layer in TABLES[table]:
        problem = layer.problem()
        assert problem.input_shape == layer.input_shape
        assert problem.weight_shape == layer.weight_shape
        assert problem.output_shape == fastconv.conv_output_shape(
            layer.input_shape, layer.weight_shape, **layer.options
        )
        assert min(problem.output_shape) >= 1


def test_layer_names_are_unique() -> None:
    names = [layer.name for table in TABLES.values() for layer in table]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("layer", ODD, ids=str)
@pytest.mark.parametrize("baseline", baselines.BASELINES)
def test_baselines_and_float64_agree_with_fastconv(baseline: str, layer: NamedLayer) -> None:
    pytest.importorskip(baselines.BASELINES[baseline].module)
    x, w = layer.random_input(np.float64), layer.random_weight(np.float64)
    expected = fastconv.conv2d(x, w, **layer.options, algorithm="reference")
    exact = baselines.float64_result(x, w, layer)
    assert baselines.max_error_over_rms(expected, exact) < 1e-14
    assert baselines.max_error_over_rms(baselines.BASELINES[baseline].run(x, w, layer), exact) < 1e-13


def test_the_benchmark_suites_run(tmp_path: Path) -> None:
    """One layer by pytest-benchmark; its figures are those that a comparison of two runs needs."""
    kept = tmp_path / "kept.json"
    suite = Path(__file__).parents[1] / "benchmarks" / "bench_layers.py"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(suite),
        "-k",
        "tiny",
        "--benchmark-only",
        f"--benchmark-json={kept}",
        "--benchmark-max-time=0.01",
        "--benchmark-min-rounds=2",
    ]
    # Among the suite's workers pytest-benchmark would take this run, too, for one of theirs, and not measure.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [run for run in json.loads(kept.read_text())["benchmarks"] if run["group"] == "tiny 8->8 @8 3x3"]
    assert len(runs) > 3
    for run in runs:
        info = run["extra_info"]
        assert info["isa"] in fastconv.available_isas()
        assert info["gflop_per_s"] == pytest.approx(2 * info["multiply_adds"] / run["stats"]["median"] / 1e9)
        assert 0 <= info["max_error_over_rms"] < 1e-5
        assert info["tensor_bytes"] > 0 and info["workspace_bytes"] >= 0


def test_max_error_over_rms() -> None:
    exact = np.array([3.0, -4.0, 5.0, -1.0])
    assert baselines.max_error_over_rms(exact, exact) == 0.0
    y = exact + np.array([0.0, 0.5, 0.0, -0.1])
    assert baselines.max_error_over_rms(y, exact) == pytest.approx(0.5 / np.sqrt(51 / 4))


def test_slow_baselines_are_skipped_and_say_so() -> None:
    layer = square("8->8 @16", 8, 16, 8, 3)
    x, w = layer.random_input(), layer.random_weight()
    baseline = baselines.BASELINES["numpy tensordot"]
    assert baseline.obstacle(x, w, layer, limit=60.0) is None
    assert "one run would take about" in (baseline.obstacle(x, w, layer, limit=1e-9) or "")


def test_photograph_fills_any_number_of_channels() -> None:
    pytest.importorskip("PIL")
    pytest.importorskip("matplotlib")
    photograph = image.load(image.default_photograph())
    x = image.as_input(photograph, (2, 8, 30, 41), "float32")
    assert x.shape == (2, 8, 30, 41)
    assert x.dtype == np.float32
    assert float(x.mean()) == pytest.approx(0, abs=1e-4)
    assert float(x.std()) == pytest.approx(1, abs=1e-4)
    planes = x.reshape(16, -1)
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(planes, 2))
    # Real content: neighbouring pixels resemble each other, which those of noise do not.
    neighbours = [float(np.corrcoef(p[:, 1:].ravel(), p[:, :-1].ravel())[0, 1]) for p in x.reshape(16, 30, 41)]
    assert np.median(neighbours) > 0.7


def test_study_has_a_row_for_everyone() -> None:
    layer = square("3x3", 8, 12, 16, 3)
    x, w = layer.random_input(), layer.random_weight()
    effort = compare.Effort(min_time=0.002, rounds=3, memory=False)
    algorithms = fastconv.algorithms()
    study = compare.study(layer, x, w, algorithms=algorithms, effort=effort)
    assert [row.name for row in study.rows] == [*algorithms, compare.CALL, *baselines.BASELINES]
    problem = layer.problem()
    for row in study.rows[: len(algorithms)]:
        reason = _core.rejects(row.name, problem)
        assert (row.status, row.reason) == (("measured", None) if reason is None else ("refused", reason))
    measured = [row for row in study.rows if row.status == "measured"]
    assert all(row.max_error_over_rms is not None and row.max_error_over_rms < 3e-5 for row in measured)
    for row in measured:
        assert row.gflop_per_s == pytest.approx(2 * problem.multiply_adds / (row.time_median_us or 0) / 1e3)
        assert row.share_of_peak == pytest.approx((row.gflop_per_s or 0) / study.peak_best_gflop_per_s)
    assert [row.name for row in measured if row.is_auto] == [study.auto]
    assert sum(row.is_fastest for row in measured) == 1
    assert study.dense_weights == 16 * 12 * 12 * 8 * 12 * 12


def test_peak_and_gemm_of_one_run() -> None:
    isa = fastconv.available_isas()[-1]
    rows = peak.gemm_shares(isa, threads=1, size=128, min_time=0.02)
    assert [row.dtype for row in rows] == list(peak.DTYPES)
    for row in rows:
        assert row.gemm_gflops_first_quartile <= row.gemm_gflops_median <= row.gemm_gflops_third_quartile
        assert row.share_of_peak == row.gemm_gflops_median / row.peak_gflops_median
        # Of a machine that is busy with other tests no more can be said, but units have to be the same.
        assert 0.02 < row.gemm_gflops_best / row.peak_gflops_best < 20


def test_bandwidth_levels() -> None:
    sets = peak.working_sets(threads=1)
    assert list(sets.values()) == sorted(sets.values())
    levels = peak.bandwidths(1, seconds=0.002, repeats=1)
    assert [level.level for level in levels] == list(sets)
    assert all(min(level.read_gb_per_s, level.write_gb_per_s, level.copy_gb_per_s) > 0.1 for level in levels)
