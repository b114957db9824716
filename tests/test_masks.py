"""Masks of the lanes of vectors are right for any number: no caller can make one that reads outside of its row."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import fastconv

ROOT = Path(__file__).resolve().parents[1]


def flags_of(isa):
    """As cmake/isa.cmake has them."""
    said = re.search(rf"\(FASTCONV_FLAGS_{isa} ([^)]*)\)", (ROOT / "cmake" / "isa.cmake").read_text())
    return re.findall(r"(?<!\w)-m[\w.=-]+", said[1]) if said else []


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_lanes_of_any_width_and_column(isa, tmp_path):
    compiler = shutil.which("c++")
    assert compiler, "a C++ compiler is needed"
    program = tmp_path / "masks"
    command = [compiler, "-std=c++20", "-O1", *flags_of(isa), f"-I{ROOT / 'cpp'}", f"-I{ROOT / 'cpp/include'}"]
    command += [f'-DVECTORS="isa/{isa}-vec.hpp"', "-o", program, ROOT / "tests" / "masks.cpp"]
    subprocess.run(command, check=True, timeout=300)
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
