"""Rounding errors behind docs/numerics.md: `python benchmarks/measure_errors.py > docs/measured/errors.json`.

Winograd's variants on 16 to 512 channels, activations over their range, instruction sets against each other, and what
:mod:`fastconv.numerics` expects. No times: the figures are the same on every run, and on every machine with AVX-512.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import fastconv
from fastconv import _core, numerics
from fastconv.bench.baselines import float64_result
from fastconv.bench.layers import NamedLayer, square
from fastconv.bench.provenance import provenance

CHANNELS = (16, 64, 256, 512)
FILTERS, SIZE = 32, 28

EPSILON = float(np.finfo(np.float32).eps)
_NARROW = 7  # pixels: where tiles of three outputs are taken


def _layers(channels: int) -> list[NamedLayer]:
    def row(R: int, S: int) -> NamedLayer:
        pads = (R // 2, R // 2), (S // 2, S // 2)
        return NamedLayer(f"{R}x{S}", channels, SIZE, SIZE, FILTERS, R, S, padding=pads)

    return [
        *(square(f"{k}x{k}", channels, SIZE, FILTERS, k) for k in (3, 5, 7)),
        square(f"3x3 @{_NARROW}", channels, _NARROW, FILTERS, 3),
        *(row(*kernel) for n in (3, 5, 7) for kernel in ((1, n), (n, 1))),
        *(square(f"{k}x{k} by 2", channels, 2 * SIZE, FILTERS, k, 2) for k in (3, 5)),
    ]


def variants(layer: NamedLayer) -> dict[str, _core.Problem]:
    """Winograd's variants that some limit of the error brings forth on this layer, each with such a limit."""
    found: dict[str, _core.Problem] = {}
    for limit in np.geomspace(0.5, 250, 400):
        problem = layer.problem().with_error_limit(float(limit))
        if _core.rejects("winograd", problem) is None:
            found.setdefault(_core.variant("winograd", problem), problem)
    return found


def winograd() -> list[dict[str, Any]]:
    """Errors over the output's root mean square, in epsilons of float32: root mean square, largest, and expected."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for channels in CHANNELS:
        for layer in _layers(channels):
            todo = {name: p for name, p in variants(layer).items() if (name, channels) not in rows}
            x, w = layer.random_input(), layer.random_weight()
            exact = float64_result(x, w, layer) if todo else None
            for name, problem in todo.items():
                assert exact is not None
                rms, largest = errors(_core.Plan(problem, "winograd", w)(x), exact)
                rows[name, channels] = {
                    "variant": name, "channels": channels, "layer": layer.name, "rms": rms, "largest": largest,
                    "expected": _core.expected_error("winograd", problem),
                }  # fmt: skip
    return list(rows.values())


def errors(y: npt.NDArray[Any], exact: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Root mean square and largest error, over the output's root mean square, in epsilons of float32."""
    unit = float(np.sqrt(np.mean(exact**2))) * EPSILON
    return float(np.sqrt(np.mean((y - exact) ** 2))) / unit, float(np.max(np.abs(y - exact))) / unit


def _sigmoid(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return 1 / (1 + np.exp(-x))


EXACT: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


def activations() -> list[dict[str, Any]]:
    """Errors of `pointwise` with one weight of 1, over 1e-8 <= |x| <= 100; against long doubles."""
    rows = []
    for dtype in ("float32", "float64"):
        half = np.geomspace(1e-8, 100, 200_000).astype(dtype)
        x = np.concatenate([-half[::-1], half]).reshape(1, 1, 400, 1000)
        one = np.ones((1, 1, 1, 1), dtype)
        for name, exact in EXACT.items():
            y = fastconv.conv2d(x, one, algorithm="pointwise", activation=name)
            expected = exact(x.astype(np.longdouble))
            absolute = np.abs(y - expected)
            # Left of zero, results pass through zero or below the smallest numbers: no relative error means anything.
            where = np.full(x.shape, True) if name == "tanh" else x > 0
            far = np.full((1, 1, 1, 1), -1e4, dtype)
            rows.append({
                "activation": name,
                "dtype": dtype,
                "largest_absolute": float(absolute.max()),
                "largest_relative": float((absolute[where] / np.abs(expected[where])).max()),
                "relative_over": "all x" if name == "tanh" else "x > 0",
                "at_minus_10000": float(fastconv.conv2d(far, one, algorithm="pointwise", activation=name)[0, 0, 0, 0]),
            })  # fmt: skip
    return rows


def instruction_sets() -> list[dict[str, Any]]:
    """Largest differences between instruction sets, over the output's root mean square: 64 -> 64 channels, 3x3."""
    layer = square("64->64 @56 3x3", 64, 56, 64, 3)
    x, w = layer.random_input(), layer.random_weight()
    rows = []
    for algorithm in ("direct", "winograd"):
        results = {}
        for isa in fastconv.available_isas():
            with fastconv.use_isa(isa):
                results[isa] = fastconv.conv2d(x, w, **layer.options, algorithm=algorithm)
        best = list(results)[-1]
        rms = float(np.sqrt(np.mean(results[best].astype(np.float64) ** 2)))
        for isa in list(results)[:-1]:
            difference = np.abs(results[isa].astype(np.float64) - results[best])
            rows.append({
                "algorithm": algorithm, "isa": isa, "against": best,
                "largest": float(difference.max()) / rms, "differing": float(np.mean(difference > 0)),
            })  # fmt: skip
    return rows


def model() -> list[dict[str, Any]]:
    """What is expected on 3x3 layers of 56 x 56, and the bound of the largest error; over the output's rms."""
    return [
        {
            "algorithm": algorithm, "channels": channels,
            "expected": numerics.expected_error(algorithm, problem), "bound": numerics.error_bound(algorithm, problem),
        }
        for channels in (64, 256)
        for problem in [square("", channels, 56, channels, 3).problem()]
        for algorithm in ("direct", "winograd")
    ]  # fmt: skip


def main() -> None:
    """Measure, and write JSON to standard output."""
    record = {
        **provenance(),
        "command": "python benchmarks/measure_errors.py > docs/measured/errors.json",
        "filters": FILTERS,
        "size": SIZE,
        "winograd": winograd(),
        "activations": activations(),
        "instruction_sets": instruction_sets(),
        "model": model(),
    }
    json.dump(record, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
