"""Peak memory of a call is its output and the workspace it states; measured from outside, in a fresh process."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import _core, numerics
from fastconv.bench.layers import NamedLayer, square
from fastconv.bench.memory import measure_growth
from fastconv.bench.networks import SETS

MIB = 1 << 20

# Outputs and workspaces of several MiB, so that a copy of either would show.
LAYERS = {
    "pointwise": NamedLayer("32->48 @300 1x1 by 2", 32, 300, 300, 48, 1, 1, stride=(2, 2)),
    "matvec": NamedLayer("64->40 @60 60x60", 64, 60, 60, 40, 60, 60),
    "depthwise": square("depthwise 48 @200 3x3", 48, 200, 48, 3, groups=48),
    "grouped": square("grouped 48 @200 3x3", 48, 200, 48, 3, groups=12),
    "winograd": square("64->64 @112 3x3", 64, 112, 64, 3),
    "fft": square("16->20 @260 15x15", 16, 260, 20, 15),
    "direct": square("24->40 @160 5x5", 24, 160, 40, 5),
    "im2col": square("24->40 @160 5x5", 24, 160, 40, 5),
    "dense": square("3->8 @30 3x3", 3, 30, 8, 3),
    "reference": square("2->16 @250 3x3", 2, 250, 16, 3),
}


def first_call(layer, dtype, algorithm, threads):
    """Pages in the code and starts the threads on a small layer, and leaves no workspace."""
    small = NamedLayer("", 4 * layer.groups, 40, 40, 4 * layer.groups, layer.R, layer.S, groups=layer.groups)
    if layer.groups > 1:
        small = NamedLayer("", 4, 80, 80, 4, layer.R, layer.S, stride=layer.stride, groups=4)
    if algorithm == "matvec":
        small = NamedLayer("", 4, 40, 40, 40, 40, 40)
    if algorithm == "dense":
        small = NamedLayer("", 2, 12, 12, 2, layer.R, layer.S)

    with fastconv.num_threads(threads):
        fastconv.conv2d(small.random_input(dtype), small.random_weight(dtype), **small.options, algorithm=algorithm)
    fastconv.release_memory()
    _core.fma_peak(dtype, 1e-3)


def one_call(layer, dtype, algorithm, threads, isa):
    with fastconv.use_isa(isa), fastconv.num_threads(threads):
        first_call(layer, dtype, algorithm, threads)
        x, w = layer.random_input(dtype), layer.random_weight(dtype)
        yield
        y = fastconv.conv2d(x, w, **layer.options, algorithm=algorithm)
        assert np.isfinite(y[0, 0, 0, 0])


def prepared_calls(layer, dtype, algorithm, threads, isa):
    with fastconv.use_isa(isa), fastconv.num_threads(threads):
        first_call(layer, dtype, algorithm, threads)
        x, w = layer.random_input(dtype), layer.random_weight(dtype)
        op = fastconv.Conv2d(w, **layer.options, algorithm=algorithm)
        y = op(x)
        yield
        for _ in range(3):  # memory that every call leaves behind would add up
            op(x, out=y)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("algorithm", fastconv.algorithms())
def test_a_call_takes_its_output_and_the_stated_workspace(algorithm, threads):
    layer = LAYERS[algorithm]
    problem = layer.problem()
    with fastconv.num_threads(threads):
        stated = _core.workspace_bytes(algorithm, problem) + _core.packed_bytes(algorithm, problem)
    expected = problem.output_bytes + stated
    growth = measure_growth(one_call, layer, "float32", algorithm, threads, _core.get_isa())
    tolerance = max(MIB, expected // 10)
    report = f"{layer}: {growth.peak} bytes, output {problem.output_bytes} and {stated} of workspace and packed weights"
    assert growth.peak <= expected + tolerance, report
    if threads == 1:  # of two, one may do all the tasks before the other wakes, whose slice is then never touched
        assert growth.peak >= expected - tolerance, report


@pytest.mark.parametrize("algorithm", fastconv.algorithms())
def test_a_prepared_call_takes_no_more_than_the_workspace(algorithm):
    """And into `out` nothing at all beside it: the workspace itself may still be there from the call before."""
    layer = LAYERS[algorithm]
    with fastconv.num_threads(2):
        stated = _core.workspace_bytes(algorithm, layer.problem())
    growth = measure_growth(prepared_calls, layer, "float32", algorithm, 2, _core.get_isa())
    assert growth.peak <= stated + max(MIB, stated // 10)


def test_a_limit_holds_for_what_is_measured():
    layer = LAYERS["winograd"]
    problem = layer.problem()
    with fastconv.num_threads(2):
        limit = min(
            _core.workspace_bytes(name, problem) + _core.packed_bytes(name, problem) for name in ("direct", "im2col")
        )
    growth = measure_growth(limited_call, layer, limit, _core.get_isa())
    assert growth.peak <= problem.output_bytes + limit + MIB


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("accuracy", ["balanced", "fast"])
def test_winograds_threads_take_less_than_5_mib_on_every_layer_of_the_tables(accuracy, dtype):
    """Beside the packed weights. Layers: docs/algorithms.md states it."""
    seen = 0
    for layer in dict.fromkeys(layer for layers in SETS.values() for layer in layers):
        problem = layer.problem(dtype).with_error_limit(numerics.ACCURACIES[accuracy])
        if _core.rejects("winograd", problem) is None:
            seen += 1
            for threads in (1, 2):
                with fastconv.num_threads(threads):
                    assert _core.workspace_bytes("winograd", problem) < 5 * MIB * threads, str(layer)
    assert seen > 100


def test_winograd_refuses_more_channels_than_a_blocks_memory_has_room_for():
    problem = NamedLayer("", 40000, 8, 8, 16, 3, 3, dilation=(4, 4), padding=((4, 4), (4, 4))).problem()
    assert "too many channels" in _core.rejects("winograd", problem)


def limited_call(layer, limit, isa):
    with fastconv.use_isa(isa), fastconv.num_threads(2):
        first_call(layer, "float32", "direct", 2)
        x, w = layer.random_input(), layer.random_weight()
        yield
        fastconv.conv2d(x, w, **layer.options, workspace_limit=limit)
