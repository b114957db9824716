"""The choice of Winograd's variant, and of Winograd, against what was measured: docs/measured/winograd-choice.json."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import fastconv

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script():
    path = ROOT / "benchmarks" / "winograd_choice.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif("avx512" not in fastconv.available_isas(), reason="measured with AVX-512")
def test_choices_are_as_good_as_the_documents_say(script):
    measured = json.loads((ROOT / "docs" / "measured" / "winograd-choice.json").read_text())
    with fastconv.use_isa("avx512"):
        layers = {layer.name: layer for layer in script.grid()}
        cells = [script.judged(cell, layers[cell["layer"]]) for cell in measured["cells"]]
    found = script.summary(cells)
    for kind, least, worst in (("prepared", 0.97, 1.1), ("one call", 0.95, 1.2)):
        assert found[kind]["cells"] > 130
        assert found[kind]["share_within_5_percent"] >= least
        assert found[kind]["worst"][0]["loss"] <= worst
        assert found[kind]["slowest_over_plain"]["ratio"] <= 1.05, "slower than without Winograd"


def test_errors_measured_are_within_the_model(script):
    rows = json.loads((ROOT / "docs" / "measured" / "winograd-errors.json").read_text())["rows"]
    normal = [row for row in rows if row["data"] == "normal"]
    assert {row["variant"] for row in normal} >= {"direct", "F(4x4,3x3)", "F(4x4,5x5)", "F(1x4,1x7)"}
    for row in normal:
        assert row["largest"] < row["bound"]
        assert row["rms"] < 1.2 * row["model"]
