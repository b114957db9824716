"""Errors against float64 of each of Winograd's variants, by channels and data, and a drawing of them.

``python benchmarks/winograd_errors.py measure FILE.json``, then ``... draw FILE.json FILE.svg``. float32; normal
values, the same after a ReLU, and a photograph; weights are normal.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import _core, numerics
from fastconv.arguments import Array
from fastconv.bench import image
from fastconv.bench.baselines import float64_result
from fastconv.bench.layers import NamedLayer
from fastconv.bench.provenance import provenance

CHANNELS = (1, 4, 16, 64, 256, 512)
DATA = {"normal": "tab:blue", "post-ReLU": "tab:orange", "photograph": "tab:green"}
# One layer for each shape of kernel that has variants: 32 filters, 30 x 30 outputs, tails included.
LAYERS = [
    NamedLayer(
        f"{R}x{S}" + (f" by {stride}" if stride > 1 else ""), 1, 30 * stride, 30 * stride, 32, R, S,
        stride=(stride, stride), padding=((R // 2, R // 2), (S // 2, S // 2)),
    )
    for R, S, stride in ((3, 3, 1), (5, 5, 1), (7, 7, 1), (1, 3, 1), (1, 5, 1), (1, 7, 1), (3, 3, 2), (5, 5, 2))
]  # fmt: skip


def values(data: str, layer: NamedLayer) -> Array:
    if data == "photograph":
        return image.as_input(image.load(image.default_photograph()), layer.input_shape, np.float32)
    x = layer.random_input()
    return np.maximum(x, np.float32(0)) if data == "post-ReLU" else x


def measured() -> list[dict[str, Any]]:
    """A row per variant, channels and data: rms and largest error over the output's rms, and what the model says."""
    rows = []
    for shape in LAYERS:
        for C in CHANNELS:
            layer = NamedLayer(**(vars(shape) | {"C": C}))
            w = layer.random_weight()
            problem = layer.problem()
            plans = {"direct": ("direct", problem)} | {
                name: ("winograd", problem.with_variant(number))
                for name, number in _core.variants("winograd", problem).items()
            }
            for data in DATA:
                x = values(data, layer)
                exact = float64_result(x, w, layer)
                scale = float(np.sqrt(np.mean(exact**2)))
                for name, (algorithm, p) in plans.items():
                    errors = np.abs(_core.run_once(p, algorithm, None, x, w, None, None) - exact) / scale
                    rows.append({
                        "kernel": shape.name, "variant": name, "C": C, "data": data,
                        "rms": float(f"{np.sqrt(np.mean(errors**2)):.3g}"), "largest": float(f"{errors.max():.3g}"),
                        "model": float(f"{numerics.expected_error(algorithm, p):.3g}"),
                        "bound": float(f"{numerics.error_bound(algorithm, p):.3g}"),
                    })  # fmt: skip
    return rows


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """A panel per variant: errors over channels; rms filled, largest hollow, the model and the bound as lines."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    # Text as text; and the same drawing is the same file.
    pyplot.rcParams |= {"svg.hashsalt": "fastconv", "svg.fonttype": "none"}
    kinds = list(dict.fromkeys((row["kernel"], row["variant"]) for row in rows if row["variant"] != "direct"))
    kinds.insert(0, ("3x3", "direct"))
    columns = 4
    lines = -(-len(kinds) // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(11, 2.3 * lines), sharex=True, sharey=True, squeeze=False)
    for panel in axes.flat[len(kinds) :]:
        panel.set_visible(False)
    for panel, (kernel, variant) in zip(axes.flat, kinds, strict=False):
        own = [row for row in rows if (row["kernel"], row["variant"]) == (kernel, variant)]
        for data, colour in DATA.items():
            some = [row for row in own if row["data"] == data]
            channels = [row["C"] for row in some]
            panel.plot(channels, [row["rms"] for row in some], "o-", ms=3, lw=1, color=colour, label=f"rms, {data}")
            panel.plot(channels, [row["largest"] for row in some], "o:", ms=3, lw=0.7, mfc="white", color=colour,
                       label=f"largest, {data}")  # fmt: skip
        some = [row for row in own if row["data"] == "normal"]
        for name, style in (("model", "-"), ("bound", ":")):
            panel.plot([row["C"] for row in some], [row[name] for row in some], f"k{style}", lw=1,
                       label={"model": "expected rms", "bound": "bound"}[name])  # fmt: skip
        panel.set_title(f"{variant}" + (", 3x3" if variant == "direct" else ""), fontsize=9)
        panel.set_xscale("log", base=2)
        panel.set_xticks(CHANNELS, [str(C) for C in CHANNELS])
        panel.set_yscale("log")
        panel.grid(alpha=0.3)
    figure.supxlabel("channels", fontsize=9)
    figure.supylabel("error over the output's rms", fontsize=9)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower right", ncols=2, fontsize=8)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("measure", "draw"))
    parser.add_argument("data", type=Path)
    parser.add_argument("drawing", type=Path, nargs="?")
    options = parser.parse_args()
    if options.task == "measure":
        lines = ",\n".join(" " + json.dumps(row) for row in measured())
        origin = json.dumps(provenance() | {"argv": []})
        options.data.write_text(f'{{"provenance": {origin},\n"rows": [\n{lines}\n]}}\n')
    else:
        draw(json.loads(options.data.read_text())["rows"], options.drawing or options.data.with_suffix(".svg"))


if __name__ == "__main__":
    main()
