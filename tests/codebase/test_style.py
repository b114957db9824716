"""ruff and mypy, with the settings of pyproject.toml; and what they do not look at."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sources import ROOT, cpp_files


def run(*command):
    result = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"


FOLDERS = ("python", "tests", "benchmarks")


def test_ruff():
    run("ruff", "check", "--no-cache", *FOLDERS)


def test_mypy(tmp_path):
    run("mypy", "--cache-dir", str(tmp_path))


@pytest.mark.parametrize("folder", ["cpp", "src", "tests/cpp"])
def test_cpp_lines(folder):
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {problem}"
        for path in cpp_files(folder)
        for number, line in enumerate(path.read_text().split("\n"), start=1)
        for problem, found in (
            ("tab", "\t" in line),
            ("space at the end", line != line.rstrip()),
            ("not ASCII", not line.isascii()),
        )
        if found
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["cpp", "src", "tests/cpp"])
def test_cpp_files_end_with_one_newline_and_headers_guard_themselves(folder):
    for path in cpp_files(folder):
        text = path.read_text()
        assert text.endswith("\n") and not text.endswith("\n\n"), path
        if path.suffix == ".hpp":
            assert text.count("#pragma once") == 1, path
