"""The policy: which algorithm runs which layer, why, and on what that does not depend."""

import numpy as np
import pytest

import fastconv
from fastconv import _core, dispatch, programs
from fastconv.arguments import as_layer
from fastconv.dispatch import choose


def layer(input_shape, weight_shape, dtype="float32", **options):
    return as_layer(input_shape, weight_shape, **options, dtype=dtype).problem


LAYERS = {
    "first 7x7 stride 2": layer((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3),
    "1x1": layer((1, 64, 56, 56), (256, 64, 1, 1)),
    "1x1 stride 2": layer((1, 256, 56, 56), (512, 256, 1, 1), stride=2),
    "3x3, 64 channels": layer((1, 64, 56, 56), (64, 64, 3, 3), padding=1),
    "3x3, 256 channels": layer((1, 256, 28, 28), (256, 256, 3, 3), padding=1),
    "3x3 on few pixels": layer((1, 512, 2, 2), (512, 512, 3, 3), padding=1),
    "3x3, 3 channels": layer((1, 3, 224, 224), (32, 3, 3, 3), padding=1),
    "3x3, 8 filters": layer((1, 64, 56, 56), (8, 64, 3, 3), padding=1),
    "3x3 stride 2": layer((1, 64, 56, 56), (128, 64, 3, 3), stride=2, padding=1),
    "3x3 dilated": layer((1, 64, 56, 56), (64, 64, 3, 3), dilation=2, padding=2),
    "3x3 in groups": layer((1, 128, 28, 28), (128, 4, 3, 3), groups=32, padding=1),
    "depthwise": layer((1, 128, 28, 28), (128, 1, 3, 3), groups=128, padding=1),
    "depthwise, two filters each": layer((1, 64, 28, 28), (128, 1, 5, 5), groups=64, padding=2),
    "depthwise 1x1": layer((1, 64, 28, 28), (64, 1, 1, 1), groups=64),
    "5x5": layer((1, 48, 35, 35), (64, 48, 5, 5), padding=2),
    "one channel 31x31": layer((1, 1, 512, 512), (1, 1, 31, 31), padding=15),
    "one channel 7x7": layer((1, 1, 512, 512), (1, 1, 7, 7), padding=3),
    "depthwise 31x31": layer((1, 128, 56, 56), (128, 1, 31, 31), groups=128, padding=15),
    "11x11": layer((1, 32, 56, 56), (32, 32, 11, 11), padding=5),
    "1x7": layer((1, 64, 17, 17), (64, 64, 1, 7), padding=(0, 3)),
    "one pixel": layer((1, 16, 1, 1), (16, 16, 1, 1)),
    "kernel as large as the image": layer((4, 64, 7, 7), (256, 64, 7, 7)),
}

# (weights packed beforehand, weights packed at each call)
EXPECTED = {
    "1x1": ("pointwise", "pointwise"),
    "1x1 stride 2": ("pointwise", "pointwise"),
    "one pixel": ("matvec", "matvec"),
    "kernel as large as the image": ("matvec", "matvec"),
    "3x3, 64 channels": ("winograd", "winograd"),
    "3x3, 256 channels": ("winograd", "winograd"),
    "3x3 on few pixels": ("direct", "direct"),
    "3x3 stride 2": ("winograd", "winograd"),
    "3x3 dilated": ("winograd", "winograd"),
    "5x5": ("winograd", "winograd"),
    "1x7": ("winograd", "winograd"),
    "depthwise": ("depthwise", "depthwise"),
    "depthwise, two filters each": ("depthwise", "depthwise"),
    "depthwise 1x1": ("depthwise", "depthwise"),
    "one channel 31x31": ("fft", "fft"),
    "one channel 7x7": ("depthwise", "depthwise"),
    "depthwise 31x31": ("fft", "fft"),
    "11x11": ("fft", "fft"),
    "3x3 in groups": ("grouped", "grouped"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_kernel_sizes_with_an_algorithm_of_their_own(name):
    prepared, unprepared = EXPECTED[name]
    assert choose(LAYERS[name], prepared=True).algorithm == prepared
    assert choose(LAYERS[name], prepared=False).algorithm == unprepared


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("name", sorted(LAYERS.keys() - EXPECTED.keys()))
def test_all_other_layers_run_direct_or_im2col_whichever_is_cheaper(name, prepared):
    problem = LAYERS[name]
    costs = {algorithm: _core.cost(algorithm, problem, prepared) for algorithm in ("direct", "im2col")}
    assert choose(problem, prepared=prepared).algorithm == min(costs, key=costs.get)


def test_few_pixels_do_not_pay_for_transforming_the_weights():
    problem = layer((1, 512, 6, 6), (512, 512, 3, 3), padding=1)
    assert choose(problem, prepared=True).algorithm == "winograd"
    assert choose(problem, prepared=False).algorithm in ("direct", "im2col")


def test_a_single_call_takes_the_variant_that_is_fastest_with_its_packing():
    problem = layer((1, 512, 14, 14), (512, 512, 3, 3), padding=1)
    called = dispatch.for_one_call(problem)
    assert _core.variant("winograd", problem) == "F(4x4,3x3)"
    assert _core.variant("winograd", called) == "F(2x2,3x3)"
    assert _core.cost("winograd", called, False) < _core.cost("winograd", problem, False)
    assert choose(called, prepared=False).algorithm == "winograd"
    assert fastconv.explain(problem.input_shape, problem.weight_shape, padding=1).problem == called
    strict = problem.with_error_limit(0.0)
    assert dispatch.for_one_call(strict) == strict


def test_without_winograd_the_cheaper_of_the_others_runs():
    for name in ("3x3, 64 channels", "5x5", "3x3 dilated"):
        problem = LAYERS[name].with_error_limit(0.0)
        costs = {algorithm: _core.cost(algorithm, problem, True) for algorithm in ("direct", "im2col")}
        assert choose(problem, prepared=True).algorithm == min(costs, key=costs.get)


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_chosen_accepts_the_layer_and_has_a_reason(name, prepared):
    choice = choose(LAYERS[name], prepared=prepared)
    assert _core.rejects(choice.algorithm, LAYERS[name]) is None
    assert choice.algorithm not in ("reference", "dense")
    assert choice == next(rule[:2] for rule in dispatch.RULES if rule[:2] == choice)


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_the_number_of_threads_changes_nothing(name, prepared):
    choices = set()
    for n in (1, 2, 3, 16):
        with fastconv.num_threads(n):
            choices.add(choose(LAYERS[name], prepared=prepared))
    assert len(choices) == 1


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_a_limit_is_kept_and_nothing_is_given_up_early(name, prepared):
    """From no limit downwards, each limit one byte below what the last choice needed, until nothing fits."""
    problem, limit, seen = LAYERS[name], None, []
    accepting = [algorithm for algorithm in _core.algorithms() if _core.rejects(algorithm, problem) is None]
    least = min(dispatch.scratch_bytes(algorithm, problem, prepared) for algorithm in accepting)
    while limit is None or limit >= least:
        choice = choose(problem, prepared=prepared, workspace_limit=limit)
        needed = dispatch.scratch_bytes(choice.algorithm, problem, prepared)
        assert limit is None or needed <= limit
        seen.append(choice.algorithm)
        limit = needed - 1
    assert limit == least - 1
    assert len(seen) == len(set(seen))
    if limit >= 0:
        message = rf"^workspace_limit: expected at least {least} bytes, which '\w+' needs here, got {limit}$"
        with pytest.raises(ValueError, match=message):
            choose(problem, prepared=prepared, workspace_limit=limit)


def test_packed_weights_count_only_if_they_are_made_in_the_call():
    problem = LAYERS["3x3, 64 channels"]
    workspace, packed = _core.workspace_bytes("winograd", problem), _core.packed_bytes("winograd", problem)
    assert packed > 0
    assert choose(problem, prepared=True, workspace_limit=workspace).algorithm == "winograd"
    assert choose(problem, prepared=False, workspace_limit=workspace + packed).algorithm == "winograd"
    assert choose(problem, prepared=False, workspace_limit=workspace + packed - 1).algorithm != "winograd"


def test_rules_name_algorithms_and_each_has_a_last_resort():
    assert {rule.algorithm for rule in dispatch.RULES} == set(_core.algorithms())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conv2d_runs_what_the_policy_says(monkeypatch, dtype):
    ran, run_once = [], programs.run_once
    monkeypatch.setattr(
        programs, "run_once", lambda program, *rest: ran.extend(program.algorithms) or run_once(program, *rest)
    )
    _core.forget()
    fastconv.conv2d(np.ones((1, 8, 9, 9), dtype), np.ones((8, 8, 1, 1), dtype))
    fastconv.conv2d(np.ones((1, 8, 9, 9), dtype), np.ones((8, 1, 3, 3), dtype), groups=8)
    fastconv.conv2d(np.ones((1, 8, 9, 9), dtype), np.ones((8, 8, 1, 1), dtype), algorithm="im2col")
    assert ran == ["pointwise", "depthwise", "im2col"]
