"""Taps far apart, strides and pads of any size: work and memory go by what is computed, not by what lies between."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fastconv
from fastconv import _core, dispatch
from fastconv.arguments import as_layer
from fastconv.geometry import LINE

FARTHEST = 2**31 - 1


def line(channels, width, filters, taps, **options):
    groups = options.get("groups", 1)
    shapes = (1, channels, width), (filters, channels // groups, taps)
    return as_layer(*shapes, **options, space=LINE).problem


# Each took `direct` 5 to 150 times as long as `im2col`, by strips of all that the kernel reaches over.
FAR = {
    "8 channels, 3 taps 20,000 apart": line(8, 200_000, 8, 3, dilation=20_000),
    "64 channels, 3 taps 4,096 apart": line(64, 50_000, 4, 3, dilation=4096),
    "one channel, 64 taps 10,000 apart": line(1, 1_000_000, 1, 64, dilation=10_000),
    "8 channels, 7 taps 4,096 apart": line(8, 49_747, 16, 7, dilation=4096),
    "by 3, 9 taps 3,000 apart": line(8, 60_000, 8, 9, stride=3, dilation=3000),
}


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("name", FAR)
def test_a_strip_holds_the_columns_of_taps_not_what_lies_between_them(name, isa):
    with fastconv.use_isa(isa), fastconv.num_threads(1):
        assert _core.workspace_bytes("direct", FAR[name]) < 640 * 1024


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", ["direct", "depthwise"])
def test_strips_of_far_taps_are_exact(algorithm, dtype, stride):
    """Rows and columns by taps, each or both, several rows of outputs to a strip, beyond the borders on both sides."""
    rng = np.random.default_rng(stride)
    groups = 3 if algorithm == "depthwise" else 1
    for (H, W), (R, S), dilation, padding in [
        ((1, 600), (1, 5), (1, 130), (0, 0)),
        ((1, 90), (1, 3), (1, 170), (0, 170)),
        ((9, 230), (3, 4), (2, 70), (2, 9)),
        ((70, 300), (3, 3), (30, 90), (3, 30)),
        ((200, 5), (5, 2), (40, 3), (0, 4)),
    ]:
        x = rng.integers(-4, 5, (2, 3, H, W)).astype(dtype)
        w = rng.integers(-4, 5, (6, 3 // groups, R, S)).astype(dtype)
        options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
        y = fastconv.conv2d(x, w, **options, algorithm=algorithm)
        assert np.array_equal(y, fastconv.conv2d(x, w, **options, algorithm="reference"))


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_the_estimate_of_direct_counts_what_it_copies(isa):
    """The same products cost more if each tap's columns are copied apart, and more still with a copy for each strip."""
    with fastconv.use_isa(isa):
        near = _core.cost("direct", line(64, 50_000, 4, 3, dilation=1))
        far = _core.cost("direct", line(64, 50_000 + 2 * 4095, 4, 3, dilation=4096))
        # Channel lanes, which the portable kernels take here, copy nothing.
        if _core.variant("direct", line(64, 50_000, 4, 3)) == "pixel lanes":
            assert far > 1.2 * near
        for problem in FAR.values():
            assert _core.cost("direct", problem) < 4 * _core.cost("im2col", problem)


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize(
    "problem",
    [
        line(944, 495, 944, 31, dilation=8, groups=944),
        line(944, 495, 944, 31, dilation=8, groups=944, padding=120),
        line(80, 13_522, 80, 63, groups=80, padding=31),
        line(64, 4000, 64, 9, groups=64, padding=4),
        line(36, 72_430, 36, 48, groups=36, stride=2, dilation=16, padding=376),
        line(12, 190_468, 12, 16, groups=12, stride=5, padding=7),
    ],
    ids=str,
)
def test_depthwise_signals_go_by_estimates_to_direct(problem, isa):
    """A single row fills a fraction of the depthwise tiles: 2 to 9 times as long as `direct`."""
    with fastconv.use_isa(isa):
        for prepared in (True, False):
            choice = dispatch.choose(problem, prepared=prepared)
            assert choice.algorithm == "direct"
            assert _core.cost("direct", problem, prepared) < _core.cost("depthwise", problem, prepared)


@pytest.mark.parametrize("isa", [isa for isa in fastconv.available_isas() if isa != "scalar"])
def test_one_filter_of_many_channels_may_be_read_once_by_grouped(isa):
    with fastconv.use_isa(isa):
        problem = as_layer((1, 31, 92, 183), (1, 31, 3, 3), dilation=6).problem
        assert dispatch.choose(problem, prepared=True).algorithm == "grouped"


def in_a_child(code, seconds=60):
    """What it prints; fails if it has not ended by then."""
    header = "import numpy as np, fastconv as fc\none = lambda *shape: np.ones(shape, np.float32)\n"
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (6 << 30,) * 2)\n"
    run = subprocess.run(
        [sys.executable, "-c", header + limit + code], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


QUICK = {
    "rows by a stride of 2^20": (
        "y = fc.conv_transpose2d(2 * one(1, 1, 2, 1), one(1, 1, 1, 1), one(1), stride=(2**20, 1))\n"
        "print(y.shape, y[0, 0, 0, 0], y[0, 0, -1, 0], y.sum() - y.size)",
        "(1, 1, 1048577, 1) 3.0 3.0 4.0",
    ),
    "prepared, columns by a stride of 2^22": (
        "y = fc.ConvTranspose2d(one(1, 1, 1, 3), stride=(1, 2**22))(one(1, 1, 1, 2))\n"
        "print(y.shape, y.sum(), y[0, 0, 0, 2**22 : 2**22 + 4])",
        "(1, 1, 1, 4194307) 6.0 [1. 1. 1.]",
    ),
    "planes by a stride of 2^20": (
        "y = fc.ConvTranspose3d(one(1, 1, 1, 1, 1), stride=(2**20, 1, 1))(one(1, 1, 2, 1, 1))\n"
        "print(y.shape, y.sum(), y[0, 0, -1])",
        "(1, 1, 1048577, 1, 1) 2.0 [[1.]]",
    ),
    "600 x 60 phases": (
        "y = fc.ConvTranspose2d(one(1, 1, 600, 60), stride=(600, 60))(one(1, 1, 2, 2))\nprint(y.shape, y.sum())",
        "(1, 1, 1200, 120) 144000.0",
    ),
    "taps as far apart as can be": (
        "y = fc.conv_transpose1d(one(1, 8, 1), one(8, 1, 2), dilation=2**31 - 1, padding=2**30 - 1)\nprint(y)",
        "[[[0. 0.]]]",
    ),
    "prepared, taps as far apart as can be": (
        "y = fc.ConvTranspose1d(one(8, 1, 2), dilation=2**31 - 1, padding=2**30 - 1)(one(1, 8, 1))\nprint(y)",
        "[[[0. 0.]]]",
    ),
    "planes of bytes": (
        "x, w = np.ones((1, 2, 8, 1, 1), np.int8), np.ones((3, 2, 2, 1, 1), np.int8)\n"
        "y = fc.conv_integer(x, w, padding=(2**30, 0, 0), dilation=(2**31 - 1, 1, 1))\nprint(y.shape, y.sum())",
        "(1, 3, 9, 1, 1) 0",
    ),
    "gradient by the weights of a volume": (
        "y = fc.grad.conv3d_weight(one(1, 2, 8, 1, 1), (3, 2, 2, 1, 1), one(1, 3, 9, 1, 1), padding=(2**30, 0, 0),"
        " dilation=(2**31 - 1, 1, 1))\nprint(y.shape, y.sum())",
        "(3, 2, 2, 1, 1) 0.0",
    ),
    "forward, each algorithm": (
        "for name in fc.algorithms():\n"
        "    options = {'dilation': 2**31 - 1, 'padding': 2**30}\n"
        "    x, w = one(1, 4, 8), one(4, 4, 2)\n"
        "    problem = fc.explain((1, 4, 1, 8), (4, 4, 1, 2), dilation=(1, 2**31 - 1), padding=(0, 2**30)).problem\n"
        "    if fc.rejects(name, problem) is None:\n"
        "        assert fc.conv1d(x, w, **options, algorithm=name).sum() == 0, name\n"
        "print(fc.conv1d(one(1, 4, 8), one(4, 4, 2), **options).shape)",
        "(1, 4, 9)",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory by resource.RLIMIT_AS")
@pytest.mark.parametrize("name", QUICK)
def test_time_and_memory_go_by_the_output(name):
    code, expected = QUICK[name]
    assert in_a_child(code) == expected


@pytest.mark.parametrize("stride", [2**20, 2**30, FARTHEST])
def test_a_layer_has_no_more_parts_than_taps(stride):
    layer = _core.Layer("transposed", "float32", "NCHW", 1, 1, 1, 1, [(2, 3, stride + 7, stride, 5, 1, 0)])
    problems = _core.lower(layer).problems
    assert 1 <= len(problems) <= 3
    assert all(problem.Q <= 4 for problem in problems)


def test_portions_of_many_images_are_found_by_their_divisors():
    for count in (*range(1, 200), 4_194_301, 2**31):
        for pixels in (1, 250, 25_000, 2_500_000):  # by stride 2 twice as many outputs, of 4 bytes
            layer = _core.Layer("transposed", "float32", "NCHW", count, 1, 1, 1, [(pixels, 3, 2 * pixels, 2, 1, 0, 0)])
            most = max(1, 4 * 1024 * 1024 // (8 * pixels))
            (portion,) = {problem.N for problem in _core.lower(layer).problems}
            assert count % portion == 0 and portion <= most
            if count < 200:
                assert portion == max(n for n in range(1, count + 1) if count % n == 0 and n <= most)
