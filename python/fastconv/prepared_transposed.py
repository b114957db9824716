"""Transposed convolutions with weights of their own: :class:`ConvTranspose1d` to :class:`ConvTranspose3d`."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy.typing as npt

from fastconv import introspection
from fastconv.arguments import (
    Activation,
    Array,
    Shape,
    as_accuracy,
    as_activation,
    as_layout,
    as_shape,
    as_workspace_limit,
)
from fastconv.arrays import ready
from fastconv.composite import Converted, as_own_bias, as_weight
from fastconv.dispatch import as_algorithm
from fastconv.dtypes import check_activation, is_converted
from fastconv.geometry import (
    LINE,
    PLANE,
    VOLUME,
    AnyPadding,
    Space,
    Steps,
)
from fastconv.layers import Form
from fastconv.prepared_call import Prepared
from fastconv.programs import Wanted
from fastconv.spread import Spread, as_spread, as_spread_filters, fit_transposed


class _Recipe(NamedTuple):
    """What an operator is made of; plans follow from it and a shape."""

    weight: Array
    bias: Array | None
    spread: Spread
    algorithm: str
    activation: Activation
    layout: str
    workspace_limit: int | None
    accuracy: str
    max_error: float | None

    @property
    def wanted(self) -> Wanted:
        limits = as_accuracy(self.accuracy, self.max_error)
        return Wanted(self.algorithm, as_activation(self.activation), limits, self.workspace_limit)

    def form(self, input_shape: object, name: str) -> Form:
        w = self.weight
        shape = as_shape(input_shape, name, f"{self.layout} {self.layout[1:]}")
        return fit_transposed(shape, w.shape, self.spread, self.layout, w.dtype.name, (name, "weight"))


class _Transposition(Prepared):
    """What transposed operators for any number of axes have in common."""

    _space: ClassVar[Space]
    _recipe: _Recipe

    def __init__(
        self,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        stride: Steps = 1,
        padding: AnyPadding = 0,
        output_padding: Steps = 0,
        groups: int = 1,
        dilation: Steps = 1,
        *,
        algorithm: str = "auto",
        activation: Activation = None,
        layout: str | None = None,
        workspace_limit: int | None = None,
        accuracy: str = "balanced",
        max_error: float | None = None,
    ) -> None:
        w = as_weight(weight)
        spread = as_spread(stride, padding, output_padding, groups, dilation, self._space)
        shape = as_spread_filters(w.shape, spread.groups, self._space)
        b = as_own_bias(shape[1] * spread.groups, bias, w)
        as_activation(activation)
        check_activation(activation, w.dtype)
        recipe = _Recipe(
            ready(w.copy()),
            None if b is None else ready(b.copy()),
            spread,
            as_algorithm(algorithm),
            activation,
            self._space.layouts[0] if layout is None else as_layout(layout, self._space),
            as_workspace_limit(workspace_limit),
            *as_accuracy(accuracy, max_error),
        )
        self._set(recipe)

    def _initialize(self, arguments: dict[str, Any]) -> None:
        _Transposition.__init__(self, **arguments)

    def _arguments(self, recipe: _Recipe) -> dict[str, Any]:
        options = recipe._asdict()
        spread = options.pop("spread")._asdict()
        del spread["space"]
        return {**spread, **options}

    def _composite(self, recipe: _Recipe) -> Converted | None:
        def make(weight: Array, bias: Array | None) -> _Transposition:
            return type(self)(**{**self._arguments(recipe), "weight": weight, "bias": bias})

        return Converted(make, recipe.weight, recipe.bias) if is_converted(recipe.weight.dtype) else None

    def explain(self, input_shape: Shape) -> tuple[introspection.Explanation, ...]:
        """What would run for an input of this shape, and why: for each convolution of images that this one is made of.

        Args:
            input_shape: With N or without, in the operator's layout.
        Returns:
            An :class:`Explanation` for each, with ``prepared=True``; none where no output sees a tap.
        Raises:
            ValueError, TypeError: As a call with an input of this shape would.
        """
        return self._explain_parts(input_shape)

    def __repr__(self) -> str:
        w = self._recipe.weight
        return f"{type(self).__name__}(weight={w.dtype.name}{list(w.shape)}, stride={self._recipe.spread.stride})"


class ConvTranspose1d(_Transposition):
    """A transposed convolution of signals with weights of its own: ``op(x)``, ``op(x, out=y)``.

    As :class:`ConvTranspose2d` in everything but the shapes, which are those of :func:`conv_transpose1d`.

    Args:
        weight: Filters, shape (C, K // groups, S), float32, float64, half precision or complex.
        bias: One value per channel of the output, shape (K,); or None.
        stride, padding, output_padding, groups, dilation, layout: As in :func:`conv_transpose1d`.
        algorithm, activation, workspace_limit, accuracy, max_error: As in :class:`ConvTranspose2d`.
    Raises:
        ValueError, TypeError: As :class:`ConvTranspose2d` does.
    Source: cpp/include/fastconv/lowering.hpp.
    """

    _space = LINE


class ConvTranspose3d(_Transposition):
    """A transposed convolution of volumes with weights of its own: ``op(x)``, ``op(x, out=y)``.

    As :class:`ConvTranspose2d` in everything but the shapes, which are those of :func:`conv_transpose3d`.

    Args:
        weight: Filters, shape (C, K // groups, T, R, S), float32, float64, half precision or complex.
        bias: One value per channel of the output, shape (K,); or None.
        stride, padding, output_padding, groups, dilation, layout: As in :func:`conv_transpose3d`.
        algorithm, activation, workspace_limit, accuracy, max_error: As in :class:`ConvTranspose2d`.
    Raises:
        ValueError, TypeError: As :class:`ConvTranspose2d` does.
    Source: cpp/include/fastconv/lowering.hpp.
    """

    _space = VOLUME


class ConvTranspose2d(_Transposition):
    """A transposed convolution with weights of its own, brought into order once per shape of input.

    Arguments are those of :func:`conv_transpose2d`. Calls, threads, copies and pickles are as with :class:`Conv2d`: a
    call with a shape whose plan is kept runs no Python code.

    Args:
        weight: Filters, shape (C, K // groups, R, S), float32, float64, half precision or complex.
        bias: One value per channel of the output, shape (K,), of the dtype of `weight`; or None.
        stride, padding, output_padding, groups, dilation: As in :func:`conv_transpose2d`.
        algorithm, activation, layout, accuracy, max_error: As in :func:`conv_transpose2d`.
        workspace_limit: Most workspace of a call, in bytes; None for no limit.
    Raises:
        ValueError: A number is out of range, shapes disagree, or a name is unknown.
        TypeError: An argument of another type, or dtypes that are unsupported or differ.
    Source: cpp/include/fastconv/lowering.hpp.

    >>> op = ConvTranspose2d(np.ones((1, 1, 2, 2), np.float32), stride=2)
    >>> op(np.array([[[1, 2]]], np.float32))
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.]]], dtype=float32)
    """

    _space = PLANE
