"""accuracy= and max_error=: what may run, what is expected of it, and whether it keeps to that."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fastconv
from fastconv import _core, numerics
from fastconv.bench.layers import NamedLayer

# One layer for each of Winograd's variants; with tails, padding and channels that fill no vector.
VARIANTS = {
    "F(2x2,3x3)": NamedLayer("a", 1, 2, 2, 24, 3, 3, N=9, padding=((1, 1), (1, 1))),
    "F(3x3,3x3)": NamedLayer("b", 1, 3, 3, 24, 3, 3, padding=((1, 1), (1, 1))),
    "F(4x4,3x3)": NamedLayer("c", 1, 8, 8, 24, 3, 3, padding=((1, 1), (1, 1))),
    "F(6x6,3x3)": NamedLayer("d", 1, 24, 24, 24, 3, 3, padding=((1, 1), (1, 1))),
    "F(2x2,5x5)": NamedLayer("e", 1, 6, 6, 24, 5, 5, N=9),
    "F(4x4,5x5)": NamedLayer("f", 1, 22, 22, 24, 5, 5, padding=((2, 2), (2, 2))),
    "F(2x2,7x7)": NamedLayer("g", 1, 20, 20, 24, 7, 7, padding=((3, 3), (3, 3))),
    "F(1x4,1x3)": NamedLayer("h", 1, 20, 22, 24, 1, 3, padding=((0, 0), (1, 1))),
    "F(4x1,3x1)": NamedLayer("i", 1, 22, 20, 24, 3, 1, padding=((1, 1), (0, 0))),
    "F(1x4,1x5)": NamedLayer("j", 1, 20, 22, 24, 1, 5, padding=((0, 0), (2, 2))),
    "F(4x1,5x1)": NamedLayer("k", 1, 22, 20, 24, 5, 1, padding=((2, 2), (0, 0))),
    "F(1x2,1x7)": NamedLayer("l", 1, 20, 8, 24, 1, 7),
    "F(2x1,7x1)": NamedLayer("m", 1, 8, 20, 24, 7, 1),
    "F(1x4,1x7)": NamedLayer("n", 1, 20, 22, 24, 1, 7, padding=((0, 0), (3, 3))),
    "F(4x1,7x1)": NamedLayer("o", 1, 22, 20, 24, 7, 1, padding=((3, 3), (0, 0))),
    "F(4x4,2x2) of 4 phases": NamedLayer("p", 1, 32, 32, 24, 3, 3, stride=(2, 2), padding=((1, 1), (1, 1))),
    "F(4x4,3x3) of 4 phases": NamedLayer("q", 1, 32, 32, 24, 5, 5, stride=(2, 2), padding=((2, 2), (2, 2))),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_errors_are_as_expected(variant):
    seen = 0
    for C in (4, 40, 260):
        layer = dataclasses.replace(VARIANTS[variant], C=C)
        problem = layer.problem("float32").with_error_limit(1000.0)
        if _core.variant("winograd", problem) != variant:
            continue
        seen += 1
        x, w = layer.random_input("float32"), layer.random_weight("float32")
        y = _core.run_once(problem, "winograd", None, x, w, None, None)
        exact = fastconv.conv2d(x.astype(float), w.astype(float), **layer.options, algorithm="direct")
        errors = (y - exact) / np.sqrt(np.mean(exact**2))
        expected = numerics.expected_error("winograd", problem)
        assert expected / 3 < np.sqrt(np.mean(errors**2)) < 1.5 * expected
        assert np.abs(errors).max() < numerics.error_bound("winograd", problem)
    assert seen


@pytest.mark.parametrize("kernel", [3, 7, 15, 31])
@pytest.mark.parametrize("C", [1, 16, 64])
def test_errors_of_spectra_are_as_expected(C, kernel):
    layer = NamedLayer("x", C, 60, 60, 8, kernel, kernel, padding=((kernel // 2, kernel // 2),) * 2)
    problem = layer.problem("float32")
    x, w = layer.random_input("float32"), layer.random_weight("float32")
    y = fastconv.conv2d(x, w, **layer.options, algorithm="fft")
    exact = fastconv.conv2d(x.astype(float), w.astype(float), **layer.options, algorithm="direct")
    errors = (y - exact) / np.sqrt(np.mean(exact**2))
    expected = numerics.expected_error("fft", problem)
    assert expected / 2 < np.sqrt(np.mean(errors**2)) < 1.5 * expected
    assert np.abs(errors).max() < numerics.error_bound("fft", problem)


SHAPES = (1, 256, 28, 28), (256, 256, 3, 3)


def test_names_are_limits_of_the_expected_error():
    for accuracy, limit in numerics.ACCURACIES.items():
        e = fastconv.explain(*SHAPES, padding=1, prepared=True, accuracy=accuracy)
        assert e.problem.error_limit == limit
        winograd = next(r for r in e.reports if r.algorithm == "winograd")
        assert accuracy != "strict" or "needs an error limit of" in next(
            r.reason for r in e.reports if r.algorithm == "fft"
        )
        if accuracy == "strict":
            assert e.chosen != "winograd" and "needs an error limit of" in winograd.reason
        else:
            assert e.chosen == "winograd"
            assert winograd.expected_error <= limit * 2.0**-23


def test_balanced_stays_under_3e_6_up_to_512_channels():
    for C in (16, 64, 128, 256, 512):
        for kernel, stride in (((3, 3), 1), ((5, 5), 1), ((1, 7), 1), ((3, 3), 2)):
            e = fastconv.explain((1, C, 28, 28), (C, C, *kernel), stride, prepared=True)
            assert all(
                r.expected_error is None or r.expected_error < 3e-6 for r in e.reports if r.algorithm == e.chosen
            )


def test_fast_takes_larger_tiles():
    def variant(accuracy):
        e = fastconv.explain((1, 128, 48, 48), (128, 128, 3, 3), padding=1, prepared=True, accuracy=accuracy)
        return next(r.variant for r in e.reports if r.algorithm == "winograd")

    assert (variant("balanced"), variant("fast")) == ("F(4x4,3x3)", "F(6x6,3x3)")


@pytest.mark.parametrize("max_error", [1e-3, 3e-5, 1.5e-5, 5e-6])
def test_a_largest_error_rules_out_what_may_be_further_off(max_error):
    e = fastconv.explain(*SHAPES, padding=1, prepared=True, max_error=max_error)
    for report in e.reports:
        if report.reason is None:
            assert numerics.error_bound(report.algorithm, e.problem) <= max_error
    assert next(r.reason for r in e.reports if r.algorithm == e.chosen) is None


def test_no_algorithm_is_good_enough():
    x, w = np.ones((1, 4, 8, 8), np.float32), np.ones((4, 4, 3, 3), np.float32)
    with pytest.raises(ValueError, match=r"^max_error: expected at least \S+, which 'reference' keeps here, got 1e-09"):
        fastconv.conv2d(x, w, max_error=1e-9)
    with pytest.raises(ValueError, match="may be off by"):
        fastconv.conv2d(x, w, max_error=1e-7, algorithm="im2col")


def test_operators_and_calls_keep_to_it():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 64, 48, 48)).astype(np.float32)
    w = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    strict = fastconv.conv2d(x, w, algorithm="direct")
    exact = fastconv.conv2d(x.astype(float), w.astype(float), algorithm="direct")
    for _ in range(2):  # the second call is a remembered one
        assert np.array_equal(fastconv.conv2d(x, w, accuracy="strict"), strict)
        assert not np.array_equal(fastconv.conv2d(x, w), strict)
        within = fastconv.conv2d(x, w, max_error=7.2e-6)
        assert np.abs(within - exact).max() < 7.2e-6 * np.sqrt(np.mean(exact**2))
    op = fastconv.Conv2d(w, accuracy="strict")
    assert np.array_equal(op(x), strict)
    assert "accuracy='strict'" in repr(op)
    assert op.explain(x.shape).chosen == "direct"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"accuracy": "best"}, ValueError, r"^accuracy: expected one of strict, balanced, fast, got 'best'"),
        ({"accuracy": 1}, TypeError, r"^accuracy: expected one of strict, balanced, fast, got 1"),
        ({"max_error": "small"}, TypeError, r"^max_error: expected a number or None, got 'small'"),
        ({"max_error": True}, TypeError, r"^max_error: expected a number or None, got True"),
        ({"max_error": 0}, ValueError, r"^max_error: expected a number over 0, got 0"),
        ({"max_error": float("nan")}, ValueError, r"^max_error: expected a number over 0, got nan"),
        ({"max_error": 1e-5, "accuracy": "fast"}, ValueError, r"^max_error: expected None beside accuracy='fast'"),
    ],
)
def test_refusals(options, error, message):
    x, w = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 3, 3), np.float32)
    for call in (lambda: fastconv.conv2d(x, w, **options), lambda: fastconv.Conv2d(w, **options)):
        with pytest.raises(error, match=message):
            call()


def test_a_variant_can_be_named():
    layer = VARIANTS["F(4x4,3x3)"]
    layer = dataclasses.replace(layer, C=20, H=15, W=13)
    problem = layer.problem("float32")
    x, w = layer.random_input("float32"), layer.random_weight("float32")
    exact = fastconv.conv2d(x.astype(float), w.astype(float), **layer.options, algorithm="direct")
    numbers = _core.variants("winograd", problem)
    assert list(numbers) == ["F(2x2,3x3)", "F(3x3,3x3)", "F(4x4,3x3)", "F(6x6,3x3)"]
    for name, number in numbers.items():
        named = problem.with_variant(number)
        assert _core.variant("winograd", named) == name
        assert name == _core.details("winograd", named).partition(":")[0]
        y = _core.run_once(named, "winograd", None, x, w, None, None)
        largest = np.abs(y - exact).max() / np.sqrt(np.mean(exact**2))
        assert 0 < largest < numerics.error_bound("winograd", named)
    assert "needs one of its variants that take the layer" in _core.rejects("winograd", problem.with_variant(99))
    assert _core.variants("direct", problem) == {} and _core.details("direct", problem) is None


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_of_large_layers_written_past_the_caches(dtype, isa):
    layer = NamedLayer("", 16, 260, 320, 48, 3, 3, padding=((1, 1), (1, 1)))  # whole lines, and more than 16 MiB
    problem = layer.problem(dtype)
    assert problem.input_bytes + problem.output_bytes > 16 << 20
    x, w, bias = layer.random_input(dtype), layer.random_weight(dtype), np.linspace(-2, 2, 48, dtype=dtype)
    options = {**layer.options, "activation": "relu"}
    expected = fastconv.conv2d(x, w, bias, **options, algorithm="im2col")
    with fastconv.use_isa(isa):
        op = fastconv.Conv2d(w, bias, **options, algorithm="winograd")
        memory = np.empty(expected.size + 64, dtype)
        aligned = -memory.ctypes.data % 64 // memory.itemsize
        for offset in (aligned, aligned + 1, aligned + 7):
            for threads in (1, 2):
                memory[:] = np.nan
                y = memory[offset : offset + expected.size].reshape(expected.shape)
                with fastconv.num_threads(threads):
                    op(x, out=y)
                assert np.isnan(memory[:offset]).all() and np.isnan(memory[offset + expected.size :]).all()
                assert np.abs(y - expected).max() < 2 * numerics.error_bound("winograd", problem) * np.std(expected)
        rows = fastconv.Conv2d(w, bias, **layer.options, activation="tanh", algorithm="winograd")(x)
        assert np.abs(rows - np.tanh(fastconv.conv2d(x, w, bias, **layer.options))).max() < 1e-4
