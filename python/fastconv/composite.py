"""Prepared forms that are made of others: for half precision, complex numbers, and padding that is not zeros.

Half precision is one of float32, complex numbers are four real ones (:mod:`fastconv.dtypes`); other padding is one
with zeros, and one without for the strips that looked at them (:mod:`fastconv.borders`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastconv.arguments import lay
from fastconv.arrays import as_added, as_array, as_bias_of, fit_bias
from fastconv.borders import check_pads, mend, residual_apart
from fastconv.dtypes import AnyArray, as_any_array, as_tensor, combined, is_converted, is_tensor, parts, stored
from fastconv.geometry import Geometry

Operator = Any
"""A prepared form, called as ``op(x, out=, residual=, accumulate=)``."""


def as_weight(weight: object) -> AnyArray:
    """An array of any dtype that there are convolutions of."""
    array = as_any_array(weight, "weight")
    return array if is_converted(array.dtype) else as_array(array, "weight")


def as_own_bias(K: int, bias: object, weight: AnyArray) -> AnyArray | None:
    """K values, of the weights' dtype, or None."""
    if bias is None:
        return None
    b = as_any_array(bias, "bias")
    if not is_converted(weight.dtype):
        return as_bias_of(K, b, weight)
    if b.dtype.name != weight.dtype.name:
        raise TypeError(f"bias: expected {weight.dtype.name}, the dtype of weight, got {b.dtype.name}")
    return fit_bias(b, K)


class Converted:
    """Of half precision, or of complex numbers.

    Args:
        make: From float32 or float64 weights and bias to an operator.
        weight, bias: The arrays as the user has them.
    """

    def __init__(self, make: Callable[[AnyArray, AnyArray | None], Operator], weight: AnyArray, bias: AnyArray | None):
        self._dtype = weight.dtype.name
        self.operators = [make(w, b) for w, b in parts(weight, bias)]

    def __call__(self, x: object, out: object = None, *, residual: object = None, accumulate: object = False) -> Any:
        """TypeError for arrays of another dtype."""
        images, added = as_any_array(x, "x"), as_added(residual, accumulate, out)
        extra = None if added is None else as_any_array(added, "residual")
        for name, array in (("x", images), ("residual", extra)):
            if array is not None and array.dtype.name != self._dtype:
                raise TypeError(f"{name}: expected {self._dtype}, the dtype of weight, got {array.dtype.name}")

        def run(operator: Operator, x: AnyArray, residual: AnyArray | None) -> AnyArray:
            return operator(x, residual=residual)  # type: ignore[no-any-return]

        runs = [partial(run, operator) for operator in self.operators]
        return stored(combined(runs, images, extra), extra, out, x=images)


class Bordered:
    """With another `padding_mode` than zeros.

    Args:
        make: From padding to an operator with zeros.
        geometry, layout, weight_shape: Of the whole.
    """

    def __init__(
        self,
        make: Callable[[Any], Operator],
        geometry: Geometry,
        layout: str,
        mode: str,
        weight_shape: tuple[int, ...],
    ) -> None:
        self._geometry, self._layout, self._mode, self._weight_shape = geometry, layout, mode, weight_shape
        self.operators = [make(geometry.padding), make(0)]

    def __call__(self, x: object, out: object = None, *, residual: object = None, accumulate: object = False) -> Any:
        """ValueError if an image is too small to be reflected or repeated so far."""
        images, added = as_any_array(x, "x"), as_added(residual, accumulate, out)
        laid = lay(images.shape, self._weight_shape, self._geometry, self._layout, ("x", "weight"))
        check_pads(laid, self._mode)
        whole, of_strips = self.operators
        kept = residual_apart(added, out)
        y = whole(images, out=out, residual=added)

        def of_strip(strip: AnyArray, residual: AnyArray | None) -> AnyArray:
            return of_strips(strip, residual=residual)  # type: ignore[no-any-return]

        mend(y, images, laid, self._geometry, self._mode, self._layout, of_strip, kept)
        return y


def on_tensors(operator: Operator, x: object, out: object, residual: object, accumulate: object) -> Any:
    """A call whose input is a tensor: a tensor, or `out`."""
    target = None if out is None else as_any_array(out, "out")
    added = as_any_array(residual, "residual") if is_tensor(residual) else residual
    y = operator(as_any_array(x, "x"), target, residual=added, accumulate=accumulate)
    return as_tensor(y) if out is None else out
