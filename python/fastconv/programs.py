"""From a layer to what runs it: its parts, an algorithm for each of them, and the core's program of both.

All operators come this way, functions and prepared forms alike; :mod:`fastconv.dispatch` decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv import _core, dispatch
from fastconv.arguments import Array, Limits, Shape
from fastconv.arrays import is_ready, ready
from fastconv.layers import Form

Activation = tuple[str, float, float] | None


class Wanted(NamedTuple):
    """What a user says beside the layer itself.

    Attributes:
        workspace_limit: Most scratch memory of a call, in bytes; with packed weights unless they are prepared.
    """

    algorithm: str
    activation: Activation
    limits: Limits
    workspace_limit: int | None = None


def parts(layer: _core.Layer, wanted: Wanted, *, prepared: bool) -> tuple[_core.Lowering, list[_core.Problem]]:
    """The layer's lowering, and its convolutions of images with their error limits and variants."""
    lowering = _core.lower(layer, dispatch.splits_depth(layer, prepared))
    problems = [wanted.limits.problem(problem) for problem in lowering.problems]
    if wanted.algorithm == "auto" and not prepared:
        problems = [dispatch.for_one_call(problem) for problem in problems]
    return lowering, problems


def make(layer: _core.Layer, wanted: Wanted, *, prepared: bool, adds: bool = False) -> _core.Program:
    """The program of a layer.

    Args:
        prepared: Whether weights are packed beforehand.
        adds: Whether calls add to their output, a copy of which may be workspace.
    Raises:
        ValueError: An algorithm that is asked for rejects a part, or nothing runs within the limits.
    """
    lowering, problems = parts(layer, wanted, prepared=prepared)

    def within(limit: int | None) -> _core.Program:
        chosen = {
            problem: dispatch.resolve(
                wanted.algorithm,
                problem,
                prepared=prepared,
                workspace_limit=limit,
                max_error=wanted.limits.most,
            ).algorithm
            for problem in problems
        }
        choices = [(chosen[problem], problem.variant, problem.error_limit) for problem in problems]
        return _core.Program(lowering, choices, wanted.activation)

    limit = wanted.workspace_limit
    program = within(limit)
    if limit is None or (needed := program.workspace_bytes(prepared, adds)) <= limit:
        return program
    # What is needed beside the parts' own is the same whatever runs them: images, outputs that wait, a residual.
    scratch = [
        dispatch.scratch_bytes(name, problem, prepared)
        for name, problem in zip(program.algorithms, problems, strict=True)
    ]
    beside = needed - max(scratch, default=0)
    if beside <= limit:
        program = within(limit - beside)
        needed = program.workspace_bytes(prepared, adds)
    if needed > limit:
        raise ValueError(f"workspace_limit: expected at least {needed} bytes, which this layer needs, got {limit}")
    return program


def as_one_product(layer: _core.Layer, wanted: Wanted, residual: object) -> bool:
    """Whether a transposed layer whose weights are used once is no convolutions at all."""
    free = wanted.algorithm == "auto" and wanted.limits.most is None and wanted.workspace_limit is None
    return free and residual is None and dispatch.pays_as_one_product(layer)


def product(
    form: Form, x: Array, weight: Array, bias: Array | None, activation: Activation, out: Array | None
) -> Array:
    """The result for checked arrays of a transposed layer: one product with the weights as they lie, and additions."""
    y = _output(form, out)
    _core.spread_product(form.layer, activation, ready(x), ready(weight), None if bias is None else ready(bias), y)
    return _stored(y, out)


class Call(NamedTuple):
    """What tells calls of functions apart beside their arrays.

    Attributes:
        shapes: Of input and weight, as they were checked: code of the caller's may have changed the arrays since.
        options: Whatever the function is given beside arrays, as the user gave it.
    """

    name: str
    shapes: tuple[Shape, Shape]
    options: tuple[Any, ...]


def remembered(
    call: Call,
    form: Form,
    wanted: Wanted,
    x: Array,
    weight: Array,
    bias: Array | None,
    out: Array | None,
    residual: Array | None = None,
) -> Array:
    """The result for checked arrays, with weights that are used once; calls like it then run no Python code."""
    setting = _core.get_num_threads(), _core.get_isa()
    adds = residual is not None and residual is out
    program = make(form.layer, wanted, prepared=False, adds=adds)
    y = run_once(program, form, x, weight, bias, out, residual)
    # Only now: a call that was not run to its end is not remembered.
    if setting == (_core.get_num_threads(), _core.get_isa()):
        shapes = *call.shapes, form.output_shape
        _core.remember(program, shapes, call.name, bias is not None, (residual is not None) + adds, call.options)
    return y


def run_once(
    program: _core.Program,
    form: Form,
    x: Array,
    weight: Array,
    bias: Array | None,
    out: Array | None,
    residual: Array | None = None,
) -> Array:
    """The result for checked arrays, with weights that are used once."""
    y = _output(form, out)
    program(
        ready(x), ready(weight), None if bias is None else ready(bias), y, None if residual is None else ready(residual)
    )
    return _stored(y, out)


def run(plan: _core.Plan, form: Form, x: Array, out: Array | None, residual: Array | None = None) -> Array:
    """The result for checked arrays, by a plan."""
    y = _output(form, out)
    plan(ready(x), y, None if residual is None else ready(residual))
    return _stored(y, out)


def _output(form: Form, out: Array | None) -> Array:
    """What is written to: `out` if the core takes it as it is, else a new array."""
    return out if out is not None and is_ready(out) else np.empty(form.output_shape, form.layer.dtype)


def _stored(y: Array, out: Array | None) -> Array:
    if out is None or out is y:
        return y
    out[...] = y
    return out
