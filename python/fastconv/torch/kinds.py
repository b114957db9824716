"""The six convolutions: for each what its arguments mean, and the prepared form that it has."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.arguments import lay
from fastconv.geometry import LINE, PLANE, VOLUME, Geometry, Space, as_geometry
from fastconv.prepared import Conv1d, Conv2d, Conv3d
from fastconv.prepared_transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from fastconv.spread import Spread, as_spread, as_spread_filters, fit_transposed
from fastconv.torch.spec import Spec

Numbers = Geometry | Spread


class Fitted(NamedTuple):
    """Arguments that fit the shapes of the tensors."""

    batched: bool
    filters: int
    spec: Spec  # of the convolution; if it is transposed, of the one whose gradient by the input it is
    output_shape: tuple[Any, ...]  # with the axis of images


class Kind(NamedTuple):
    """A function of PyTorch, by its name, and what it is here."""

    name: str
    space: Space
    is_transposed: bool
    operator: Any

    def numbers(self, arguments: tuple[Any, ...]) -> Numbers:
        """What stands behind the bias in a call, checked, but for shapes: ValueError or TypeError."""
        if self.is_transposed:
            stride, padding, output_padding, groups, dilation = arguments
            return as_spread(stride, padding, output_padding, groups, dilation, self.space)
        stride, padding, dilation, groups = arguments
        return as_geometry(stride, padding, dilation, groups, self.space)

    def fit(self, input_shape: tuple[int, ...], weight_shape: tuple[int, ...], numbers: Numbers) -> Fitted:
        """Checked together: ValueError or TypeError."""
        layout, names = self.space.layouts[0], ("input", "weight")
        if isinstance(numbers, Geometry):
            laid = lay(input_shape, weight_shape, numbers, layout, names)
            spec = Spec.of(numbers, laid.pads)
            shape = spec.output_shape(input_shape if laid.batched else (1, *input_shape), weight_shape)
            return Fitted(laid.batched, laid.K, spec, shape)
        as_spread_filters(weight_shape, numbers.groups, self.space)
        batched = bool(fit_transposed(input_shape, weight_shape, numbers, layout, "float32", names).batched)
        rank, K = self.space.rank, weight_shape[1] * numbers.groups
        spec = Spec.of(Geometry(numbers.stride, numbers.padding, numbers.dilation, numbers.groups), numbers.padding)
        outputs = numbers.outputs(tuple(input_shape[-rank:]), tuple(weight_shape[2:]))
        return Fitted(batched, K, spec, (input_shape[0] if batched else 1, K, *outputs))

    def prepared(self, weight: Any, bias: Any, numbers: Numbers, layout: str) -> Any:
        """An operator of these arrays."""
        options = {name: value for name, value in numbers._asdict().items() if name != "space"}
        return self.operator(weight, bias, **options, layout=layout)


CONV1D = Kind("conv1d", LINE, False, Conv1d)
CONV2D = Kind("conv2d", PLANE, False, Conv2d)
CONV3D = Kind("conv3d", VOLUME, False, Conv3d)
CONV_TRANSPOSE1D = Kind("conv_transpose1d", LINE, True, ConvTranspose1d)
CONV_TRANSPOSE2D = Kind("conv_transpose2d", PLANE, True, ConvTranspose2d)
CONV_TRANSPOSE3D = Kind("conv_transpose3d", VOLUME, True, ConvTranspose3d)
