"""Whether the cost model picks the fastest: every variant of Winograd, direct and im2col on a grid of layers.

``python benchmarks/winograd_choice.py FILE.json`` measures what FILE.json does not have yet, for about a minute at a
time (``--seconds``), and says how much is left; then ``--summary`` prints how good the choices were. One thread.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import _core, numerics
from fastconv.bench.layers import TABLES, NamedLayer, square
from fastconv.bench.measure import measure
from fastconv.bench.provenance import provenance
from fastconv.dispatch import choose, for_one_call
from fastconv.threads import num_threads

PLAIN = ("direct", "im2col")
LARGEST = 2e9  # multiply-adds
WITHIN = 1.05  # of the best candidate's time: as good as the best


def grid() -> list[NamedLayer]:
    """C, K, H and W by powers of two and what lies between, then other kernels, and the layers of the tables."""
    layers = [square(f"3x3 {C}->{K} @{H}", C, H, K, 3)
              for C, K in ((16, 16), (32, 32), (64, 64), (128, 128), (256, 256), (512, 512), (32, 128), (256, 64))
              for H in (7, 10, 14, 28, 33, 56, 112)]  # fmt: skip
    layers += [NamedLayer(f"3x3 64->64 @{H}x{W}", 64, H, W, 64, 3, 3, padding=((1, 1), (1, 1)))
               for H, W in ((7, 112), (112, 7), (20, 65), (3, 200))]  # fmt: skip
    for C in (32, 128):
        for H in (14, 28, 56):
            layers += [square(f"5x5 {C}->{C} @{H}", C, H, C, 5), square(f"7x7 {C}->{C} @{H}", C, H, C, 7)]
            layers += [square(f"{k}x{k} {C}->{C} @{H}/2", C, H, C, k, 2) for k in (3, 5)]
            layers += [NamedLayer(f"1x{S} {C}->{C} @{H}", C, H, H, C, 1, S, padding=((0, 0), (S // 2, S // 2)))
                       for S in (3, 5, 7)]  # fmt: skip
            layers += [NamedLayer(f"3x3 {C}->{C} @{H} d{d}", C, H, H, C, 3, 3, dilation=(d, d), padding=((d, d),) * 2)
                       for d in (2, 4)]  # fmt: skip
    for layer in dict.fromkeys(layer for table in TABLES.values() for layer in table):
        if min(layer.C, layer.K) // layer.groups >= 16 and layer.N == 1:
            layers.append(layer)
    return [layer for layer in layers
            if _core.variants("winograd", layer.problem()) and layer.problem().multiply_adds < LARGEST]  # fmt: skip


def candidates(layer: NamedLayer) -> dict[str, tuple[str, _core.Problem]]:
    """Algorithm and problem by name: all variants within the limit of accuracy="balanced", and plain sums."""
    problem = layer.problem()
    found = {name: (name, problem) for name in PLAIN}
    for name, number in _core.variants("winograd", problem).items():
        named = problem.with_variant(number)
        epsilons = numerics.expected_error("winograd", named) / float(np.finfo(np.float32).eps)
        if epsilons <= problem.error_limit:
            found[name] = ("winograd", named)
    return found


def measured(layer: NamedLayer, prepared: bool) -> dict[str, Any]:
    """Microseconds of every candidate, taking turns."""
    problem = layer.problem()
    x, w = layer.random_input(), layer.random_weight()
    y = np.empty(problem.output_shape, np.float32)
    found = candidates(layer)
    calls: dict[str, Callable[[], object]] = {
        name: partial(_core.Plan(p, algorithm, w), x, y)
        if prepared
        else partial(_core.run_once, p, algorithm, None, x, w, None, y)
        for name, (algorithm, p) in found.items()
    }
    timings = measure(calls, min_time=0.04, rounds=9)
    times = {name: round(timing.median * 1e6, 2) for name, timing in timings.items()}
    return {"layer": layer.name, "prepared": prepared, "microseconds": times}


def judged(cell: dict[str, Any], layer: NamedLayer) -> dict[str, Any]:
    """With the estimates, and what is chosen by them."""
    prepared = cell["prepared"]
    problem = layer.problem() if prepared else for_one_call(layer.problem())
    algorithm = choose(problem, prepared=prepared).algorithm
    return cell | {
        "chosen": _core.variant(algorithm, problem) if algorithm == "winograd" else algorithm,
        "estimates": {name: round(_core.cost(a, p, prepared), 2) for name, (a, p) in candidates(layer).items()},
    }


def loss(cell: dict[str, Any]) -> float:
    """The chosen one's time over the best one's."""
    times: dict[str, float] = cell["microseconds"]
    return times.get(cell["chosen"], math.nan) / min(times.values())


def over_plain(cell: dict[str, Any]) -> float:
    """The chosen one's time over that of plain sums as "auto" takes them without Winograd: by their estimates."""
    plain = min(PLAIN, key=lambda name: float(cell["estimates"][name]))
    return float(cell["microseconds"][cell["chosen"]] / cell["microseconds"][plain])


def summary(cells: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """For weights prepared and not: how often the choice is as good as the best, what the worst ones lose."""
    result: dict[str, Any] = {}
    for prepared in (True, False):
        some = [cell for cell in cells if cell["prepared"] is prepared and cell["chosen"] in cell["microseconds"]]
        worst = sorted(some, key=loss, reverse=True)
        by_winograd = [cell for cell in some if cell["chosen"] not in PLAIN]
        slower = max(by_winograd, key=over_plain, default=None)
        result["prepared" if prepared else "one call"] = {
            "cells": len(some),
            "share_within_5_percent": round(sum(loss(cell) <= WITHIN for cell in some) / max(1, len(some)), 3),
            "mean_loss": round(math.exp(sum(math.log(loss(cell)) for cell in some) / max(1, len(some))), 4),
            "worst": [{"layer": cell["layer"], "chosen": cell["chosen"], "loss": round(loss(cell), 3),
                       "best": min(cell["microseconds"], key=cell["microseconds"].__getitem__)}
                      for cell in worst[:8]],
            "by_winograd": len(by_winograd),
            "slowest_over_plain": slower and {"layer": slower["layer"], "ratio": round(over_plain(slower), 3)},
        }  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=50, help="stop after this long (default: %(default)s)")
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    options = parser.parse_args()
    done: dict[str, Any] = json.loads(options.file.read_text()) if options.file.exists() else {"cells": []}
    seen = {(cell["layer"], cell["prepared"]) for cell in done["cells"]}
    missing = [(layer, p) for layer in grid() for p in (True, False) if (layer.name, p) not in seen]
    end = time.monotonic() + (0 if options.summary else options.seconds)
    with num_threads(1):
        for i, (layer, prepared) in enumerate(missing):
            if time.monotonic() >= end:
                missing = missing[i:]
                break
            done["cells"].append(measured(layer, prepared))
        else:
            missing = []
        layers = {layer.name: layer for layer in grid()}
        done["cells"] = [judged(cell, layers[cell["layer"]]) for cell in done["cells"]]
        done |= {"provenance": provenance() | {"argv": []}, "summary": summary(done["cells"])}
    lines = ",\n".join("  " + json.dumps(cell) for cell in done["cells"])
    rest = json.dumps({key: done[key] for key in ("provenance", "summary")}, indent=1)[2:-2]
    options.file.write_text(f'{{\n"cells": [\n{lines}\n],\n{rest}\n}}\n')
    print(json.dumps(done["summary"], indent=1))
    print(f"{len(missing)} cells to be measured")


if __name__ == "__main__":
    main()
