"""The measured parts of the documents: functions from the JSON of runs to lines of Markdown; see write_docs.py."""

from __future__ import annotations

import shlex
import statistics
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastconv.bench import texts
from fastconv.bench.peers.outcome import geometric_mean

Run = dict[str, Any]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Markdown; a column whose name begins with "<" is text, the others are figures."""
    yield f"| {' | '.join(column.removeprefix('<') for column in columns)} |"
    yield f"|{'|'.join(':--' if column.startswith('<') else '--:' for column in columns)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def prose(text: str) -> list[str]:
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def command(run: Run) -> str:
    """What was typed."""
    return run.get("command") or f"fastconv {shlex.join(run['argv'])}"


def sources(*runs: Run) -> Iterator[str]:
    """Where the numbers are, and what made them."""
    for run in runs:
        yield f"- [{run['file']}.json](MEASURED/{run['file']}.json): `{command(run)}`"


def threads(run: Run) -> str:
    return {1: "one thread", 2: "two threads"}.get(run["threads"], f"{run['threads']} threads")


def machine(run: Run) -> Iterator[str]:
    """The machine and the versions of a run."""
    engines = ", ".join(f"{name} {version}" for name, version in run.get("engines", {}).items() if name != "fastconv")
    yield from prose(
        f"Machine: {run['cpu']}, {run['usable_cpus']} cores, {run['isa']}; {run['compiler']}, "
        f"NumPy {run['numpy_version']}, Python {run['python_version']}." + (f" Engines: {engines}." if engines else "")
    )


# --- fastconv compare -------------------------------------------------------------------------------------------

COMPARED = {"numpy tensordot": "NumPy `tensordot`", "scipy correlate": "SciPy `correlate`"}
LEFT_OUT = ("matvec", "depthwise", "grouped", "dense", "reference")  # none of them is meant for these layers


def compare_machine(run: Run) -> Iterator[str]:
    """The machine, its peak among the turns too."""
    peak = statistics.median(layer["fma_peak_best_gflop_per_s"] for layer in run["parts"][0]["layers"])
    yield from prose(f"{' '.join(machine(run))} FMA peak {peak:.0f} GFLOP/s.")


def compare_table(run: Run) -> Iterator[str]:
    """Kernels down, algorithms across; those that "auto" takes are bold."""
    layers = [(layer["kernel"], {row["name"]: row for row in layer["rows"]}) for layer in run["parts"][0]["layers"]]
    names = [
        name
        for name in layers[0][1]
        if name not in LEFT_OUT and any(rows[name]["status"] == "measured" for _, rows in layers)
    ]
    heads = [COMPARED.get(name, f"`{name}`") for name in names]
    yield from table(("<kernel", *heads), [[kernel, *(_time(rows[name]) for name in names)] for kernel, rows in layers])


def _time(row: Run) -> str:
    if row["status"] != "measured":
        return "-"
    text = texts.time_text(row["time_median_us"])
    if row["kind"] == "algorithm":
        text += f" ({row['share_of_peak']:.0%})"
    return f"**{text}**" if row["is_auto"] else text


def compare_winograd(*runs: Run) -> Iterator[str]:
    """By how much `winograd` beats `im2col` on the 3x3 layer of each run, and the memory it takes there."""
    found = []
    for run in runs:
        layer = next(layer for layer in run["parts"][0]["layers"] if layer["kernel"] == "3x3")
        rows = {row["name"]: row for row in layer["rows"]}
        _, C, H, W = layer["input_shape"]
        winograd, im2col = rows["winograd"], rows["im2col"]
        ratio = im2col["time_median_us"] / winograd["time_median_us"]
        found.append(
            f"{C} -> {layer['weight_shape'][0]} channels on {H} x {W}: {ratio:.1f} times as fast "
            f"({texts.time_text(winograd['time_median_us'])} against {texts.time_text(im2col['time_median_us'])}; "
            f"workspace {texts.bytes_text(winograd['workspace_bytes'])} against "
            f"{texts.bytes_text(im2col['workspace_bytes'])})"
        )
    yield from prose(f"3x3 by `winograd` against `im2col`. {'. '.join(found)}. Data and commands:")
    yield ""
    yield from sources(*runs)


# --- fastconv bench ---------------------------------------------------------------------------------------------


def peers_title(run: Run) -> str:
    others = [name for name in run["engines"] if name != "fastconv"]
    against = f", against {' and '.join(others)}" if len(others) < 4 else ""
    return f"{run['layout']} in and out, {threads(run)}{against}"


def peers_classes(*runs: Run) -> Iterator[str]:
    """Classes of layers down, runs across."""
    yield from table(
        ("<class", *(f"<{peers_title(run)}" for run in runs)),
        [[name, *(_class(run, name) for run in runs)] for name in (group["group"] for group in runs[0]["classes"])],
    )


def _class(run: Run, name: str) -> str:
    found = next((group for group in run["classes"] if group["group"] == name), None)
    if found is None:
        return "-"
    return (
        f"mean {found['geometric_mean']:.2f}, worst {found['worst']:.2f} ({found['worst_layer']}); "
        f"{found['share_of_peak']:.0%} of peak, {found['share_of_limit']:.0%} of limit"
    )


def peers_layers(run: Run) -> Iterator[str]:
    """Every layer of a run."""
    columns = ("<layer", "<class", "<fastconv", "time", "<best peer", "time", "ratio", "of peak", "of limit")
    rows = []
    for layer in run["layers"]:
        own = next(entry for entry in layer["entries"] if entry["engine"] == "fastconv")
        best, ratio = layer["best_peer_us"], layer["ratio"]
        rows.append([
            layer["name"],
            layer["kind"],
            own["detail"],
            texts.time_text(layer["fastconv_us"]),
            layer["best_peer"] or "-",
            "-" if best is None else texts.time_text(best),
            ("-" if ratio is None else f"{ratio:.2f}") + "?" * layer["noisy"],
            f"{layer['share_of_peak']:.0%}",
            f"{layer['share_of_limit']:.0%}",
        ])  # fmt: skip
    yield from table(columns, rows)


def peers_sources(*runs: Run) -> Iterator[str]:
    """Machine, engines, and per run where its numbers are."""
    yield from machine(runs[0])
    yield ""
    yield from sources(*runs)


def algorithms(run: Run) -> Iterator[str]:
    """Classes of layers down, fastconv's algorithms across: mean share of the FMA peak, and where they were fastest."""
    names = [name for name in run["engines"] if name != "fastconv"]
    kinds = list(dict.fromkeys(layer["kind"] for layer in run["layers"]))
    rows = []
    for kind in kinds:
        layers = [layer for layer in run["layers"] if layer["kind"] == kind]
        rows.append([kind, str(len(layers)), *(_algorithm(name, layers) for name in names)])
    yield from table(("<class", "layers", *(f"`{name.removeprefix('fastconv ')}`" for name in names)), rows)
    yield ""
    share = run["auto"]["geometric_mean"]
    yield from prose(
        f"{run['cpu']}, {run['isa']}, {threads(run)}, {run['dtype']}. The best algorithm's time over that of "
        f"`auto`'s choice: {share:.3f} in the geometric mean over {run['auto']['layers']} layers, "
        f"{run['auto']['worst']:.2f} at worst ({run['auto']['worst_layer']})."
    )
    yield ""
    yield from sources(run)


def _algorithm(name: str, layers: Sequence[Run]) -> str:
    shares = []
    for layer in layers:
        entry = next(entry for entry in layer["entries"] if entry["engine"] == name)
        if entry["time_median_us"] is not None:
            rate = 2e-3 * layer["multiply_adds"] / entry["time_median_us"]
            shares.append(rate / layer["peak_gflop_per_s"])
    if not shares:
        return "-"
    wins = sum(layer["best_algorithm"] == name for layer in layers)
    text = f"{geometric_mean(shares):.0%}" + f" of {len(shares)}" * (len(shares) < len(layers))
    return f"**{text}**, {wins}" if wins else text


def memory(*runs: Run) -> Iterator[str]:
    """How far the stated memory is from what the operating system saw, in layers within 10 % or 1 MiB."""
    mib = 1 << 20
    rows = []
    for run in runs:
        pairs = []
        for layer in run["layers"]:
            own = next(entry for entry in layer["entries"] if entry["engine"] == "fastconv")
            pairs.append((own["stated_memory_bytes"], own["peak_memory_bytes"], layer["name"]))
        within = [pair for pair in pairs if abs(pair[1] - pair[0]) <= max(pair[0] / 10, mib)]
        stated, seen, worst = max(pairs, key=lambda pair: abs(pair[1] - pair[0]) / max(pair[0] / 10, mib))
        median = statistics.median(abs(pair[1] - pair[0]) for pair in pairs)
        rows.append([
            threads(run), f"{len(within)} of {len(pairs)}", texts.bytes_text(round(median)),
            f"{worst}: {texts.bytes_text(stated)} stated, {texts.bytes_text(seen)} seen",
        ])  # fmt: skip
    yield from table(("<run", "layers that agree", "median difference", "<worst"), rows)
    yield ""
    yield from sources(*runs)


# --- fastconv study ---------------------------------------------------------------------------------------------------


def study_times(*runs: Run) -> Iterator[str]:
    """How long studies took."""
    times = ", ".join(f"{run['scale']} {run['seconds']:.0f} s" for run in runs)
    yield from prose(
        f"Measuring took, with {threads(runs[0])} of {runs[0]['cpu']}, {runs[0]['isa']}: {times}. Their data:"
    )
    yield ""
    yield from sources(*runs)


PARTS: dict[str, Callable[..., Iterator[str]]] = {
    part.__name__: part
    for part in (
        compare_machine, compare_table, compare_winograd, peers_classes, peers_layers, peers_sources, algorithms,
        memory, study_times, sources, machine,
    )
}  # fmt: skip
"""By the name that a document gives."""
