"""Convolutions with weights of their own: :class:`Conv1d`, :class:`Conv2d`, :class:`Conv3d` pack them once per shape.

A call goes the shortest way first: an operator remembers its plans, and the core calls them. Only a shape that is new,
or an array that is not plain, comes to the checks and conversions below.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy.typing as npt

from fastconv import introspection, layers
from fastconv.arguments import (
    Activation,
    Array,
    Shape,
    as_accuracy,
    as_activation,
    as_filters,
    as_layout,
    as_workspace_limit,
    fit,
    lay,
)
from fastconv.arrays import ready
from fastconv.borders import as_padding_mode
from fastconv.composite import Bordered, Converted, as_own_bias, as_weight
from fastconv.dispatch import as_algorithm
from fastconv.dtypes import check_activation, is_converted
from fastconv.geometry import LINE, PLANE, VOLUME, AnyPadding, Geometry, Space, Steps, as_geometry
from fastconv.layers import Form
from fastconv.prepared_call import Prepared
from fastconv.programs import Wanted


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
    padding_mode: str

    @property
    def wanted(self) -> Wanted:
        limits = as_accuracy(self.accuracy, self.max_error)
        return Wanted(self.algorithm, as_activation(self.activation), limits, self.workspace_limit)

    def form(self, input_shape: object, name: str) -> Form:
        laid = lay(input_shape, self.weight.shape, self.geometry, self.layout, (name, "weight"))
        return layers.of_convolution(laid, self.geometry, self.layout, self.weight.dtype.name)


class _Convolution(Prepared):
    """What operators for any number of axes have in common."""

    _space: ClassVar[Space]
    _recipe: _Recipe

    def __init__(
        self,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        stride: Steps = 1,
        padding: AnyPadding = 0,
        dilation: Steps = 1,
        groups: int = 1,
        *,
        algorithm: str = "auto",
        activation: Activation = None,
        layout: str | None = None,
        workspace_limit: int | None = None,
        accuracy: str = "balanced",
        max_error: float | None = None,
        padding_mode: str = "zeros",
    ) -> None:
        w = as_weight(weight)
        geometry = as_geometry(stride, padding, dilation, groups, self._space)
        as_filters(w.shape, geometry.groups, space=self._space)
        b = as_own_bias(w.shape[0], bias, w)
        as_activation(activation)
        check_activation(activation, w.dtype)
        self._set(
            _Recipe(
                ready(w.copy()),
                None if b is None else ready(b.copy()),
                geometry,
                as_algorithm(algorithm),
                activation,
                self._space.layouts[0] if layout is None else as_layout(layout, self._space),
                as_workspace_limit(workspace_limit),
                *as_accuracy(accuracy, max_error),
                as_padding_mode(padding_mode),
            )
        )

    def _initialize(self, arguments: dict[str, Any]) -> None:
        _Convolution.__init__(self, **arguments)

    def _arguments(self, recipe: _Recipe) -> dict[str, Any]:
        options = recipe._asdict()
        geometry: Geometry = options.pop("geometry")
        return {**geometry._asdict(), **options}

    def _composite(self, recipe: _Recipe) -> Bordered | Converted | None:
        def make(weight: Array, bias: Array | None, padding: Any, mode: str) -> _Convolution:
            own = {"weight": weight, "bias": bias, "padding": padding, "padding_mode": mode}
            return type(self)(**{**self._arguments(recipe), **own})

        if recipe.padding_mode != "zeros":
            zeros = partial(make, recipe.weight, recipe.bias, mode="zeros")
            return Bordered(zeros, recipe.geometry, recipe.layout, recipe.padding_mode, recipe.weight.shape)
        if is_converted(recipe.weight.dtype):
            return Converted(partial(make, padding=recipe.geometry.padding, mode="zeros"), recipe.weight, recipe.bias)
        return None

    def __repr__(self) -> str:
        recipe = self._recipe
        parts = [f"weight={recipe.weight.dtype.name}{list(recipe.weight.shape)}"]
        if recipe.bias is not None:
            parts.append(f"bias={recipe.bias.dtype.name}{list(recipe.bias.shape)}")
        options = {**recipe.geometry._asdict(), **recipe._asdict()}
        defaults = {**as_geometry(1, 0, 1, 1, self._space)._asdict(), **_SHOWN, "layout": self._space.layouts[0]}
        parts += [f"{name}={options[name]!r}" for name, default in defaults.items() if options[name] != default]
        return f"{type(self).__name__}({', '.join(parts)})"


class _Explained(_Convolution):
    """Of operators that are one convolution of images."""

    def explain(self, input_shape: Shape) -> introspection.Explanation:
        """What would run for an input of this shape, and why: :func:`fastconv.explain` with this operator's arguments.

        Args:
            input_shape: With N or without, in the operator's layout.
        Returns:
            An :class:`Explanation`, with ``prepared=True``; print it.
        Raises:
            ValueError, TypeError: As a call with an input of this shape would.
        """
        if self._made_of is not None:
            return self._made_of.operators[0].explain(input_shape)  # type: ignore[no-any-return]
        recipe = self._recipe
        names = ("input_shape", "weight")
        layer = fit(input_shape, recipe.weight.shape, recipe.geometry, recipe.layout, recipe.weight.dtype.name, names)
        wanted = recipe.wanted
        return introspection.explain_layer(
            wanted.limits.applied(layer),
            wanted.algorithm,
            prepared=True,
            workspace_limit=wanted.workspace_limit,
            max_error=wanted.limits.most,
        )


class Conv1d(_Explained):
    """A convolution of signals with weights of its own, packed once per shape of input: ``op(x)``, ``op(x, out=y)``.

    As :class:`Conv2d` in everything but the shapes, which are those of :func:`conv1d`.

    Args:
        weight: Filters, shape (K, C // groups, S), float32, float64, half precision or complex.
        bias: One value per filter, shape (K,), of the dtype of `weight`; or None.
        stride, padding, dilation, groups, layout: As in :func:`conv1d`.
        algorithm, activation, workspace_limit, accuracy, max_error, padding_mode: As in :class:`Conv2d`.
    Raises:
        ValueError, TypeError: As :class:`Conv2d` does.
    Source: plans and executions apart, as in FFTW (Frigo and Johnson, Proceedings of the IEEE 93(2), 2005).

    >>> op = Conv1d(np.ones((1, 1, 3), np.float32), stride=2)
    >>> op(np.arange(7, dtype=np.float32).reshape(1, 7))
    array([[ 3.,  9., 15.]], dtype=float32)
    """

    _space = LINE


class Conv2d(_Explained):
    """A convolution with weights of its own, packed once per shape of input: ``op(x)``, ``op(x, out=y)``.

    Arguments are those of :func:`conv2d`, except that `workspace_limit` does not count packed weights, which belong to
    the operator. The weights are copied: changing the array afterwards changes nothing.

    A call takes `x`, of the weights' dtype, and returns `out` or a new array, shapes as in :func:`conv2d`; it raises
    what :func:`conv2d` raises. An `x` that is not C-contiguous, aligned and of native byte order is copied.
    `out` must have the result's exact shape and dtype and share no memory with `x`. ``residual=`` and
    ``accumulate=`` are those of :func:`conv2d`.

    A plan is made when a shape is first seen. Plans of the 16 shapes used last are kept, and those of further shapes as
    long as all packed weights together take at most 64 MiB. A plan runs the instruction set that was in use when it was
    made. Operators can be called from many threads at once, copied and pickled; a pickle has a version, and one of
    another version is refused with a ValueError. An operator that is initialized again (``op.__init__(...)``) is as a
    new one.

    Args:
        weight: Filters, shape (K, C // groups, R, S), float32, float64, half precision or complex.
        bias: One value per filter, shape (K,), of the dtype of `weight`; or None.
        stride, padding, dilation, groups, algorithm, activation, layout: As in :func:`conv2d`.
        workspace_limit: Most workspace of a call, in bytes; None for no limit.
        accuracy, max_error, padding_mode: As in :func:`conv2d`.
    Raises:
        ValueError: A number is out of range, shapes disagree, or a name is unknown.
        TypeError: An argument of another type, or dtypes that are unsupported or differ.
    Source: plans and executions apart, as in FFTW (Frigo and Johnson, Proceedings of the IEEE 93(2), 2005).

    >>> op = Conv2d(np.ones((1, 1, 3, 3), np.float32), padding="same", activation=("clip", 0, 5))
    >>> op(np.ones((1, 1, 2, 3), np.float32))
    array([[[[4., 5., 4.],
             [4., 5., 4.]]]], dtype=float32)
    """

    _space = PLANE


class Conv3d(_Convolution):
    """A convolution of volumes with weights of its own, packed once per shape of input: ``op(x)``, ``op(x, out=y)``.

    As :class:`Conv2d` in everything but the shapes, which are those of :func:`conv3d`.

    Args:
        weight: Filters, shape (K, C // groups, T, R, S), float32, float64, half precision or complex.
        bias: One value per filter, shape (K,), of the dtype of `weight`; or None.
        stride, padding, dilation, groups, layout: As in :func:`conv3d`.
        algorithm, activation, workspace_limit, accuracy, max_error, padding_mode: As in :class:`Conv2d`.
    Raises:
        ValueError, TypeError: As :class:`Conv2d` does.
    Source: cpp/include/fastconv/lowering.hpp.

    >>> Conv3d(np.ones((1, 1, 2, 2, 2), np.float32))(np.ones((1, 2, 2, 3), np.float32))
    array([[[[8., 8.]]]], dtype=float32)
    """

    _space = VOLUME

    def explain(self, input_shape: Shape) -> tuple[introspection.Explanation, ...]:
        """As :meth:`Conv2d.explain`, of each convolution of images that this one is made of."""
        return self._explain_parts(input_shape)


# What repr() shows unless it has this value (layout: the first of the space's), beside the geometry.
_SHOWN = {
    "algorithm": "auto",
    "activation": None,
    "layout": None,
    "workspace_limit": None,
    "accuracy": "balanced",
    "max_error": None,
    "padding_mode": "zeros",
}
