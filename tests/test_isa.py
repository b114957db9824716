"""Choosing the instruction set: by environment variable and by context manager."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from instruction_sets import WHOLE_NUMBERS, Kernels

import fastconv
from fastconv import _core


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_environment_forces_the_isa(isa):
    shown = _run("import fastconv._core as c; print(c.get_isa())", FASTCONV_ISA=isa)
    assert shown.stdout.strip() == isa, shown.stderr


def test_isa_context():
    before = fastconv.show_config(mode="dicts")["isa"]["in_use"]
    for isa in fastconv.available_isas():
        with fastconv.use_isa(isa):
            assert fastconv.show_config(mode="dicts")["isa"]["in_use"] == isa
        assert fastconv.show_config(mode="dicts")["isa"]["in_use"] == before
    with pytest.raises(ValueError, match=r"^isa: expected one of .*, got 'mmx': this build does not have it$"):
        fastconv.use_isa("mmx").__enter__()
    with pytest.raises(TypeError, match=r"^isa: expected a name, one of .*, got 2$"):
        fastconv.use_isa(2).__enter__()


def test_an_isa_that_does_not_run_here_is_warned_of():
    shown = _run("import fastconv", FASTCONV_ISA="avx9000")
    assert shown.returncode == 0
    assert "RuntimeWarning: FASTCONV_ISA: expected one of" in shown.stderr
    assert "got 'avx9000'" in shown.stderr


def test_best_isa_is_the_default():
    environment = {name: value for name, value in os.environ.items() if name != "FASTCONV_ISA"}
    code = "import fastconv._core as c; print(c.get_isa() == c.available_isas()[-1])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert shown.stdout.strip() == "True"


def test_a_plan_keeps_the_isa_it_was_made_with():
    x, w = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
    with fastconv.use_isa("scalar"):
        plan = _core.Plan(_core.Problem("float32", 1, 2, 5, 5, 3, 3, 3), "direct", w)
    assert plan.isa == "scalar"
    assert plan(x).shape == (1, 3, 3, 3)


@pytest.mark.parametrize(
    ("available", "features", "left_out"),
    [
        (("scalar", "avx2", "avx512"), ("avx512f", "avx512_vnni"), ()),
        (("scalar", "avx2", "avx512"), ("avx512f",), ("dot_vnni",)),
        (("scalar", "avx2"), (), ("avx512", "dot_vnni")),
        (("scalar",), ("avx512_vnni",), ("avx2", "avx512", "dot_avx2", "dot_vnni")),
    ],
)
def test_the_summary_names_the_kernels_that_the_cpu_could_not_run(available, features, left_out):
    kernels = Kernels.of(("scalar", "avx2", "avx512"), available, features)
    assert kernels.left_out == left_out
    text = "\n".join(kernels.lines())
    assert ("NOT TESTED" in text) == bool(left_out)
    for name in ("scalar", "avx2", "avx512", *WHOLE_NUMBERS.values()):
        line = next(line for line in text.splitlines() if name in line.replace(":", ",").replace(",", " ").split())
        assert ("NOT TESTED" in line) == (name in left_out)


def test_a_green_run_says_what_it_could_not_run():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::test_isa_context"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert set(Kernels.here().lines()) <= set(done.stdout.splitlines())
