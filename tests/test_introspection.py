"""Answers without data: explain, rejects, output shapes, the configuration."""

import math
import pickle
import re
import tracemalloc

import numpy as np
import pytest

import fastconv
from fastconv import _core, numerics
from fastconv.introspection import quantity


def by_name(explanation):
    return {report.algorithm: report for report in explanation.reports}


def test_explanation_states_the_problem():
    e = fastconv.explain((2, 64, 56, 56), (128, 32, 3, 3), stride=2, padding="same", groups=2, dtype="float64")
    assert e.output_shape == e.problem.output_shape == (2, 128, 28, 28)
    assert e.multiply_adds == 2 * 128 * 28 * 28 * 32 * 9
    assert e.weights == 128 * 32 * 9
    assert (e.input_bytes, e.weight_bytes, e.output_bytes) == (
        2 * 64 * 56 * 56 * 8,
        128 * 32 * 9 * 8,
        2 * 128 * 28 * 28 * 8,
    )
    assert (e.isa, e.threads) == (_core.get_isa(), fastconv.get_num_threads())
    assert (e.prepared, e.workspace_limit) == (False, None)
    assert [report.algorithm for report in e.reports] == list(fastconv.algorithms())
    assert e.chosen in ("direct", "im2col", "winograd")
    assert e.why


def test_every_report_is_complete_or_a_refusal():
    e = fastconv.explain((1, 16, 20, 20), (16, 16, 3, 3), padding=1)
    reports = by_name(e)
    assert {name for name, report in reports.items() if report.reason} == {"pointwise", "matvec", "depthwise"}
    for name, report in reports.items():
        assert report.reason == _core.rejects(name, e.problem)
        figures = (
            report.cost_us,
            report.workspace_bytes,
            report.packed_bytes,
            report.multiply_adds,
            report.expected_error,
        )
        if report.reason:
            assert figures == (None,) * 5 and report.variant is None
        else:
            assert report.cost_us > 0 and report.expected_error > 0
            assert report.cost_us == _core.cost(name, e.problem, False)
            assert report.workspace_bytes == _core.workspace_bytes(name, e.problem)
            assert report.packed_bytes == _core.packed_bytes(name, e.problem)


def test_multiply_adds_are_those_of_the_algorithm():
    e = fastconv.explain((2, 80, 20, 23), (8, 80, 3, 3), padding=1)
    reports = by_name(e)
    definition = 2 * 8 * 20 * 23 * 80 * 9
    assert reports["direct"].multiply_adds == reports["reference"].multiply_adds == e.multiply_adds == definition
    assert reports["dense"].multiply_adds == 2 * (8 * 20 * 23) * (80 * 20 * 23)
    # F(4x4,3x3): 36 products for 16 outputs instead of 144, whole tiles: 5 x 6 of them.
    assert reports["winograd"].variant == "F(4x4,3x3)"
    assert reports["winograd"].multiply_adds == 2 * (5 * 6 * 36) * 8 * 80


def test_multiply_adds_of_tails_and_phases():
    def products(shape, weight, **options):
        return by_name(fastconv.explain(shape, weight, **options, prepared=True))["winograd"].multiply_adds

    # 14 = 4 + 4 + 4 + 2: three tiles of 6 points and one of 4 along each axis.
    assert products((1, 80, 14, 14), (32, 80, 3, 3), padding=1) == (3 * 6 + 4) ** 2 * 80 * 32
    # Two phases with 5 and 4 points along each axis, for tiles of 4 outputs.
    assert products((1, 80, 32, 32), (32, 80, 3, 3), padding=1, stride=2) == 4 * 4 * (5 + 4) ** 2 * 80 * 32
    # Two interleaved layers of 16 outputs along each axis.
    assert products((1, 80, 32, 32), (32, 80, 3, 3), padding=2, dilation=2) == (2 * 4 * 6) ** 2 * 80 * 32


def test_multiply_adds_of_groups():
    e = fastconv.explain((1, 64, 16, 16), (64, 16, 3, 3), padding=1, groups=4)
    reports = by_name(e)
    assert reports["direct"].multiply_adds == 64 * 256 * 16 * 9
    assert reports["winograd"].multiply_adds * 4 == reports["direct"].multiply_adds  # 36 products instead of 144


def test_prepared_weights_cost_less():
    shapes = (1, 64, 14, 14), (64, 64, 3, 3)
    at_each_call, beforehand = by_name(fastconv.explain(*shapes)), by_name(fastconv.explain(*shapes, prepared=True))
    for name in ("direct", "im2col", "winograd"):
        assert beforehand[name].cost_us < at_each_call[name].cost_us


def test_a_limit_is_a_reason():
    e = fastconv.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=1, workspace_limit=0)
    assert e.chosen is None
    assert e.why.startswith("workspace_limit: expected at least ")
    winograd = by_name(e)["winograd"]
    needed = winograd.workspace_bytes + winograd.packed_bytes
    assert winograd.reason == f"needs {needed} bytes of workspace and packed weights, workspace_limit is 0"


@pytest.mark.parametrize(
    ("input_shape", "layout"),
    [((8, 9, 16), "NHWC"), ((16, 8, 9), "NCHW"), ((1, 8, 9, 16), "NHWC"), ((1, 16, 8, 9), "NCHW")],
)
def test_layouts_and_batches(input_shape, layout):
    e = fastconv.explain(input_shape, (4, 16, 3, 3), layout=layout)
    y = fastconv.conv2d(np.ones(input_shape, np.float32), np.ones((4, 16, 3, 3), np.float32), layout=layout)
    assert e.output_shape == y.shape
    assert e.layout == layout
    assert fastconv.conv_output_shape(input_shape, (4, 16, 3, 3), layout=layout) == y.shape


def test_no_data_is_needed():
    tracemalloc.start()
    e = fastconv.explain((4096, 256, 1024, 1024), (256, 256, 3, 3), padding=1, prepared=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert e.output_bytes == 4096 * 256 * 1024**2 * 4
    assert e.chosen == "winograd"
    assert "needs" in by_name(e)["dense"].reason
    assert peak < 2**20


def test_text_has_every_algorithm_once_with_its_reason_or_figures():
    e = fastconv.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=1, prepared=True)
    text = str(e)
    assert text.isascii() and not re.search(r" +$", text, re.MULTILINE)
    for report in e.reports:
        rows = [line for line in text.splitlines() if re.match(rf"[* ] +{report.algorithm}\b", line)]
        assert len(rows) == 1
        assert (f"no: {report.reason}" in rows[0]) == (report.reason is not None)
        assert rows[0].startswith("*") == (report.algorithm == e.chosen)
    assert text.splitlines()[-1] == f"chosen: winograd - {e.why}"
    assert "116 M multiply-adds, 36864 weights" in text


def test_explanations_are_pickled():
    e = fastconv.explain((1, 3, 8, 8), (4, 3, 3, 3))
    assert pickle.loads(pickle.dumps(e)) == e


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"input_shape": (3, 8)}, ValueError, "input_shape: expected (N, C, H, W) or (C, H, W)"),
        ({"dtype": "int8"}, TypeError, "dtype: expected float32 or float64, got 'int8'"),
        ({"layout": "HWC"}, ValueError, "layout: expected 'NCHW' or 'NHWC', got 'HWC'"),
        ({"workspace_limit": 1.5}, TypeError, "workspace_limit: expected an int, got 1.5"),
        ({"stride": -1}, ValueError, "stride: expected at least 1, got -1"),
    ],
)
def test_bad_arguments(change, error, message):
    arguments = {"input_shape": (1, 3, 8, 8), "weight_shape": (4, 3, 3, 3)} | change
    with pytest.raises(error, match="^" + re.escape(message)):
        fastconv.explain(**arguments)


def test_rejects():
    problem = fastconv.explain((1, 3, 8, 8), (4, 3, 3, 3), stride=2).problem
    assert fastconv.rejects("direct", problem) is None
    assert "1x1" in fastconv.rejects("pointwise", problem)
    with pytest.raises(ValueError, match=r"^algorithm: expected one of .*, got 'auto'$"):
        fastconv.rejects("auto", problem)
    with pytest.raises(ValueError, match=r"^algorithm: expected one of .*, got 'strassen'$"):
        fastconv.rejects("strassen", problem)
    with pytest.raises(TypeError, match=r"^problem: expected a fastconv.Problem, got tuple$"):
        fastconv.rejects("direct", (1, 3, 8, 8))


def test_every_algorithm_says_what_it_does():
    assert {"reference", "direct", "im2col", "pointwise", "depthwise", "grouped", "winograd", "dense"} <= set(
        fastconv.algorithms()
    )
    summaries = [fastconv.summary(name) for name in fastconv.algorithms()]
    assert len(set(summaries)) == len(summaries) and all(summaries)


@pytest.mark.parametrize(
    ("value", "unit", "step", "text"),
    [(0, "B", 1024, "0 B"), (1023, "B", 1024, "1023 B"), (1536, "B", 1024, "1.5 KiB"), (2**30, "B", 1024, "1 GiB"),
     (999, "", 1000, "999"), (115605504, "", 1000, "116 M"), (10**30, "", 1000, "1000000000000 E")],
)  # fmt: skip
def test_quantity(value, unit, step, text):
    assert quantity(value, unit, step) == text


def test_show_config_prints_what_it_returns(capsys):
    assert fastconv.show_config() is None
    text = capsys.readouterr().out
    config = fastconv.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert list(config) == ["fastconv", "isa", "cpu", "threads", "numpy"]
    assert config["isa"]["in_use"] == _core.get_isa() and "FASTCONV_ISA" in config["isa"]["to_force"]
    assert config["isa"]["available"] == list(fastconv.available_isas())
    assert config["fastconv"]["version"] == fastconv.__version__
    assert config["numpy"]["version"] == np.__version__
    assert config["threads"]["in_use"] == fastconv.get_num_threads()
    for size in ("l1d_bytes", "l2_bytes", "l3_bytes"):
        assert config["cpu"][size] > 0
    for section, entries in config.items():
        assert f"{section}:" in text
        for name in entries:
            assert f"  {name}: " in text
    with pytest.raises(ValueError, match=r"^mode: expected 'stdout' or 'dicts', got 'json'$"):
        fastconv.show_config(mode="json")


def test_public_names():
    assert len(set(fastconv.__all__)) == len(fastconv.__all__)
    for name in fastconv.__all__:
        item = getattr(fastconv, name)
        if name != "__version__":
            assert item.__doc__ and len(item.__doc__) > 20, f"{name} has no docstring"
    assert re.fullmatch(r"\d+\.\d+.*", fastconv.__version__)


def rms(a):
    return math.sqrt(float(np.mean(np.square(a.astype(np.float64)))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "algorithm", [name for name in fastconv.algorithms() if name not in ("pointwise", "matvec", "depthwise")]
)
@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("C", [2, 16, 128])
def test_expected_errors_are_near_the_measured_ones(algorithm, dtype, isa, C):
    """Not above 1.5 times, nor below a sixth (blocked sums are that much better); and the bound holds."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, C, 12, 12)).astype(dtype)
    w = rng.standard_normal((16, C, 3, 3)).astype(dtype)
    wide = np.longdouble if dtype == "float64" else np.float64
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (3, 3), axis=(1, 2)).astype(wide)
    exact = np.einsum("cpqrs,kcrs->kpq", windows, w.astype(wide))
    problem = fastconv.explain(x.shape, w.shape, dtype=dtype, prepared=True).problem
    with fastconv.use_isa(isa):
        y = fastconv.conv2d(x[0], w, algorithm=algorithm)
    errors = (y - exact).astype(np.float64) / rms(exact)
    expected = numerics.expected_error(algorithm, problem)
    assert expected / 6 < rms(errors) < 1.5 * expected
    bound = numerics.error_bound(algorithm, problem)
    assert float(np.abs(errors).max()) < bound < (20 if C > 2 else 30) * expected
