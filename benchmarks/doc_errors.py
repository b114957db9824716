"""The parts of docs/numerics.md that come from measure_errors.py; see write_docs.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from doc_tables import Run, prose, table


def winograd_errors(run: Run) -> Iterator[str]:
    """Variants down, channels across."""
    rows: dict[str, dict[int, Run]] = {}
    for row in run["winograd"]:
        rows.setdefault(row["variant"], {})[row["channels"]] = row
    channels = sorted({row["channels"] for row in run["winograd"]})
    yield from table(
        ("<variant", *(f"{count} channels" for count in channels)),
        [
            [name, *(f"{_short(found[c]['rms'])} ({found[c]['largest']:.0f})" if c in found else "-" for c in channels)]
            for name, found in rows.items()
        ],
    )


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def activation_errors(run: Run) -> Iterator[str]:
    """Activations down, dtypes across."""
    rows = {(row["activation"], row["dtype"]): row for row in run["activations"]}
    names = list(dict.fromkeys(name for name, _ in rows))
    dtypes = list(dict.fromkeys(dtype for _, dtype in rows))
    yield from table(
        (
            "<activation",
            *(f"{dtype}: {kind}" for dtype in dtypes for kind in ("absolute", "relative")),
            "<relative over",
        ),
        [
            [
                f"`{name}`",
                *(
                    f"{rows[name, dtype][f'largest_{kind}']:.1e}"
                    for dtype in dtypes
                    for kind in ("absolute", "relative")
                ),
                rows[name, dtypes[0]]["relative_over"],
            ]
            for name in names
        ],
    )
    yield ""
    below = " and ".join(f"{rows[name, 'float32']['at_minus_10000']:.1e} (`{name}`)" for name in ("sigmoid", "silu"))
    yield from prose(f"Far below zero, at -10000, float32 results stay at {below}: exp is clamped.")


def isa_differences(run: Run) -> Iterator[str]:
    """How far instruction sets are apart."""
    yield from table(
        ("<algorithm", "<instruction sets", "outputs that differ", "largest difference / rms"),
        [
            [
                f"`{row['algorithm']}`",
                f"{row['isa']}, {row['against']}",
                f"{row['differing']:.0%}",
                f"{row['largest']:.1e}" if row["largest"] else "0",
            ]
            for row in run["instruction_sets"]
        ],
    )


def expected_errors(run: Run) -> Iterator[str]:
    """What the model says of two layers."""
    rows = {(row["algorithm"], row["channels"]): row for row in run["model"]}
    yield from table(
        (
            "<3x3 layer, 56 x 56",
            *(f"`{name}`: {what}" for name in ("direct", "winograd") for what in ("expected", "bound")),
        ),
        [
            [
                f"{count} -> {count} channels",
                *(
                    f"{rows[name, count][what]:.1e}"
                    for name in ("direct", "winograd")
                    for what in ("expected", "bound")
                ),
            ]
            for count in sorted({count for _, count in rows})
        ],
    )


PARTS: dict[str, Callable[..., Iterator[str]]] = {
    part.__name__: part for part in (winograd_errors, activation_errors, isa_differences, expected_errors)
}
"""By the name that a document gives."""
