"""The parts of the documents that come from winograd_*.py; see write_docs.py."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import winograd_table
from doc_tables import Run, prose


def error_findings(run: Run) -> Iterator[str]:
    """How the model and the bound compare with what was measured, on each kind of data."""
    rows = run["rows"]
    normal = {(row["variant"], row["kernel"], row["C"]): row for row in rows if row["data"] == "normal"}
    ours = [row for row in normal.values() if row["variant"] != "direct"]
    over = {(row["variant"], row["C"]): row["model"] / row["rms"] for row in ours}
    close = sum(1 / 1.1 <= ratio <= 1.1 for ratio in over.values())
    low, high = min(over, key=lambda at: over[at]), max(over, key=lambda at: over[at])
    yield from prose(
        f"- The model is fitted to normal data: within 10 % in {close} of {len(over)} cases; at most "
        f"{over[high]:.2f} times what was measured ({high[0]} of {high[1]} channels), at least {over[low]:.2f} times "
        f"({low[0]} of {low[1]})."
    )
    said = []
    for data in ("post-ReLU", "photograph"):
        others = [row for row in rows if row["data"] == data]
        ratios = {
            kind: statistics.median(
                row["rms"] / normal[row["variant"], row["kernel"], row["C"]]["rms"]
                for row in others
                if (row["variant"] == "direct") == (kind == "direct")
            )
            for kind in ("winograd", "direct")
        }
        said.append(f"{data} {ratios['winograd']:.2f} times (`direct`: {ratios['direct']:.2f})")
    yield from prose(
        f"- Rms errors on other data, over those on normal data, medians over variants and channels: {', '.join(said)}."
    )
    largest = {data: max(row["largest"] / row["bound"] for row in rows if row["data"] == data)
               for data in ("normal", "post-ReLU", "photograph")}  # fmt: skip
    parts = ", ".join(f"{value:.2f} of it on {data} data" for data, value in largest.items())
    yield from prose(f"- The largest error over the bound: {parts}.")


def choices(run: Run) -> Iterator[str]:
    """How good the choices of the cost model were."""
    for name, found in run["summary"].items():
        worst = found["worst"][0]
        plain = found["slowest_over_plain"]
        yield from prose(
            f"- Weights packed {'beforehand' if name == 'prepared' else 'in the call'}: on "
            f"{100 * found['share_within_5_percent']:.0f} % of {found['cells']} layers the choice takes at most 1.05 "
            f"of the fastest candidate's time; the mean is {found['mean_loss']:.3f}, the worst {worst['loss']:.2f} "
            f"({worst['layer']}). Where Winograd was chosen ({found['by_winograd']} layers) it takes at most "
            f"{plain['ratio']:.2f} of the time of the faster of `direct` and `im2col`."
        )


PARTS: dict[str, Callable[..., Iterator[str]]] = {
    "winograd_error_findings": error_findings,
    "winograd_choices": choices,
    **winograd_table.PARTS,
}
