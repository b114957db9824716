"""Winograd's layers against their targets and the peers: the tables of docs/winograd.md, see write_docs.py.

The runs are those of

    fastconv bench --engines torch,onnxruntime,openvino,ncnn,mnn,opencv --classes 3x3,spatial,5x5 --threads 1 --json

and ``python benchmarks/winograd_table.py RUN.json`` adds to each layer the exact bytes of its workspace and of its
packed weights, which a run states as a sum.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doc_tables import table

from fastconv import _core
from fastconv.bench.layers import TABLES, NamedLayer
from fastconv.bench.peers.own import OWN
from fastconv.threads import num_threads

Row = dict[str, Any]

KINDS = ("3x3", "spatial", "5x5")

NAMED = {layer.name: layer for layers in TABLES.values() for layer in layers if layer.kind in KINDS}

# What peers are called in the JSON begins with this; PyTorch by its fastest way.
PEERS = ("ncnn", "MNN", "OpenCV", "PyTorch", "ONNX Runtime", "OpenVINO")
RATIOS = {  # geometric mean, worst
    "3x3": (1.4, 1.15),
    "5x5, 48 -> 64": (3.5, 3.5),
    "1xN and Nx1": (1.3, None),
    "3x3 by 2, ResNet-50": (1.25, None),
    "dilated, maps of at least 8 d": (1.4, None),
}


def group_of(layer: NamedLayer) -> str | None:
    """The row of `RATIOS` that a layer counts with."""
    R, S, d = layer.R, layer.S, layer.dilation[0]
    if (R, S) == (3, 3) and d == 1:
        return "3x3" if layer.stride == (1, 1) else "3x3 by 2, ResNet-50" if "ResNet" in layer.name else None
    if (R, S) == (3, 3):
        return "dilated, maps of at least 8 d" if 8 * d <= layer.H else None
    if R != S:
        return "1xN and Nx1"
    return "5x5, 48 -> 64" if (R, layer.C) == (5, 48) else None


def rate_asked(layer: NamedLayer) -> float | None:
    """Of the FMA peak."""
    group = group_of(layer)
    if group == "5x5, 48 -> 64":
        return 3.9
    if group != "3x3":
        return None
    if min(layer.C, layer.K) >= 128 and 28 <= layer.H <= 112:
        return 3.3
    return {(64, 64, 56): 3.0, (64, 64, 224): 2.6, (256, 256, 14): 3.2, (512, 512, 14): 3.2, (512, 512, 7): 1.6}.get(
        (layer.C, layer.K, layer.H)
    )


def entries_of(row: Row) -> dict[str, Row]:
    """The fastest entry of each peer that ran; ours."""
    found: dict[str, Row] = {}
    for entry in row["entries"]:
        name = next((peer for peer in PEERS if entry["engine"].startswith(peer)), entry["engine"])
        time = entry["time_median_us"]
        if time is not None and (name not in found or time < found[name]["time_median_us"]):
            found[name] = entry
    return found


def duration(us: float) -> str:
    return f"{us:.0f} us" if us < 1000 else f"{us / 1000:.2f} ms"


def _cells(layer: NamedLayer, row: Row, threads: int) -> list[str]:
    found, asked = entries_of(row), rate_asked(layer)
    own = found[OWN]
    rate = f"{row['share_of_peak']:.0%}" + (f" of {asked:.0%}" if asked and threads == 1 else "")
    ratio = f"**{row['ratio']:.2f}** ({row['best_peer']})" + "?" * row["noisy"]
    peers = [
        f"{duration(e['time_median_us'])}, {e['max_error_over_max']:.0e}" + ("" if e["eligible"] else " (out)")
        if (e := found.get(peer))
        else "-"
        for peer in PEERS
    ]
    return [
        layer.name, own["detail"], duration(own["time_median_us"]), rate, f"{own['max_error_over_max']:.0e}",
        f"{own['workspace_bytes'] / threads / 2**20:.2f}", f"{own['packed_bytes'] / 2**20:.2f}", ratio, *peers,
    ]  # fmt: skip


def layers(run: Row) -> Iterator[str]:
    """A row for each layer."""
    yield from table(
        (
            *("<layer", "<fastconv", "time", "of the FMA peak", "error", "workspace per thread, MiB", "packed, MiB"),
            *("ratio (best peer)", *PEERS),
        ),
        [_cells(NAMED[row["name"]], row, run["threads"]) for row in _rows(run)],
    )


def ratios(run: Row) -> Iterator[str]:
    """A row for each group of layers."""
    lines = []
    for group, (mean_asked, worst_asked) in RATIOS.items():
        some = [row["ratio"] for row in _rows(run) if group_of(NAMED[row["name"]]) == group and row["ratio"]]
        if some:
            mean = math.exp(sum(map(math.log, some)) / len(some))
            lines.append(
                [group, str(len(some)), f"{mean:.2f}", f"{mean_asked}", f"{min(some):.2f}", f"{worst_asked or '-'}"]
            )
    yield from table(("<layers", "number", "geometric mean of the ratios", "asked", "worst", "asked"), lines)


def _rows(run: Row) -> list[Row]:
    return [row for row in run["layers"] if row["name"] in NAMED and row["fastconv_us"]]


def state(file: Path) -> None:
    """Adds exact bytes to a run."""
    run = json.loads(file.read_text("utf-8"))
    for row in _rows(run):
        own, problem = entries_of(row)[OWN], NAMED[row["name"]].problem()
        name, _, _ = own["detail"].partition(" ")
        with num_threads(run["threads"]):
            own["workspace_bytes"] = _core.workspace_bytes(name, problem)
        own["packed_bytes"] = _core.packed_bytes(name, problem)
    file.write_text(json.dumps(run, separators=(",", ":")) + "\n", "utf-8")


PARTS = {"winograd_ratios": ratios, "winograd_layers": layers}

if __name__ == "__main__":
    for argument in sys.argv[1:]:
        state(Path(argument))
