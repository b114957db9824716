"""What all prepared forms have in common: the call that checks, and how they are pickled."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv import _core, introspection, programs
from fastconv.arguments import Array, Shape
from fastconv.arrays import as_added, as_array, as_out, as_residual
from fastconv.composite import Bordered, Converted, on_tensors
from fastconv.dtypes import is_tensor
from fastconv.layers import Form

# Of what `__getstate__` returns: another meaning of its fields makes it another number.
PICKLE_VERSION = 1
# Each plan holds packed weights of its own. An operator keeps those used last: so many whatever they take, and more as
# long as all of them take no more bytes than that, each counted with what it holds beside weights.
PLANS_KEPT = 16
PLAN_BYTES = 64 * 1024 * 1024
_BESIDE_WEIGHTS = 4096


class Keeping(_core.Operator):
    """What keeps plans by the shape of the input, all made from one recipe. Many threads may do so at a time.

    A call, and whatever else follows from the recipe, takes it once and hands it on: another thread may initialize the
    operator anew meanwhile. A plan is kept only when a call has run it to its end.
    """

    _derived: ClassVar[tuple[str, ...]]
    """Attributes that follow from the recipe."""

    def _arguments(self, recipe: Any) -> dict[str, Any]:
        """Those of the constructor that make this recipe, as plain values."""
        raise NotImplementedError

    def _initialize(self, arguments: dict[str, Any]) -> None:
        """The library's constructor: a subclass may have another one."""
        raise NotImplementedError

    def _keep_plan(self, recipe: Any, input_shape: Shape, output_shape: Shape, plan: object, packed_bytes: int) -> None:
        self._keep(recipe, input_shape, output_shape, plan, packed_bytes + _BESIDE_WEIGHTS, PLANS_KEPT, PLAN_BYTES)

    def __getstate__(self) -> dict[str, Any]:
        """Plain values, no class of the library's: so an older or newer one reads the version before all else."""
        attributes = {name: value for name, value in vars(self).items() if name not in self._derived}
        return {
            "version": PICKLE_VERSION,
            "arguments": self._arguments(self._recipe),
            "attributes": attributes,
        }

    def __setstate__(self, state: Any) -> None:
        version = state.get("version") if isinstance(state, dict) else None
        if version != PICKLE_VERSION:
            raise ValueError(
                f"{type(self).__name__}: expected a pickle of version {PICKLE_VERSION}, as this fastconv makes them, "
                f"got version {version}"
            )
        self._initialize(state["arguments"])
        vars(self).update(state["attributes"])


class Prepared(Keeping):
    """An operator that follows from its recipe, a named tuple with `weight` and more."""

    _derived = ("_made_of",)

    _made_of: Bordered | Converted | None

    def _set(self, recipe: Any) -> None:
        made_of = self._composite(recipe)
        self._recipe, self._made_of = recipe, made_of

    def _composite(self, recipe: Any) -> Bordered | Converted | None:
        """What calls go to, if one plan is not enough."""
        raise NotImplementedError

    def _prepare(self, recipe: Any, input_shape: Shape) -> tuple[_core.Plan, Form]:
        """The plan for inputs of this shape, kept or made, and the layer."""
        form = recipe.form(input_shape, "x")
        plan = self._kept(recipe, input_shape)
        if plan is None:
            program = programs.make(form.layer, recipe.wanted, prepared=True)
            plan = _core.Plan(program, recipe.weight, recipe.bias)
        return plan, form

    def _explain_parts(self, input_shape: Shape) -> tuple[introspection.Explanation, ...]:
        """Of each convolution of images that this operator is made of."""
        if self._made_of is not None:
            return self._made_of.operators[0].explain(input_shape)  # type: ignore[no-any-return]
        recipe = self._recipe
        wanted = recipe.wanted
        _, problems = programs.parts(recipe.form(input_shape, "input_shape").layer, wanted, prepared=True)
        return introspection.explain_problems(problems, wanted.algorithm, wanted.limits)

    def _checked_call(
        self, x: object, out: object = None, *, residual: object = None, accumulate: object = False
    ) -> Array:
        """What a call does if no plan takes its arguments as they are."""
        if is_tensor(x):
            return on_tensors(self, x, out, residual, accumulate)  # type: ignore[no-any-return]
        if self._made_of is not None:
            return self._made_of(x, out, residual=residual, accumulate=accumulate)  # type: ignore[no-any-return]
        recipe = self._recipe
        dtype = recipe.weight.dtype.name
        images = as_array(x, "x", dtype, "weight")
        shape = images.shape
        plan, form = self._prepare(recipe, shape)
        y = as_out(out, form.output_shape, dtype, x=images)
        added = as_residual(as_added(residual, accumulate, y), form.output_shape, dtype, y)
        result = programs.run(plan, form, images, y, added)
        if self._kept(recipe, shape) is None:
            self._keep_plan(recipe, shape, form.output_shape, plan, plan.packed_bytes)
        return result
