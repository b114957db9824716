"""What would run, and why: answers that need shapes, not data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from fastconv import _core, dispatch, numerics
from fastconv._core import Problem
from fastconv.arguments import Layer, Limits, Shape, as_accuracy, as_layer, as_workspace_limit
from fastconv.geometry import Padding, Pair


def algorithms() -> tuple[str, ...]:
    """The names that ``algorithm=`` takes beside "auto".

    Returns:
        Names in the order of the registry.
    """
    return _core.algorithms()


def summary(algorithm: str) -> str:
    """What an algorithm does, in a line.

    Args:
        algorithm: A name from :func:`algorithms`.
    Raises:
        TypeError: `algorithm` is not a string.
        ValueError: There is no such algorithm.
    """
    return _core.summary(_known(algorithm))


def rejects(algorithm: str, problem: Problem) -> str | None:
    """Why an algorithm does not accept a problem.

    Args:
        algorithm: A name from :func:`algorithms`.
        problem: A :class:`Problem`, for instance ``explain(...).problem``.
    Returns:
        The reason, or None if it accepts the problem.
    Raises:
        TypeError: `algorithm` is not a string, or `problem` not a Problem.
        ValueError: There is no such algorithm.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: expected a fastconv.Problem, got {type(problem).__name__}")
    return _core.rejects(_known(algorithm), problem)


def _known(algorithm: str) -> str:
    if dispatch.as_algorithm(algorithm) == "auto":
        raise ValueError(f"algorithm: expected one of {', '.join(_core.algorithms())}, got 'auto'")
    return algorithm


def conv_output_shape(
    input_shape: Shape,
    weight_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    layout: str = "NCHW",
) -> Shape:
    """The shape :func:`fastconv.conv2d` would return.

    Args:
        input_shape: (N, C, H, W) or (C, H, W), or with ``layout="NHWC"`` (N, H, W, C) or (H, W, C).
        weight_shape: (K, C // groups, R, S).
        stride, padding, dilation, groups, layout: As in :func:`fastconv.conv2d`.
    Returns:
        (N, K, P, Q) or (K, P, Q), or with ``layout="NHWC"`` (N, P, Q, K) or (P, Q, K).
    Raises:
        ValueError, TypeError: As `conv2d` would.

    >>> conv_output_shape((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3)
    (1, 64, 112, 112)
    """
    return as_layer(input_shape, weight_shape, stride, padding, dilation, groups, layout=layout).output_shape


@dataclass(frozen=True)
class AlgorithmReport:
    """What one algorithm would do with a problem. Where it rejects the problem, everything but `reason` is None.

    Attributes:
        algorithm: Its name.
        reason: Why it cannot run: it rejects the problem, or needs more than the workspace limit; None if it can.
        variant: The inner choice it makes, "" if it has none.
        details: What that choice is made of and why not another, in words: of Winograd's variants the interpolation
            points, tiles and expected error, and what is wrong with the others. None if there is no more to say.
        cost_us: Estimated microseconds of one thread, with the present instruction set.
        workspace_bytes: Scratch memory of a call with the present number of threads, packed weights not included.
        packed_bytes: The weights in its own order.
        multiply_adds: Multiplications that it does: fewer than the definition for Winograd (in the transformed domain,
            whole tiles), more for the dense matrix.
        expected_error: Root mean square of the rounding errors over that of the output, as :mod:`fastconv.numerics`
            models it.
    """

    algorithm: str
    reason: str | None
    variant: str | None = None
    cost_us: float | None = None
    workspace_bytes: int | None = None
    packed_bytes: int | None = None
    multiply_adds: int | None = None
    expected_error: float | None = None
    details: str | None = None


@dataclass(frozen=True)
class Explanation:
    """The answer of :func:`explain`; ``print`` it for a table.

    Attributes:
        problem: The layer, in the core's letters; unless `prepared`, with the variant of Winograd that a single call
            takes.
        output_shape: In the user's layout.
        layout: "NCHW" or "NHWC".
        multiply_adds: By the definition, padded taps included.
        weights: How many there are.
        input_bytes, weight_bytes, output_bytes: Of the tensors.
        isa: The instruction set the estimates are for.
        threads: The number of threads the workspace is for.
        prepared: Whether weights are packed beforehand; if not, costs include packing.
        workspace_limit: In bytes, or None.
        max_error: Largest error that may be expected, over the output's rms; None if only `problem.error_limit` counts.
        reports: One per algorithm, in the order of :func:`algorithms`.
        chosen: The algorithm that would run; None if none would within the limit.
        why: The reason of the choice, or why there is none.
    """

    problem: Problem
    output_shape: Shape
    layout: str
    multiply_adds: int
    weights: int
    input_bytes: int
    weight_bytes: int
    output_bytes: int
    isa: str
    threads: int
    prepared: bool
    workspace_limit: int | None
    max_error: float | None
    reports: tuple[AlgorithmReport, ...]
    chosen: str | None
    why: str

    def __str__(self) -> str:
        return _as_text(self)


def explain(
    input_shape: Shape,
    weight_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    dtype: npt.DTypeLike = "float32",
    layout: str = "NCHW",
    prepared: bool = False,
    workspace_limit: int | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
) -> Explanation:
    """What ``algorithm="auto"`` would run and why; what every algorithm would cost, or why it refuses. Needs no data.

    Args:
        input_shape: (N, C, H, W) or (C, H, W), or with ``layout="NHWC"`` (N, H, W, C) or (H, W, C).
        weight_shape: (K, C // groups, R, S).
        stride, padding, dilation, groups, layout: As in :func:`fastconv.conv2d`.
        dtype: float32 or float64.
        prepared: True for :class:`Conv2d`, whose weights are packed beforehand; False for :func:`conv2d`.
        workspace_limit: Most scratch memory, in bytes, as in :func:`fastconv.conv2d`; None for no limit.
        accuracy, max_error: As in :func:`fastconv.conv2d`.
    Returns:
        An :class:`Explanation`.
    Raises:
        ValueError, TypeError: As `conv2d` would; but a limit under which nothing runs is explained, not raised.

    >>> explain((1, 64, 56, 56), (64, 64, 3, 3), padding=1, prepared=True).chosen
    'winograd'
    """
    layer = as_layer(input_shape, weight_shape, stride, padding, dilation, groups, layout=layout, dtype=dtype)
    limits = as_accuracy(accuracy, max_error)
    limit = as_workspace_limit(workspace_limit)
    return explain_layer(limits.applied(layer), "auto", prepared=prepared, workspace_limit=limit, max_error=limits.most)


def explain_layer(
    layer: Layer, algorithm: str, *, prepared: bool, workspace_limit: int | None, max_error: float | None
) -> Explanation:
    """:func:`explain` from checked arguments; `algorithm` is "auto" or a name."""
    p = dispatch.for_one_call(layer.problem) if algorithm == "auto" and not prepared else layer.problem
    chosen: str | None
    try:
        chosen, why = dispatch.resolve(
            algorithm, p, prepared=prepared, workspace_limit=workspace_limit, max_error=max_error
        )
    except ValueError as error:
        chosen, why = None, str(error)
    return Explanation(
        problem=p,
        output_shape=layer.output_shape,
        layout=layer.layout,
        multiply_adds=p.multiply_adds,
        weights=math.prod(p.weight_shape),
        input_bytes=p.input_bytes,
        weight_bytes=p.weight_bytes,
        output_bytes=p.output_bytes,
        isa=_core.get_isa(),
        threads=_core.get_num_threads(),
        prepared=prepared,
        workspace_limit=workspace_limit,
        max_error=max_error,
        reports=tuple(_report(name, p, prepared, workspace_limit, max_error) for name in _core.algorithms()),
        chosen=chosen,
        why=why,
    )


def explain_problems(problems: list[Problem], algorithm: str, limits: Limits) -> tuple[Explanation, ...]:
    """Of the convolutions of images that a prepared form is made of."""
    return tuple(
        explain_layer(
            Layer(limits.problem(problem), batched=True),
            algorithm,
            prepared=True,
            workspace_limit=None,
            max_error=limits.most,
        )
        for problem in problems
    )


def _report(
    algorithm: str, p: Problem, prepared: bool, workspace_limit: int | None, max_error: float | None
) -> AlgorithmReport:
    if reason := _core.rejects(algorithm, p):
        return AlgorithmReport(algorithm, reason)
    return AlgorithmReport(
        algorithm,
        dispatch.ruled_out(algorithm, p, prepared=prepared, workspace_limit=workspace_limit, max_error=max_error),
        _core.variant(algorithm, p),
        _core.cost(algorithm, p, prepared),
        _core.workspace_bytes(algorithm, p),
        _core.packed_bytes(algorithm, p),
        _core.multiply_adds(algorithm, p),
        numerics.expected_error(algorithm, p),
        _core.details(algorithm, p),
    )


def quantity(value: float, unit: str, step: int) -> str:
    """A number with three digits and a prefix: ``quantity(1536, "B", 1024)`` is "1.5 KiB"."""
    prefixes = ("", "K", "M", "G", "T", "P", "E")
    power = 0
    while value >= step and power < len(prefixes) - 1:
        value, power = value / step, power + 1
    digits = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    infix = "i" if step == 1024 and power else ""
    return f"{digits} {prefixes[power]}{infix}{unit}".rstrip()


def _as_text(e: Explanation) -> str:
    p = e.problem
    pads = f"(({p.pad_top}, {p.pad_bottom}), ({p.pad_left}, {p.pad_right}))"
    beforehand = "packed beforehand" if e.prepared else "packed at each call"
    lines = [
        f"input {p.input_shape}, weight {p.weight_shape} -> output {p.output_shape}, {p.dtype}, as (N, C, H, W)",
        f"stride {p.stride_h, p.stride_w}, padding {pads}, dilation {p.dilation_h, p.dilation_w}, groups {p.groups}",
        f"{quantity(e.multiply_adds, '', 1000)} multiply-adds, {e.weights} weights; input "
        f"{quantity(e.input_bytes, 'B', 1024)}, weights {quantity(e.weight_bytes, 'B', 1024)}, "
        f"output {quantity(e.output_bytes, 'B', 1024)}",
        f"{e.isa}, threads: {e.threads}; weights {beforehand}"
        + ("" if e.workspace_limit is None else f"; workspace limit {e.workspace_limit} bytes")
        + f"; errors within {p.error_limit:.3g} epsilon (rms)"
        + ("" if e.max_error is None else f", largest {e.max_error:.3g}"),
        "",
    ]
    header = ("", "algorithm", "variant", "estimate", "workspace", "packed", "mult-adds", "error")
    rows, reasons = [header], [""]
    for r in e.reports:
        mark = "*" if r.algorithm == e.chosen else ""
        if r.variant is None or r.cost_us is None or r.workspace_bytes is None or r.packed_bytes is None:
            cells = ("",) * 6
        else:
            cells = (
                r.variant,
                f"{r.cost_us:.4g} us",
                quantity(r.workspace_bytes, "B", 1024),
                quantity(r.packed_bytes, "B", 1024),
                quantity(r.multiply_adds or 0, "", 1000),
                f"{r.expected_error or 0:.1e}",
            )
        rows.append((mark, r.algorithm, *cells))
        reasons.append("" if r.reason is None else f"no: {r.reason}")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, reason in zip(rows, reasons, strict=True):
        left = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        if not any(row[2:]):  # the reason takes the place of the figures
            lines.append("  ".join([*left[:2], reason]).rstrip())
        else:
            lines.append("  ".join([*left, *right, reason]).rstrip())
    for r in e.reports:
        if r.details is not None:
            first, *others = r.details.split("; ")
            lines += ["", f"{r.algorithm}'s {first}", *(f"    {other}" for other in others)]
    lines += ["", f"chosen: {e.chosen or 'none'} - {e.why}"]
    return "\n".join(lines)


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, dict[str, Any]]: ...
def show_config(mode: str = "stdout") -> dict[str, dict[str, Any]] | None:
    """Print what fastconv runs with: version, compiler, instruction sets, CPU, caches, threads, NumPy.

    Args:
        mode: "stdout" prints; "dicts" returns the same as a dict of dicts, as :func:`numpy.show_config` does.
    Returns:
        None, or with ``mode="dicts"`` the sections "fastconv", "isa", "cpu" (caches in bytes), "threads" and "numpy".
    Raises:
        ValueError: Another mode.
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode: expected 'stdout' or 'dicts', got {mode!r}")
    config: dict[str, dict[str, Any]] = {
        "fastconv": dict(_core.build_info()),
        "isa": {
            "in_use": _core.get_isa(),
            "available": list(_core.available_isas()),
            "compiled": list(_core.compiled_isas()),
            "to_force": f"environment variable FASTCONV_ISA, one of: {', '.join(_core.available_isas())}",
        },
        "cpu": dict(_core.cpu_info()),
        "threads": {
            "in_use": _core.get_num_threads(),
            "default": _core.default_num_threads(),
            "to_set": "environment variable FASTCONV_NUM_THREADS, or fastconv.set_num_threads(n)",
        },
        "numpy": {"version": np.__version__},
    }
    if mode == "dicts":
        return config
    for section, entries in config.items():
        print(f"{section}:")
        for name, value in entries.items():
            print(f"  {name}: {', '.join(value) if isinstance(value, list) else value}")
    return None
