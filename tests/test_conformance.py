"""Every algorithm on every instruction set and dtype computes every layer it accepts.

Right is what NumPy gets in float64, within the bound that `fastconv.numerics` states. A case is an algorithm, an ISA
and a dtype; it runs all layers of the table, and a failure lists the layers. Who accepts which layer is pinned in
test_acceptance.py, so that nothing is passed over unseen.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import fastconv
from fastconv import _core, dispatch
from fastconv.arguments import LAYOUTS
from fastconv.bench.baselines import float64_result, max_error_over_rms
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import in_layout
from fastconv.numerics import error_bound
from fastconv.testing.data import guarded, guarded_like, small_integers
from fastconv.testing.edge_cases import CUT, EDGE_CASES

pytestmark = [
    pytest.mark.parametrize("dtype", ["float32", "float64"]),
    pytest.mark.parametrize("isa", fastconv.available_isas()),
    pytest.mark.parametrize("algorithm", fastconv.algorithms()),
]


@pytest.fixture(autouse=True)
def _isa(isa):
    with fastconv.use_isa(isa):
        yield


def accepted(algorithm, dtype, table=EDGE_CASES):
    layers = [layer for layer in table if _core.rejects(algorithm, layer.problem(dtype)) is None]
    assert layers, f"{algorithm} accepts no layer"
    return layers


def fail_with(failures):
    assert not failures, f"{len(failures)} failed:\n" + "\n".join(failures)


@functools.cache
def normal_case(layer: NamedLayer, dtype: str):
    x, w = layer.random_input(dtype), layer.random_weight(dtype)
    return x, w, float64_result(x, w, layer)


@functools.cache
def integer_case(layer: NamedLayer, dtype: str):
    x = small_integers(layer.input_shape, dtype, 2)
    w = small_integers(layer.weight_shape, dtype, 3)
    b = small_integers((layer.K,), dtype, 4)
    return x, w, b, float64_result(x, w, layer) + b.astype(np.float64)[:, None, None]


def bound_of(algorithm, problem):
    bound = error_bound(algorithm, problem)
    # Spectra of large kernels are closer to exact than the sums, in float64, that they are compared with.
    return bound + error_bound("direct", problem) if algorithm == "fft" and problem.dtype == "float64" else bound


def is_exact_on_integers(algorithm, problem):
    """All but the FFT and Winograd's variants, F(2x2,3x3) excepted. Their weights are transformed with roots, or with
    reciprocals of products of differences of points, which are no finite binary fractions: every product is rounded.
    F(2x2,3x3) has the points 0 and +-1, so the worst it does to an integer is to divide it by four.
    """
    return algorithm not in ("winograd", "fft") or _core.variant(algorithm, problem) == "F(2x2,3x3)"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_agrees_with_float64(algorithm, isa, dtype, layout):
    failures = []
    for layer in accepted(algorithm, dtype):
        problem = layer.problem(dtype)
        x, w, exact = normal_case(layer, dtype)
        x, exact = in_layout(x, layout), in_layout(exact, layout)
        # NaN around each array: reading outside shows in the result, writing outside in the guard.
        x_, w_, y_ = guarded(x), guarded(w), guarded_like(exact.shape, dtype)
        fastconv.conv2d(x_.array, w_.array, **layer.options, algorithm=algorithm, layout=layout, out=y_.array)
        error, bound = max_error_over_rms(y_.array, exact), bound_of(algorithm, problem)
        if not error <= bound:
            failures.append(f"{layer}: error {error:.3g}, bound {bound:.3g}")
        if y_.broken() or x_.broken() or w_.broken():
            failures.append(f"{layer}: wrote outside an array")
        if not (np.array_equal(x_.array, x) and np.array_equal(w_.array, w)):
            failures.append(f"{layer}: changed its input")
    fail_with(failures)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_small_integers_are_exact(algorithm, isa, dtype, layout):
    """Sums of small integers round nowhere: a tap too many or too few cannot hide in a tolerance."""
    failures, exact_ones = [], 0
    for layer in accepted(algorithm, dtype):
        problem = layer.problem(dtype)
        x, w, b, exact = integer_case(layer, dtype)
        options = {**layer.options, "algorithm": algorithm, "activation": ("clip", -40, 60), "layout": layout}
        y = fastconv.conv2d(in_layout(x, layout), w, b, **options)
        expected = in_layout(np.clip(exact, -40, 60), layout)
        if is_exact_on_integers(algorithm, problem):
            exact_ones += 1
            wrong = np.argwhere(y != expected)
            if wrong.size:
                failures.append(f"{layer}: {len(wrong)} of {y.size} differ, the first at {tuple(map(int, wrong[0]))}")
        elif not np.abs(y - expected).max(initial=0) < 0.01:
            failures.append(f"{layer}: off by {np.abs(y - expected).max():.3g}")
    assert exact_ones or algorithm == "fft"
    fail_with(failures)


ACTIVATIONS = {
    None: lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "relu6": lambda y: np.clip(y, 0, 6),
    ("clip", -0.5, 0.75): lambda y: np.clip(y, -0.5, 0.75),
    "leaky_relu": lambda y: np.where(y < 0, 0.01 * y, y),
    ("leaky_relu", 0.2): lambda y: np.where(y < 0, 0.2 * y, y),
    "hardswish": lambda y: y * np.clip(y + 3, 0, 6) / 6,
    "sigmoid": lambda y: 1 / (1 + np.exp(-y)),
    "silu": lambda y: y / (1 + np.exp(-y)),
    "tanh": np.tanh,
}
# No activation is steeper than 1.1 (silu, hardswish: 1.5), so the sum's error comes out at most that much larger; the
# functions themselves add a few units in the last place of values of the size of the sum.
STEEPEST, OWN_ERROR = 1.5, 8.0


def test_bias_and_activations(algorithm, isa, dtype):
    names = (
        "primes, 11->17 @13x19 3x3",
        "one over a vector, 33->65 @6x5 3x3",
        "asymmetric padding and stride, 5x3",
        "padding over the kernel, 1x1",
        "3 groups, 9->6 1x1",
        "depthwise 3x3 by stride 2",
        "depthwise 5x5 by 2, twofold",
        "depthwise 2x2 by stride 3",
        "17 images, 3->5 1x1",
        "one output of 53 images in 2 groups, 60->70 @2x1 2x1",
        "3 images, 5->6 3x3",
        "no images, 3x3",
    )
    table = [layer for layer in EDGE_CASES if layer.name in names]
    assert len(table) == len(names)
    failures = []
    for layer in accepted(algorithm, dtype, table):
        problem = layer.problem(dtype)
        x, w, exact = normal_case(layer, dtype)
        b = np.random.default_rng(5).standard_normal(layer.K).astype(dtype)
        sums = exact + b.astype(np.float64)[:, None, None]
        scale = float(np.sqrt(np.mean(np.square(sums)))) if sums.size else 1.0
        eps = float(np.finfo(dtype).eps)
        largest = float(np.abs(sums).max(initial=1.0))
        tolerance = STEEPEST * bound_of(algorithm, problem) * scale + OWN_ERROR * eps * largest
        for activation, function in ACTIVATIONS.items():
            for layout in LAYOUTS:
                options = {**layer.options, "algorithm": algorithm, "activation": activation, "layout": layout}
                y = fastconv.conv2d(in_layout(x, layout), w, b, **options)
                error = float(np.abs(y - in_layout(function(sums), layout)).max(initial=0))
                if not error <= tolerance:
                    failures.append(f"{layer}, {activation}, {layout}: error {error:.3g}, tolerance {tolerance:.3g}")
    fail_with(failures)


def test_prepared_and_one_shot_agree_bit_for_bit(algorithm, isa, dtype):
    failures = []
    for layer in accepted(algorithm, dtype):
        x, w, _ = normal_case(layer, dtype)
        b = np.random.default_rng(5).standard_normal(layer.K).astype(dtype)
        options = {**layer.options, "algorithm": algorithm, "activation": "silu"}
        y = fastconv.conv2d(x, w, b, **options)
        op = fastconv.Conv2d(w, b, **options)
        if not (np.array_equal(op(x), y) and np.array_equal(op(x), y)):
            failures.append(str(layer))
    fail_with(failures)


def test_the_same_bits_for_1_2_and_3_threads(algorithm, isa, dtype):
    table = [*EDGE_CASES[:6], *CUT]
    failures = []
    for layer in accepted(algorithm, dtype, table):
        x, w, _ = normal_case(layer, dtype)
        op = fastconv.Conv2d(w, **layer.options, algorithm=algorithm)
        with fastconv.num_threads(1):
            one = op(x)
        for threads in (2, 3):
            with fastconv.num_threads(threads):
                if not np.array_equal(op(x), one):
                    failures.append(f"{layer}: {threads} threads")
                if not np.array_equal(fastconv.conv2d(x, w, **layer.options, algorithm=algorithm), one):
                    failures.append(f"{layer}: {threads} threads, packed in the call")
    fail_with(failures)


def test_workspace_limit(algorithm, isa, dtype):
    """What is stated is enough, a byte less is refused; that a call takes no more than stated is test_memory.py's."""
    failures = []
    for threads in (1, 3):
        with fastconv.num_threads(threads):
            for layer in accepted(algorithm, dtype):
                problem = layer.problem(dtype)
                x, w, _ = normal_case(layer, dtype)
                needed = dispatch.scratch_bytes(algorithm, problem, prepared=False)
                assert needed > 0, layer  # packed weights at the least
                options = {**layer.options, "algorithm": algorithm}
                fastconv.conv2d(x, w, **options, workspace_limit=needed)
                try:
                    fastconv.conv2d(x, w, **options, workspace_limit=needed - 1)
                    failures.append(f"{layer}: ran with {needed - 1} bytes, stated {needed}")
                except ValueError as error:
                    if f"needs {needed} bytes" not in str(error):
                        failures.append(f"{layer}: {error}")
                chosen = dispatch.choose(problem, prepared=False, workspace_limit=needed).algorithm
                if dispatch.scratch_bytes(chosen, problem, prepared=False) > needed:
                    failures.append(f"{layer}: auto takes {chosen}, which needs more than {needed} bytes")
    fail_with(failures)
