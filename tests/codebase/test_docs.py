"""Numbers in README.md and docs/: each in a part that is made from the JSON of a run, and named with its command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sources import ROOT

from fastconv.bench.layers import NamedLayer, square
from fastconv.bench.peers.limits import useful_multiply_adds

sys.path.insert(0, str(ROOT / "benchmarks"))
import write_docs

DOCUMENTS = write_docs.documents()
FILES = sorted(write_docs.MEASURED.glob("*.json"))

# What is measured has such a unit. "%" and "times" count things, too, hence the list below.
FIGURE = re.compile(
    r"\d[\d.,]*(?: to \d[\d.,]*)? ?(?:%|us\b|ms\b|GFLOP/s|GB/s|seconds\b|s\b|times\b)|\d(?:\.\d+)?e-\d+"
)

# Figures that are not measured: definitions, thresholds, counts, constants of a model or of another project.
TYPED = {
    "algorithms.md": (
        "at 20 GB/s", "112 GFLOP/s", "at 4 GB/s", "18 % less work", "43 % less", "above 100 %", "Cost: 1 GFLOP/s",
        "(30 GB/s rather than 20", "7x7 in AVX-512:\n77 %", "80 GB/s: they come from L3", "70 GB/s; 25 if they exceed",
        "3.24, 4, 5.06 times fewer", "stride 2, times the lanes", "F(4x4,3x3): 4 times",
        "Cost: 0.7 us", "about 13 GB/s of packed weights", "40 GB/s beyond 1 MB, 9 GB/s beyond",
    ),
    "benchmarks.md": ("exceeds 1e-4", "can pass 100 %"),
    "cli.md": (
        "within 10 % or 1 MiB",
        "take more than 2 s are", "more than\n20 %", "more than 20 %", "takes more than 2 s", "more than 3 %",
        "Above 100 %", "1e-4 (float64: 1e-10)", "calls ran for 0.05 s", "0.2 s at most", "for 40 ms after a call",
    ),
    "winograd.md": ("exceeds 1e-4",),
    "numerics.md": (
        "which is 3e-6", "errors near 3e-5", "over 1e-8 <= |x|", "float32: 1.2e-38", "of 6e-8 and of 1e-26",
        "values near 1e-3", "by about 4 times their size", "error is 24 times",  # held by tests/test_magnitudes.py
    ),
    "README.md": ("image of 1e-3",),
}  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_measured_parts_are_what_the_files_say(path):
    text = path.read_text("utf-8")
    assert write_docs.written(text, readme=path.parent == ROOT) == text, "run benchmarks/write_docs.py"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_figure_is_typed(path):
    prose = write_docs.PART.sub("", path.read_text("utf-8"))
    prose = re.sub(r"```.*?```|^    .*?$", "", prose, flags=re.DOTALL | re.MULTILINE)
    for known in TYPED.get(path.name, ()):
        prose = prose.replace(known, "")
    assert FIGURE.findall(prose) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_says_where_it_comes_from_and_its_command_stands_beside_its_numbers(path):
    run = json.loads(path.read_text("utf-8"))
    origin = run.get("provenance", run)
    for name in ("fastconv_version", "cpu", "isa", "threads", "compiler", "numpy_version", "utc"):
        assert origin[name], name
    using = [text for text in map(Path.read_text, DOCUMENTS) if f"{path.name}" in text]
    assert using, "no document has its numbers"
    if origin["argv"]:
        command = write_docs.doc_tables.command({**run, **origin})
        assert any(command in text for text in using)
    else:  # of a script, which a document names with the file
        assert any(re.search(rf"`python benchmarks/\w+\.py[^`]*{re.escape(path.name)}`", text) for text in using)


def test_the_parts_name_files_and_functions_that_are_there():
    named = [part for path in DOCUMENTS for part in write_docs.parts(path.read_text("utf-8"))]
    assert len(named) > 10
    assert {name for name, _ in named} <= set(write_docs.FUNCTIONS)
    assert {file for _, files in named for file in files} <= {path.stem for path in FILES}
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        assert text.count("<!-- measured:") == text.count("<!-- end -->") == len(write_docs.parts(text)), path


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (square("", 1, 7, 1, 3), "3x3 on a 7x7 map does 18 % less"),
        (NamedLayer("", 1, 33, 33, 1, 3, 3, padding=((12, 12),) * 2, dilation=(12, 12)), "33x33 map 43 % less"),
    ],
    ids=["small", "dilated"],
)
def test_what_is_counted_is_counted_right(layer, said):
    less = 1 - useful_multiply_adds(layer) / layer.problem().multiply_adds
    assert said in (ROOT / "docs" / "algorithms.md").read_text("utf-8")
    assert f"{100 * less:.0f} % less" in said


def test_parts_are_made_anew_and_nothing_else():
    text = "before\n<!-- measured: sources errors -->\nold\n<!-- end -->\nafter\n"
    made = write_docs.written(text)
    assert made.startswith("before\n<!-- measured: sources errors -->\n- [errors.json](measured/errors.json): `python ")
    assert made.endswith("`\n<!-- end -->\nafter\n")
    assert write_docs.written(made) == made
    assert "docs/measured/errors.json)" in write_docs.written(text, readme=True)


def test_the_command_checks():
    command = [sys.executable, str(ROOT / "benchmarks" / "write_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
