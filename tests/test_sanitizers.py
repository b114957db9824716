"""What surrounds the builds under sanitizers; tests/sanitizers/run makes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "sanitizers"


@pytest.mark.parametrize("kind", ["address", "thread"])
def test_a_build_without_its_runtime_is_refused_with_a_sentence(kind):
    code = f"{(FOLDER / 'guard.py').read_text()}\n\ncheck({kind!r})\n"
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=plain)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: this build of fastconv is instrumented for ")
    assert last.endswith(f"run tests/sanitizers/run {kind}, which loads it with LD_PRELOAD")


def test_the_guard_stands_before_everything_that_loads_the_extension():
    lines = (Path(__file__).parents[1] / "python/fastconv/__init__.py").read_text().splitlines()
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert imports[0].startswith("from fastconv"), "where tests/sanitizers/run puts it"


def test_what_runs_under_sanitizers_exists():
    listed = [line for line in (FOLDER / "tests.txt").read_text().splitlines() if not line.startswith("#")]
    assert listed == sorted(set(listed))
    assert [name for name in listed if not (FOLDER.parents[1] / name).is_file()] == []


@pytest.mark.parametrize("arguments", [[], ["memory"]], ids=["nothing", "memory"])
def test_an_unknown_sanitizer_is_answered_with_the_usage(arguments):
    done = subprocess.run([FOLDER / "run", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: tests/sanitizers/run address|thread [PYTEST ARGUMENTS]\n")
