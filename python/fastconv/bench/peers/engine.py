"""What a convolution engine is to the comparison: something optional that takes NumPy arrays and returns them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer

Call = Callable[[Array], Array]
"""From images to outputs, NumPy on both sides, in the layout it was prepared for. The result may be overwritten by
the next call: engines that can write to a buffer of ours are given one, as fastconv is with ``out=``."""


_Element = TypeVar("_Element", bound=np.generic)


class Engine(ABC):
    """One way to convolve, of an optional package.

    Attributes:
        name: As the tables show it.
        module: What must be importable.
        distribution: What to install, and whose version is shown.
        also_needs: Other modules without which it cannot be prepared.
        layouts, dtypes: What it takes.
    """

    name: str
    module: str
    distribution: str
    also_needs: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ("NCHW",)
    dtypes: tuple[str, ...] = ("float32",)

    def missing(self) -> str | None:
        """The first module that is not installed; None if all are."""
        for module in (self.module, *self.also_needs):
            if importlib.util.find_spec(module) is None:
                return module
        return None

    @property
    def version(self) -> str:
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:  # the module came with another distribution, or with none
            return "unknown"

    def set_environment(self, threads: int) -> None:  # noqa: B027 - most need nothing
        """Set what the package reads once, when it is first imported; called before any engine is prepared."""

    def refuses(self, layer: NamedLayer, dtype: str, layout: str) -> str | None:
        """Why it does not take this layer; None if it does."""
        if layout not in self.layouts:
            return f"no {layout}"
        if dtype not in self.dtypes:
            return f"no {dtype}"
        return None

    @abstractmethod
    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        """Bring the weights into the engine's own order and return what convolves.

        Args:
            layer: The geometry.
            weight: (K, C // groups, R, S), of a dtype in `dtypes`.
            bias: (K,), or None.
            threads: How many the calls shall use.
            layout: "NCHW" or "NHWC": of images and outputs.
        Returns:
            A function from images to outputs, both C-contiguous NumPy arrays.
        """

    def load(self, module: str | None = None) -> Any:
        """The engine's package, or a part of it."""
        return importlib.import_module(module or self.module)


def symmetric(layer: NamedLayer) -> tuple[int, int] | None:
    """(height, width) padding if both sides have the same; None otherwise."""
    (top, bottom), (left, right) = layer.padding
    return (top, left) if top == bottom and left == right else None


def padded(layer: NamedLayer, call: Call) -> Call:
    """`call` takes images padded with zeros beforehand, NCHW: what a user of an engine without uneven pads writes."""
    pads = ((0, 0), (0, 0), *layer.padding)
    return lambda x: call(np.pad(x, pads))


def output_array(layer: NamedLayer, dtype: np.dtype[Any], layout: str = "NCHW") -> Array:
    """An array for the layer's outputs, its pages touched."""
    N, K, P, Q = layer.problem(dtype).output_shape
    return np.zeros((N, K, P, Q) if layout == "NCHW" else (N, P, Q, K), dtype)


def set_variable(name: str, value: str) -> None:
    """Add to, or set, an environment variable."""
    before = os.environ.get(name, "")
    if value not in before:
        os.environ[name] = f"{before} {value}".strip()


def in_layout(images: npt.NDArray[_Element], layout: str) -> npt.NDArray[_Element]:
    """NCHW images as C-contiguous ones of `layout`."""
    return images if layout == "NCHW" else np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def describe(error: BaseException) -> str:
    """One line: type and the text's first line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200].rstrip(": ")
