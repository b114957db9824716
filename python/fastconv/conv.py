"""The two ways to convolve: :func:`conv2d` packs the weights at each call, :class:`Conv2d` keeps them packed.

Both try the shortest way first: the core remembers calls, an operator remembers plans. Only what neither of them knows
comes to the checks and conversions below; a call that raises does so there, before any work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy.typing as npt

from fastconv import _core, dispatch, introspection
from fastconv.arguments import (
    Activation,
    Array,
    Geometry,
    Layer,
    Padding,
    Pair,
    Shape,
    as_accuracy,
    as_activation,
    as_filters,
    as_geometry,
    as_layout,
    as_workspace_limit,
    fit,
)
from fastconv.arrays import as_array, as_bias, as_out, is_ready, ready
from fastconv.dispatch import as_algorithm

# Input shapes an operator keeps a plan for; each plan holds packed weights of its own.
PLANS_KEPT = 16

_remembered_call = _core.conv2d


def conv2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCHW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    workspace_limit: int | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
) -> npt.NDArray[Any]:
    """Convolve images with K filters (cross-correlation: the filters are not flipped).

    The positional arguments and their meaning are those of ``torch.nn.functional.conv2d``. Weights are packed at each
    call; :class:`Conv2d` packs them once. Whatever is not a C-contiguous, aligned array of native byte order is copied.

    Args:
        input: Images, shape (N, C, H, W) or (C, H, W); with ``layout="NHWC"`` (N, H, W, C) or (H, W, C). float32 or
            float64: an array, or what NumPy can view as one; not a list.
        weight: Filters, shape (K, C // groups, R, S) in either layout, of the dtype of `input`.
        bias: One value per filter, shape (K,), of the dtype of `input`; or None.
        stride: In pixels, at least 1: an int or a (height, width) pair.
        padding: Zeros around the image, in pixels: an int, a (height, width) pair, ``((top, bottom), (left, right))``,
            ``"valid"`` for none, or ``"same"`` for an output of ceil(H / stride_h) x ceil(W / stride_w), with an odd
            pixel of padding at the bottom and right.
        dilation: Distance of neighbouring taps in pixels, at least 1: an int or a (height, width) pair.
        groups: Channels and filters are cut into this many groups, each convolved on its own.
        algorithm: A name from :func:`algorithms`, or ``"auto"`` for the one :mod:`fastconv.dispatch` chooses.
        layout: ``"NCHW"`` or ``"NHWC"``, of input and output. Algorithms that read NCHW alone get transposed copies,
            which count as workspace; :func:`explain` says which.
        activation: Applied to every output as it is stored: None, ``"relu"``, ``"relu6"``, ``("clip", low, high)``,
            ``"leaky_relu"`` (slope 0.01), ``("leaky_relu", slope)``, ``"hardswish"``, ``"sigmoid"``, ``"silu"`` or
            ``"tanh"``.
        out: Array for the result, of its exact shape and dtype, sharing no memory with the other arrays. A call that
            is interrupted leaves it half written.
        workspace_limit: Most scratch memory, in bytes: workspace and packed weights together; None for no limit.
            "auto" passes over algorithms that need more.
        accuracy: What algorithms with fewer multiplications may do to the digits: ``"strict"`` leaves plain sums alone;
            ``"balanced"`` keeps the error expected for normal data within 25 epsilon (float32: 3e-6 of the output,
            both root mean square); ``"fast"`` within 250. See :mod:`fastconv.numerics`.
        max_error: Instead of `accuracy`: the largest error that may be expected for normal data, over the root mean
            square of the output; None for no such limit.
    Returns:
        `out`, or a new array of shape (N, K, P, Q), or (N, P, Q, K) with ``layout="NHWC"``, or without N if `input` has
        none. P = (H + top + bottom - dilation_h * (R - 1) - 1) // stride_h + 1; Q likewise.
    Raises:
        ValueError: Shapes disagree, a number is out of range, `algorithm` rejects the problem (the text says why), or
            `workspace_limit` is too small.
        TypeError: An argument of another type, or dtypes that are unsupported or differ: nothing is converted silently.
        MemoryError: There is no memory for the result or the workspace.
        KeyboardInterrupt: Ctrl-C during the call, in the main thread.
    Source: letters as in the cuDNN paper, arXiv:1410.0759.

    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> conv2d(x, np.ones((1, 1, 3, 3), np.float32))
    array([[[45., 54.],
            [81., 90.]]], dtype=float32)
    """
    y = _remembered_call(
        input,
        weight,
        bias,
        stride,
        padding,
        dilation,
        groups,
        algorithm,
        layout,
        activation,
        out,
        workspace_limit,
        accuracy,
        max_error,
    )
    if y is not NotImplemented:
        return y  # type: ignore[no-any-return]

    x = as_array(input, "input")
    w = as_array(weight, "weight", x.dtype.name, "input")
    geometry = as_geometry(stride, padding, dilation, groups)
    limits = as_accuracy(accuracy, max_error)
    layer = limits.applied(fit(x.shape, w.shape, geometry, as_layout(layout), x.dtype.name, ("input", "weight")))
    problem = layer.problem
    b = as_bias(bias, w)
    spec = as_activation(activation)
    limit = as_workspace_limit(workspace_limit)
    y = as_out(out, layer.output_shape, problem.dtype, input=x, weight=w, bias=b)
    chosen = dispatch.resolve(
        as_algorithm(algorithm), problem, prepared=False, workspace_limit=limit, max_error=limits.most
    ).algorithm

    call = (input, weight, bias, stride, padding, dilation, groups, algorithm, layout, activation, workspace_limit)
    _core.remember(problem, chosen, spec, *call, accuracy, max_error)
    w_ready, b_ready = ready(w), None if b is None else ready(b)
    return _run(layer, lambda x, y: _core.run_once(problem, chosen, spec, x, w_ready, b_ready, y), x, y)


def _run(layer: Layer, run: Callable[[Array, Array | None], Array], x: Array, out: Array | None) -> Array:
    """Call run(x, y) on arrays as the core takes them, made from checked ones."""
    direct = out is not None and is_ready(out)
    y = layer.from_core(run(ready(layer.to_core(x)), layer.to_core(out) if out is not None and direct else None))
    if out is None:
        return y
    if not direct:
        out[...] = y
    return out


class _Recipe(NamedTuple):
    """What an operator is made of, checked as far as it can be without an input; plans follow from it."""

    weight: Array
    bias: Array | None
    geometry: Geometry
    algorithm: str
    activation: Activation
    layout: str
    workspace_limit: int | None
    accuracy: str
    max_error: float | None

    def layer(self, input_shape: object, name: str) -> Layer:
        names = (name, "weight")
        layer = fit(input_shape, self.weight.shape, self.geometry, self.layout, self.weight.dtype.name, names)
        return as_accuracy(self.accuracy, self.max_error).applied(layer)

    def plan(self, layer: Layer) -> _core.Plan:
        chosen = dispatch.resolve(
            self.algorithm,
            layer.problem,
            prepared=True,
            workspace_limit=self.workspace_limit,
            max_error=self.max_error,
        ).algorithm
        return _core.Plan(layer.problem, chosen, self.weight, self.bias, as_activation(self.activation))


class Conv2d(_core.Operator):
    """A convolution with weights of its own, packed once per shape of input: ``op(x)``, ``op(x, out=y)``.

    Arguments are those of :func:`conv2d`, except that `workspace_limit` does not count packed weights, which belong to
    the operator. The weights are copied: changing the array afterwards changes nothing.

    A call takes `x`, of the weights' dtype, and returns `out` or a new array, shapes as in :func:`conv2d`; it raises
    what :func:`conv2d` raises. An `x` that is not C-contiguous, aligned and of native byte order is copied.
    `out` must have the result's exact shape and dtype and share no memory with `x`.

    A plan is made when a shape is first seen, and kept for the 16 shapes used last; it runs the instruction set that
    was in use when it was made. Operators can be called from many threads at once, and be pickled.

    Args:
        weight: Filters, shape (K, C // groups, R, S), float32 or float64.
        bias: One value per filter, shape (K,), of the dtype of `weight`; or None.
        stride, padding, dilation, groups, algorithm, activation, layout: As in :func:`conv2d`.
        workspace_limit: Most workspace of a call, in bytes; None for no limit.
        accuracy, max_error: As in :func:`conv2d`.
    Raises:
        ValueError: A number is out of range, shapes disagree, or a name is unknown.
        TypeError: An argument of another type, or dtypes that are unsupported or differ.
    Source: plans and executions apart, as in FFTW (Frigo and Johnson, Proceedings of the IEEE 93(2), 2005).

    >>> op = Conv2d(np.ones((1, 1, 3, 3), np.float32), padding="same", activation=("clip", 0, 5))
    >>> op(np.ones((1, 1, 2, 3), np.float32))
    array([[[[4., 5., 4.],
             [4., 5., 4.]]]], dtype=float32)
    """

    def __init__(
        self,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        *,
        algorithm: str = "auto",
        activation: Activation = None,
        layout: str = "NCHW",
        workspace_limit: int | None = None,
        accuracy: str = "balanced",
        max_error: float | None = None,
    ) -> None:
        w = as_array(weight, "weight")
        geometry = as_geometry(stride, padding, dilation, groups)
        as_filters(w.shape, geometry.groups)
        b = as_bias(bias, w)
        as_activation(activation)
        self._set(
            _Recipe(
                ready(w.copy()),
                None if b is None else ready(b.copy()),
                geometry,
                as_algorithm(algorithm),
                activation,
                as_layout(layout),
                as_workspace_limit(workspace_limit),
                *as_accuracy(accuracy, max_error),
            )
        )

    def _set(self, recipe: _Recipe) -> None:
        self._recipe = recipe

    def _prepare(self, input_shape: Shape) -> tuple[_core.Plan, Layer]:
        layer = self._recipe.layer(input_shape, "x")
        plan = self._kept(input_shape)
        if plan is None:
            plan = self._recipe.plan(layer)
            self._keep(input_shape, layer.output_shape, plan, PLANS_KEPT)
        return plan, layer

    def _checked_call(self, x: object, out: object = None) -> Array:
        """What a call does if no plan takes its arguments as they are."""
        dtype = self._recipe.weight.dtype.name
        images = as_array(x, "x", dtype, "weight")
        plan, layer = self._prepare(images.shape)
        return _run(layer, plan, images, as_out(out, layer.output_shape, dtype, x=images))

    def explain(self, input_shape: Shape) -> introspection.Explanation:
        """What would run for an input of this shape, and why: :func:`fastconv.explain` with this operator's arguments.

        Args:
            input_shape: (N, C, H, W) or (C, H, W), or in the operator's layout.
        Returns:
            An :class:`Explanation`, with ``prepared=True``; print it.
        Raises:
            ValueError, TypeError: As a call with an input of this shape would.
        """
        recipe = self._recipe
        layer = recipe.layer(input_shape, "input_shape")
        return introspection.explain_layer(
            layer,
            recipe.algorithm,
            prepared=True,
            workspace_limit=recipe.workspace_limit,
            max_error=recipe.max_error,
        )

    def __getstate__(self) -> dict[str, _Recipe]:
        return {"recipe": self._recipe}

    def __setstate__(self, state: dict[str, _Recipe]) -> None:
        self._set(state["recipe"])

    def __repr__(self) -> str:
        recipe = self._recipe
        parts = [f"weight={recipe.weight.dtype.name}{list(recipe.weight.shape)}"]
        if recipe.bias is not None:
            parts.append(f"bias={recipe.bias.dtype.name}{list(recipe.bias.shape)}")
        options = {**recipe.geometry._asdict(), **recipe._asdict()}
        parts += [f"{name}={options[name]!r}" for name, default in _SHOWN.items() if options[name] != default]
        return f"Conv2d({', '.join(parts)})"


# What repr() shows unless it has this value.
_SHOWN = {
    **as_geometry(1, 0, 1, 1)._asdict(),
    "algorithm": "auto",
    "activation": None,
    "layout": "NCHW",
    "workspace_limit": None,
    "accuracy": "balanced",
    "max_error": None,
}
