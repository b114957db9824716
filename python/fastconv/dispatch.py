"""Which algorithm runs: the policy, to be read and changed.

The first rule whose condition holds and whose algorithm accepts the problem, within the workspace limit, decides. A
choice is made once per problem and then remembered by the core or by a plan. It depends on the problem, on whether the
weights are prepared and on the limit; not on the number of threads, so that results do not either (but under a
workspace limit it is the workspace of the present number of threads that has to fit).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from fastconv import _core, numerics
from fastconv._core import Layer, Problem

# Winograd's transforms cost a multiple of C + K per tile, its gain grows with C * K. Below this, in a group, vectors
# of channels stay half empty.
WINOGRAD_CHANNELS = 16
# `grouped` reads the image once for every two filters, so its estimate holds while few channels add up, or it reads
# the image once. (8 -> 8 on 8 x 8 pixels, 3x3: 1.0 us, with im2col 4.4. 31 -> 1 on 92 x 183, 6 apart: 141 us, direct
# 225.)
FEW_CHANNELS = 8
FILTERS_AT_ONCE = 2
# `depthwise` has loops of its own for channels along vectors, and where there are several rows of outputs, for these
# variants. Of all others estimates decide: a single row leaves most of a tile empty. (944 channels of 495, 31 taps 8
# apart: 3.1 ms, `direct` 0.53.)
DEPTHWISE_MARGIN = 1.5  # of several rows: the others' estimates take no account of short rows of outputs
OWN_LOOPS = ("in place", "in place, the image sliding over the kernel")
# Spectra never pay below this many taps, and estimates are not asked for. Where they do they pay by a multiple, so a
# margin costs little and keeps layers at the border with the algorithms whose errors are local.
LARGE_KERNEL = 25
FFT_MARGIN = 0.75

# One product with the weights as they lie, most inputs per channel: a value costs 0.5 to 1 ns to add up, a weight 2 ns
# to bring into order. By stride 1 convolutions have Winograd's transforms to win back what their weights cost. (One
# thread; 512 -> 256 by 2, 16 taps, on 32 pixels: 1.7 ms against 7 to 17; 256 -> 128 on 256: 2.8 against 3.6; 3x3 by 1,
# 512 -> 512 on 196: 10.2 against 10.8.)
INPUTS_PER_CHANNEL = 2.0
INPUTS_PER_CHANNEL_BY_1 = 0.2


class Choice(NamedTuple):
    """An algorithm, and why it was chosen, in words."""

    algorithm: str
    reason: str


class Rule(NamedTuple):
    """`applies(problem, prepared)` says whether `algorithm` is to be preferred, for `reason`."""

    algorithm: str
    reason: str
    applies: Callable[[Problem, bool], bool]


def _cost(algorithm: str, problem: Problem, prepared: bool) -> float:
    """Estimated microseconds; infinite if the algorithm does not accept the problem."""
    if _core.rejects(algorithm, problem) is not None:
        return float("inf")
    return _core.cost(algorithm, problem, prepared)


def _fills_register_tiles(p: Problem) -> bool:
    return min(p.C, p.K) // p.groups >= WINOGRAD_CHANNELS


def _is_one_output(p: Problem, _: bool) -> bool:
    return p.P == p.Q == 1 and (p.R, p.S) == (p.H, p.W)


def _has_few_channels(p: Problem) -> bool:
    return p.groups > 1 or p.C <= FEW_CHANNELS or p.K <= FILTERS_AT_ONCE


def _costs_least(algorithm: str, p: Problem, prepared: bool) -> bool:
    return _cost(algorithm, p, prepared) <= min(_cost("direct", p, prepared), _cost("im2col", p, prepared))


def _has_own_filters(p: Problem) -> bool:
    return p.groups == p.C > 1


def _depthwise_pays(p: Problem, prepared: bool) -> bool:
    others = min(_cost(name, p, prepared) for name in ("direct", "im2col", "grouped", "matvec", "pointwise"))
    margin = 1.0 if _is_row(p) else DEPTHWISE_MARGIN
    return _cost("depthwise", p, prepared) <= margin * others


def _is_row(p: Problem) -> bool:
    """Whether there is one row of outputs, or one column, which is seen as a row."""
    return p.P == 1 or p.W == p.S == p.Q == 1


def _has_own_loops(p: Problem) -> bool:
    if not _has_own_filters(p):
        return False
    variant = _core.variant("depthwise", p)
    return variant == "channel lanes" or (variant in OWN_LOOPS and not _is_row(p))


def _transforms_cost_least(p: Problem, prepared: bool) -> bool:
    if p.R * p.S < LARGE_KERNEL:
        return False
    others = ("depthwise", "grouped", "winograd", "direct", "im2col")
    return _cost("fft", p, prepared) < FFT_MARGIN * min(_cost(name, p, prepared) for name in others)


RULES = (
    Rule(
        "fft",
        "a large kernel: spectra of tiles are estimated clearly faster than anything that adds up taps",
        _transforms_cost_least,
    ),
    Rule("depthwise", "each channel has filters of its own (groups == C)", lambda p, _: _has_own_loops(p)),
    Rule(
        "depthwise",
        "each channel has filters of its own, and estimated no slower than the others",
        lambda p, prepared: _has_own_filters(p) and _depthwise_pays(p, prepared),
    ),
    Rule("matvec", "one output pixel: bound by reading the weights, once for all images", _is_one_output),
    Rule("pointwise", "1x1 kernel: one matrix product on the image itself", lambda p, _: p.R == p.S == 1),
    Rule(
        "depthwise",
        "one channel, and estimated no slower than direct and im2col",
        lambda p, prepared: p.C == 1 and _costs_least("depthwise", p, prepared),
    ),
    Rule(
        "grouped",
        "few channels per group: estimated no slower than direct and im2col",
        lambda p, prepared: _has_few_channels(p) and _costs_least("grouped", p, prepared),
    ),
    Rule(
        "winograd",
        f"at least {WINOGRAD_CHANNELS} channels, and estimated no slower than direct and im2col, transforms included",
        lambda p, prepared: _fills_register_tiles(p) and _costs_least("winograd", p, prepared),
    ),
    Rule(
        "direct",
        "estimated no slower than im2col",
        lambda p, prepared: _cost("direct", p, prepared) <= _cost("im2col", p, prepared),
    ),
    Rule("im2col", "estimated faster than direct, or direct is ruled out", lambda p, _: True),
    Rule("direct", "im2col is ruled out", lambda p, _: True),
    Rule("depthwise", "the faster algorithms are ruled out", lambda p, _: True),
    Rule("matvec", "the faster algorithms are ruled out", lambda p, _: True),
    Rule("grouped", "the faster algorithms are ruled out", lambda p, _: True),
    Rule("pointwise", "the faster algorithms are ruled out", lambda p, _: True),
    Rule("winograd", "the faster algorithms are ruled out", lambda p, _: True),
    Rule("fft", "the faster algorithms are ruled out", lambda p, _: True),
    Rule("reference", "nothing else accepts the problem within the limit", lambda p, _: True),
    Rule("dense", "nothing else accepts the problem within the limit", lambda p, _: True),
)


def pays_as_one_product(layer: Layer) -> bool:
    """Whether a transposed layer whose weights are used once runs as one product and additions.

    Parts want weights in an order of their own, which takes two passes over them. The product of the inputs with the
    weights as they are, (C) x (K / groups, taps), needs none, but makes a value for each input, filter and tap, which
    is then added to the output under it. So it pays where there are few inputs and many channels.

    Source: the product before the additions is that of Chellapilla, Puri and Simard, 2006, transposed.
    """
    most = INPUTS_PER_CHANNEL_BY_1 if set(layer.stride) == {1} else INPUTS_PER_CHANNEL
    return layer.N * math.prod(layer.extents) <= most * (layer.C // layer.groups)


def splits_depth(layer: Layer, prepared: bool) -> bool:
    """Whether products with padding in depth take longer than to bring the weights of more parts into order.

    A weight takes about as long as 100 products. Prepared forms do it once, but keep all these weights.
    """
    products, wasted, weights = _core.depth_savings(layer)
    pixels = layer.N * math.prod(layer.outputs[1:])
    return wasted * 12 > products and (prepared or wasted * pixels > 100 * weights)


def for_one_call(problem: Problem) -> Problem:
    """The problem as "auto" computes it where weights are packed in the call.

    Winograd's variants differ in what packing takes: here by the one that takes least with it. An algorithm that is
    asked for by name keeps the variant that takes least without, so that a call has the bits of an operator.
    """
    best = problem
    for number in _core.variants("winograd", problem).values():
        named = problem.with_variant(number)
        error = _core.expected_error("winograd", named)
        if error is not None and error <= problem.error_limit:
            best = min(best, named, key=lambda p: _cost("winograd", p, False))
    return best


def scratch_bytes(algorithm: str, problem: Problem, prepared: bool) -> int:
    """What `workspace_limit` limits: the workspace of a call, and its packed weights unless packed beforehand."""
    packed = 0 if prepared else _core.packed_bytes(algorithm, problem)
    return _core.workspace_bytes(algorithm, problem) + packed


def ruled_out(
    algorithm: str, problem: Problem, *, prepared: bool, workspace_limit: int | None, max_error: float | None = None
) -> str | None:
    """Why the algorithm cannot run the problem within the limits, or None."""
    reason = _core.rejects(algorithm, problem)
    if reason is None and workspace_limit is not None:
        needed = scratch_bytes(algorithm, problem, prepared)
        if needed > workspace_limit:
            what = "workspace" if prepared else "workspace and packed weights"
            reason = f"needs {needed} bytes of {what}, workspace_limit is {workspace_limit}"
    if reason is None and max_error is not None:
        bound = numerics.error_bound(algorithm, problem)
        if bound > max_error:
            reason = f"may be off by {bound:.2g} of the output's rms, max_error is {max_error:.2g}"
    return reason


def choose(
    problem: Problem, *, prepared: bool, workspace_limit: int | None = None, max_error: float | None = None
) -> Choice:
    """The algorithm that "auto" stands for.

    Args:
        problem: The layer.
        prepared: Whether the weights are packed beforehand, as in :class:`fastconv.Conv2d`.
        workspace_limit: Most scratch memory, in bytes, as in :func:`fastconv.conv2d`; None for no limit.
        max_error: Largest error that may be expected, over the output's rms; None if only the problem's error limit
            counts.
    Returns:
        The algorithm's name, and why.
    Raises:
        ValueError: No algorithm runs within the limits; the text says how much the most frugal one needs.
    """
    for rule in RULES:
        if rule.applies(problem, prepared) and not ruled_out(
            rule.algorithm, problem, prepared=prepared, workspace_limit=workspace_limit, max_error=max_error
        ):
            return Choice(rule.algorithm, rule.reason)
    accepting = [name for name in _core.algorithms() if _core.rejects(name, problem) is None]
    if max_error is not None:
        bound, name = min((numerics.error_bound(name, problem), name) for name in accepting)
        if bound > max_error:
            raise ValueError(
                f"max_error: expected at least {bound:.2g}, which {name!r} keeps here, got {max_error:.2g}"
            )
        accepting = [name for name in accepting if numerics.error_bound(name, problem) <= max_error]
    least, name = min((scratch_bytes(name, problem, prepared), name) for name in accepting)
    raise ValueError(
        f"workspace_limit: expected at least {least} bytes, which {name!r} needs here, got {workspace_limit}"
    )


def as_algorithm(algorithm: object) -> str:
    """The name of an algorithm, or "auto"; TypeError or ValueError otherwise."""
    known = ("auto", *_core.algorithms())
    if not isinstance(algorithm, str):
        raise TypeError(f"algorithm: expected one of {', '.join(known)}, got {algorithm!r}")
    if algorithm not in known:
        raise ValueError(f"algorithm: expected one of {', '.join(known)}, got {algorithm!r}")
    return algorithm


def resolve(
    algorithm: str, problem: Problem, *, prepared: bool, workspace_limit: int | None, max_error: float | None = None
) -> Choice:
    """The algorithm for "auto" or for a name; ValueError if it rejects the problem or does not keep the limits."""
    if algorithm == "auto":
        return choose(problem, prepared=prepared, workspace_limit=workspace_limit, max_error=max_error)
    if reason := ruled_out(algorithm, problem, prepared=prepared, workspace_limit=workspace_limit, max_error=max_error):
        raise ValueError(f"algorithm: {algorithm!r} cannot run this problem: {reason}")
    return Choice(algorithm, "asked for by name")
