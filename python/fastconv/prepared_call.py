"""What all prepared forms have in common: the call that checks, and how they are pickled."""

from __future__ import annotations

from typing import Any

from fastconv import _core
from fastconv.arguments import Array, Shape
from fastconv.arrays import Reshaped, as_added, as_array, as_out, as_residual, run_on
from fastconv.composite import Bordered, Converted, on_tensors
from fastconv.dtypes import is_tensor

# Each plan holds packed weights of its own. An operator keeps those used last: so many whatever they take, and more as
# long as all of them take no more bytes than that, each counted with what it holds beside weights.
PLANS_KEPT = 16
PLAN_BYTES = 64 * 1024 * 1024
_BESIDE_WEIGHTS = 4096


class Keeping(_core.Operator):
    """What keeps plans by the shape of the input. Many threads may do so at a time."""

    def _keep_plan(self, input_shape: Shape, output_shape: Shape, plan: object, packed_bytes: int) -> None:
        self._keep(input_shape, output_shape, plan, packed_bytes + _BESIDE_WEIGHTS, PLANS_KEPT, PLAN_BYTES)


class Prepared(Keeping):
    """An operator that follows from its recipe, a named tuple with `weight` and more."""

    _recipe: Any
    _made_of: Bordered | Converted | None

    def _set(self, recipe: Any) -> None:
        self._recipe = recipe
        self._made_of = self._composite()

    def _composite(self) -> Bordered | Converted | None:
        """What calls go to, if one plan is not enough."""
        raise NotImplementedError

    def _prepare(self, input_shape: Shape) -> tuple[Any, Reshaped]:
        """The plan for inputs of this shape, kept or made, and the shapes it has."""
        raise NotImplementedError

    def _checked_call(
        self, x: object, out: object = None, *, residual: object = None, accumulate: object = False
    ) -> Array:
        """What a call does if no plan takes its arguments as they are."""
        if is_tensor(x):
            return on_tensors(self, x, out, residual, accumulate)  # type: ignore[no-any-return]
        if self._made_of is not None:
            return self._made_of(x, out, residual=residual, accumulate=accumulate)  # type: ignore[no-any-return]
        dtype = self._recipe.weight.dtype.name
        images = as_array(x, "x", dtype, "weight")
        plan, layer = self._prepare(images.shape)
        y = as_out(out, layer.output_shape, dtype, x=images)
        added = as_residual(as_added(residual, accumulate, y), layer.output_shape, dtype, y)
        return run_on(layer, plan, images, y, added)

    def __getstate__(self) -> dict[str, Any]:
        return {"recipe": self._recipe}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(state["recipe"])
