"""Transposed convolutions: :func:`conv_transpose1d`, :func:`conv_transpose2d`, :func:`conv_transpose3d`; with weights
prepared once, :class:`ConvTranspose1d` to :class:`ConvTranspose3d`. :mod:`fastconv.phases` says how they are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy.typing as npt

from fastconv import _core, dispatch, phases, volumes
from fastconv.arguments import (
    Activation,
    Array,
    Limits,
    Shape,
    as_accuracy,
    as_activation,
    as_filters,
    as_images,
    as_layout,
)
from fastconv.arrays import Reshaped, as_array, as_bias_of, as_out, ready, run_on
from fastconv.dispatch import as_algorithm
from fastconv.dtypes import convert, need_converting
from fastconv.geometry import (
    LINE,
    PLANE,
    VOLUME,
    AnyPadding,
    Padding,
    Pads,
    Pair,
    Space,
    Steps,
    as_int,
    as_padding,
    as_steps,
)
from fastconv.phases import Transposed
from fastconv.prepared import PLANS_KEPT
from fastconv.volumes import Volume


class Spread(NamedTuple):
    """How a transposed convolution's filters lie on its output. Numbers per axis."""

    stride: tuple[int, ...]
    padding: Pads
    output_padding: tuple[int, ...]
    groups: int
    dilation: tuple[int, ...]
    space: Space

    def outputs(self, extents: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
        """The output's extents."""
        numbers = zip(extents, self.stride, self.padding, self.dilation, kernel, self.output_padding, strict=True)
        return tuple(
            (extent - 1) * stride - low - high + dilation * (taps - 1) + more + 1
            for extent, stride, (low, high), dilation, taps, more in numbers
        )


def as_spread(
    stride: object, padding: object, output_padding: object, groups: object, dilation: object, space: Space
) -> Spread:
    pads = as_padding(padding, space)
    if isinstance(pads, str):
        raise ValueError(f"padding: expected numbers for a transposed convolution, got {padding!r}")
    spread = Spread(
        as_steps(stride, "stride", 1, space),
        pads,
        as_steps(output_padding, "output_padding", 0, space),
        as_int(groups, "groups", 1),
        as_steps(dilation, "dilation", 1, space),
        space,
    )
    for more, own_stride, own_dilation in zip(spread.output_padding, spread.stride, spread.dilation, strict=True):
        if more >= max(own_stride, own_dilation):
            raise ValueError(
                f"output_padding: expected less than the stride or the dilation, got {output_padding!r} with stride "
                f"{spread.stride} and dilation {spread.dilation}"
            )
    return spread


def fit_transposed(
    input_shape: object,
    weight_shape: Shape,
    spread: Spread,
    layout: str,
    dtype: str,
    names: tuple[str, str] = ("input", "weight"),
    outputs: tuple[int, ...] | None = None,
) -> Transposed | Volume:
    """Lay checked filters (C, K // groups, ...) on an image; `outputs` instead of what the padding leaves."""
    input_name, weight_name = names
    space, groups = spread.space, spread.groups
    images = as_images(input_shape, input_name, layout)
    C, Kg, *taps = weight_shape
    if C != images.C:
        raise ValueError(
            f"{weight_name}: expected shape[0] to be the {images.C} channels of {input_name}, got {C}; "
            f"{weight_name} has shape {weight_shape}, {input_name} {input_shape}"
        )
    kernel = tuple(taps)
    outputs = spread.outputs(images.extents, kernel) if outputs is None else outputs
    if min(outputs) < 1:
        raise ValueError(
            f"{input_name}: expected outputs of at least 1 pixel, got {' x '.join(map(str, outputs))}; {input_name} "
            f"has shape {input_shape}, {weight_name} {weight_shape}"
        )

    if space is VOLUME:
        numbers: Any = images.extents, kernel, outputs, spread.stride, spread.dilation, spread.padding
        volume = Volume(dtype, layout, images.batched, images.N, C, Kg * groups, groups, *numbers)
        return volume._replace(transposed=True)

    def plane(numbers: tuple[int, ...], missing: int) -> tuple[int, int]:
        height, width = (missing,) * (PLANE.rank - space.rank) + numbers
        return height, width

    return Transposed(
        dtype,
        layout,
        PLANE.layouts[space.layouts.index(layout)],
        images.batched,
        images.N,
        C,
        Kg * groups,
        groups,
        plane(images.extents, 1),
        plane(kernel, 1),
        plane(outputs, 1),
        plane(spread.stride, 1),
        plane(spread.dilation, 1),
        plane(tuple(low for low, _ in spread.padding), 0),
    )


def as_spread_filters(weight_shape: object, groups: int, space: Space) -> Shape:
    """(C, K // groups, ...), each at least 1, with C a multiple of `groups`."""
    return as_filters(weight_shape, groups, space=space, letters=("C", "K // groups"))


def _convolve(
    function: Callable[..., npt.NDArray[Any]],
    space: Space,
    input: object,
    weight: object,
    bias: object,
    *options: Any,
) -> npt.NDArray[Any]:
    stride, padding, output_padding, groups, dilation, algorithm, layout, activation, out, *limits_given = options
    accuracy, max_error, promote = limits_given
    if need_converting(input, weight, promote):
        convolve = partial(
            function,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            groups=groups,
            dilation=dilation,
            algorithm=algorithm,
            layout=layout,
            accuracy=accuracy,
            max_error=max_error,
        )
        return convert(convolve, input, weight, bias, out, activation=activation, promote=promote)  # type: ignore[no-any-return]
    x = as_array(input, "input")
    w = as_array(weight, "weight", x.dtype.name, "input")
    spread = as_spread(stride, padding, output_padding, groups, dilation, space)
    shape = as_spread_filters(w.shape, spread.groups, space)
    layer = fit_transposed(x.shape, shape, spread, as_layout(layout, space), x.dtype.name)
    b = as_bias_of(layer.K, bias, w)
    spec = as_activation(activation)
    limits = as_accuracy(accuracy, max_error)
    chosen = as_algorithm(algorithm)
    y = as_out(out, layer.output_shape, layer.dtype, input=x, weight=w, bias=b)
    return run_once(layer, x, w, b, spec, chosen, limits, y)


def run_once(
    layer: Transposed | Volume,
    x: Array,
    weight: Array,
    bias: Array | None,
    activation: tuple[str, float, float] | None,
    algorithm: str,
    limits: Limits,
    out: Array | None,
) -> Array:
    """The result for checked arrays, with weights that are used once."""
    w, b = ready(weight), None if bias is None else ready(bias)
    if isinstance(layer, Transposed) and (whole := layer.one_convolution()) is not None:
        problem = limits.problem(layer.problem(*whole))
        chosen = dispatch.resolve(
            algorithm, problem, prepared=False, workspace_limit=None, max_error=limits.most
        ).algorithm
        filters = layer.filters(w.reshape(*w.shape[:2], *layer.kernel), *whole)
        return run_on(layer, lambda x, y: _core.run_once(problem, chosen, activation, x, filters, b, y), x, out)
    plan, shapes = make_plan(layer, w, b, activation, algorithm, limits, prepared=False)
    return run_on(shapes, plan, x, out)


def make_plan(
    layer: Transposed | Volume,
    weight: Array,
    bias: Array | None,
    activation: tuple[str, float, float] | None,
    algorithm: str,
    limits: Limits,
    *,
    prepared: bool,
) -> tuple[_core.InterleavedPlan | _core.StackedPlan, Reshaped]:
    """A plan and the shapes it has."""
    if isinstance(layer, Volume):
        stacked = volumes.plan(layer, weight, bias, activation, algorithm, limits, prepared=prepared)
        assert isinstance(stacked, _core.StackedPlan), "a transposed one is never seen as images"
        return stacked, layer.shapes_for(stacked)
    filters = weight.reshape(*weight.shape[:2], *layer.kernel)
    return phases.plan(layer, filters, bias, activation, algorithm, limits, prepared=prepared), layer


def conv_transpose2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCHW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
) -> npt.NDArray[Any]:
    """Spread images over a larger output: every pixel adds its multiple of a filter, `stride` apart.

    The positional arguments and their meaning are those of ``torch.nn.functional.conv_transpose2d``. It is the gradient
    of :func:`conv2d` by its input, computed as dense convolutions, one for each phase of the stride. Weights are
    brought into order at each call; :class:`ConvTranspose2d` does so once.

    Args:
        input: Images, shape (N, C, H, W) or (C, H, W); with ``layout="NHWC"`` (N, H, W, C) or (H, W, C). float32 or
            float64.
        weight: Filters, shape (C, K // groups, R, S) in either layout, of the dtype of `input`.
        bias: One value per channel of the output, shape (K,), of the dtype of `input`; or None.
        stride: Output pixels from one input pixel's filter to the next's, at least 1: an int or a (height, width) pair.
        padding: Output pixels cut off at the edges: an int, a pair, or ``((top, bottom), (left, right))``.
        output_padding: Output pixels added at the bottom and right, fewer than the stride or the dilation.
        groups: Channels of input and output are cut into this many groups, each convolved on its own.
        dilation: Distance of neighbouring taps in output pixels, at least 1: an int or a (height, width) pair.
        algorithm: ``"auto"``, or a name from :func:`algorithms`, for every phase.
        layout, activation, out, accuracy, max_error, promote: As in :func:`conv2d`.
    Returns:
        `out`, or a new array of shape (N, K, P, Q), or (N, P, Q, K) with ``layout="NHWC"``, or without N if `input` has
        none. P = (H - 1) * stride_h - top - bottom + dilation_h * (R - 1) + output_padding_h + 1; Q likewise.
    Raises:
        ValueError: Shapes disagree, a number is out of range, or `algorithm` rejects a phase.
        TypeError: An argument of another type, or dtypes that are unsupported or differ.
        MemoryError, KeyboardInterrupt: As in :func:`conv2d`.
    Source: :mod:`fastconv.phases`.

    >>> x = np.array([[[1, 2]]], np.float32)
    >>> conv_transpose2d(x, np.ones((1, 1, 1, 3), np.float32), stride=2)
    array([[[1., 1., 3., 2., 2.]]], dtype=float32)
    """
    return _convolve(
        conv_transpose2d,
        PLANE,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        algorithm,
        layout,
        activation,
        out,
        accuracy,
        max_error,
        promote,
    )


def conv_transpose1d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    output_padding: Steps = 0,
    groups: int = 1,
    dilation: Steps = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
) -> npt.NDArray[Any]:
    """Spread signals over a longer output: :func:`conv_transpose2d` for one axis.

    The positional arguments and their meaning are those of ``torch.nn.functional.conv_transpose1d``.

    Args:
        input: Signals, shape (N, C, W) or (C, W); with ``layout="NWC"`` (N, W, C) or (W, C). float32 or float64.
        weight: Filters, shape (C, K // groups, S) in either layout, of the dtype of `input`.
        bias: One value per channel of the output, shape (K,); or None.
        stride, output_padding, dilation: An int or a tuple of one.
        padding: Output samples cut off at the ends: an int, a tuple of one, or ``((left, right),)``.
        groups, algorithm, activation, out, accuracy, max_error, promote: As in :func:`conv_transpose2d`.
        layout: ``"NCW"`` or ``"NWC"``, of input and output.
    Returns:
        `out`, or a new array of shape (N, K, Q), or (N, Q, K) with ``layout="NWC"``, or without N if `input` has none.
    Raises:
        ValueError, TypeError, MemoryError, KeyboardInterrupt: As :func:`conv_transpose2d` does.
    Source: :mod:`fastconv.phases`.

    >>> conv_transpose1d(np.array([[1, 2]], np.float32), np.ones((1, 1, 3), np.float32), stride=2)
    array([[1., 1., 3., 2., 2.]], dtype=float32)
    """
    return _convolve(
        conv_transpose1d,
        LINE,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        algorithm,
        layout,
        activation,
        out,
        accuracy,
        max_error,
        promote,
    )


def conv_transpose3d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: Steps = 1,
    padding: AnyPadding = 0,
    output_padding: Steps = 0,
    groups: int = 1,
    dilation: Steps = 1,
    *,
    algorithm: str = "auto",
    layout: str = "NCDHW",
    activation: Activation = None,
    out: npt.NDArray[Any] | None = None,
    accuracy: str = "balanced",
    max_error: float | None = None,
    promote: bool = False,
) -> npt.NDArray[Any]:
    """Spread volumes over a larger output: :func:`conv_transpose2d` for three axes.

    The positional arguments and their meaning are those of ``torch.nn.functional.conv_transpose3d``.

    Args:
        input: Volumes, shape (N, C, D, H, W) or (C, D, H, W); with ``layout="NDHWC"`` (N, D, H, W, C) or (D, H, W, C).
        weight: Filters, shape (C, K // groups, T, R, S) in either layout, of the dtype of `input`.
        bias: One value per channel of the output, shape (K,); or None.
        stride, output_padding, dilation: An int or a (depth, height, width) triple.
        padding: Output voxels cut off: an int, a triple, or ``((front, back), (top, bottom), (left, right))``.
        groups, algorithm, activation, out, accuracy, max_error, promote: As in :func:`conv_transpose2d`.
        layout: ``"NCDHW"`` or ``"NDHWC"``, of input and output.
    Returns:
        `out`, or a new array of shape (N, K, O, P, Q), or (N, O, P, Q, K) with ``layout="NDHWC"``, or without N if
        `input` has none.
    Raises:
        ValueError, TypeError, MemoryError, KeyboardInterrupt: As :func:`conv_transpose2d` does.
    Source: :mod:`fastconv.phases`, :mod:`fastconv.volumes`.

    >>> conv_transpose3d(np.ones((1, 1, 1, 2), np.float32), np.ones((1, 1, 1, 1, 2), np.float32))
    array([[[[1., 2., 1.]]]], dtype=float32)
    """
    return _convolve(
        conv_transpose3d,
        VOLUME,
        input,
        weight,
        bias,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        algorithm,
        layout,
        activation,
        out,
        accuracy,
        max_error,
        promote,
    )


class _Recipe(NamedTuple):
    """What an operator is made of; plans follow from it and a shape."""

    weight: Array
    bias: Array | None
    spread: Spread
    algorithm: str
    activation: Activation
    layout: str
    accuracy: str
    max_error: float | None


class _Transposition(_core.Operator):
    """What transposed operators for any number of axes have in common."""

    _space: ClassVar[Space]

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
        accuracy: str = "balanced",
        max_error: float | None = None,
    ) -> None:
        w = as_array(weight, "weight")
        spread = as_spread(stride, padding, output_padding, groups, dilation, self._space)
        shape = as_spread_filters(w.shape, spread.groups, self._space)
        b = as_bias_of(shape[1] * spread.groups, bias, w)
        as_activation(activation)
        self._recipe = _Recipe(
            ready(w.copy()),
            None if b is None else ready(b.copy()),
            spread,
            as_algorithm(algorithm),
            activation,
            self._space.layouts[0] if layout is None else as_layout(layout, self._space),
            *as_accuracy(accuracy, max_error),
        )

    def _prepare(self, input_shape: Shape) -> tuple[_core.InterleavedPlan | _core.StackedPlan, Reshaped]:
        recipe = self._recipe
        w = recipe.weight
        layer = fit_transposed(input_shape, w.shape, recipe.spread, recipe.layout, w.dtype.name, ("x", "weight"))
        plan = self._kept(input_shape)
        if plan is not None:
            return plan, layer.shapes_for(plan) if isinstance(layer, Volume) else layer
        limits = as_accuracy(recipe.accuracy, recipe.max_error)
        spec = as_activation(recipe.activation)
        plan, shapes = make_plan(layer, w, recipe.bias, spec, recipe.algorithm, limits, prepared=True)
        self._keep(input_shape, layer.output_shape, plan, PLANS_KEPT)
        return plan, shapes

    def _checked_call(self, x: object, out: object = None) -> Array:
        """What a call does if no plan takes its arguments as they are."""
        dtype = self._recipe.weight.dtype.name
        images = as_array(x, "x", dtype, "weight")
        plan, layer = self._prepare(images.shape)
        return run_on(layer, plan, images, as_out(out, layer.output_shape, dtype, x=images))

    def __getstate__(self) -> dict[str, _Recipe]:
        return {"recipe": self._recipe}

    def __setstate__(self, state: dict[str, _Recipe]) -> None:
        self._recipe = state["recipe"]

    def __repr__(self) -> str:
        w = self._recipe.weight
        return f"{type(self).__name__}(weight={w.dtype.name}{list(w.shape)}, stride={self._recipe.spread.stride})"


class ConvTranspose1d(_Transposition):
    """A transposed convolution of signals with weights of its own: ``op(x)``, ``op(x, out=y)``.

    As :class:`ConvTranspose2d` in everything but the shapes, which are those of :func:`conv_transpose1d`.

    Args:
        weight: Filters, shape (C, K // groups, S), float32 or float64.
        bias: One value per channel of the output, shape (K,); or None.
        stride, padding, output_padding, groups, dilation, layout: As in :func:`conv_transpose1d`.
        algorithm, activation, accuracy, max_error: As in :class:`ConvTranspose2d`.
    Raises:
        ValueError, TypeError: As :class:`ConvTranspose2d` does.
    Source: :mod:`fastconv.phases`.
    """

    _space = LINE


class ConvTranspose3d(_Transposition):
    """A transposed convolution of volumes with weights of its own: ``op(x)``, ``op(x, out=y)``.

    As :class:`ConvTranspose2d` in everything but the shapes, which are those of :func:`conv_transpose3d`.

    Args:
        weight: Filters, shape (C, K // groups, T, R, S), float32 or float64.
        bias: One value per channel of the output, shape (K,); or None.
        stride, padding, output_padding, groups, dilation, layout: As in :func:`conv_transpose3d`.
        algorithm, activation, accuracy, max_error: As in :class:`ConvTranspose2d`.
    Raises:
        ValueError, TypeError: As :class:`ConvTranspose2d` does.
    Source: :mod:`fastconv.phases`, :mod:`fastconv.volumes`.
    """

    _space = VOLUME


class ConvTranspose2d(_Transposition):
    """A transposed convolution with weights of its own, brought into order once per shape of input.

    Arguments are those of :func:`conv_transpose2d`. Calls, threads, copies and pickles are as with :class:`Conv2d`: a
    call with a shape seen before, the 16 last of which are kept, runs no Python code.

    Args:
        weight: Filters, shape (C, K // groups, R, S), float32 or float64.
        bias: One value per channel of the output, shape (K,), of the dtype of `weight`; or None.
        stride, padding, output_padding, groups, dilation: As in :func:`conv_transpose2d`.
        algorithm, activation, layout, accuracy, max_error: As in :func:`conv_transpose2d`.
    Raises:
        ValueError: A number is out of range, shapes disagree, or a name is unknown.
        TypeError: An argument of another type, or dtypes that are unsupported or differ.
    Source: :mod:`fastconv.phases`.

    >>> op = ConvTranspose2d(np.ones((1, 1, 2, 2), np.float32), stride=2)
    >>> op(np.array([[[1, 2]]], np.float32))
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.]]], dtype=float32)
    """

    _space = PLANE
