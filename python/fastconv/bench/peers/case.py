"""What every engine is given: one layer in one setting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastconv.arguments import Array
from fastconv.bench.baselines import float64_result
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, in_layout


@dataclass(frozen=True)
class Case:
    """A layer, and how it is computed.

    Attributes:
        layout: "NCHW" or "NHWC", of images and outputs.
        with_bias: Whether there is one.
    """

    layer: NamedLayer
    dtype: str = "float32"
    layout: str = "NCHW"
    threads: int = 1
    with_bias: bool = False

    @property
    def images(self) -> Array:
        """Made anew each time, always the same; in the case's layout."""
        return in_layout(self.layer.random_input(self.dtype), self.layout)

    @property
    def weight(self) -> Array:
        return self.layer.random_weight(self.dtype)

    @property
    def bias(self) -> Array | None:
        if not self.with_bias:
            return None
        return np.random.default_rng(2).standard_normal(self.layer.K).astype(self.dtype)

    def exact(self) -> npt.NDArray[np.float64]:
        """The result in float64, in the case's layout."""
        y = float64_result(self.layer.random_input(self.dtype), self.weight, self.layer)
        if self.bias is not None:
            y += self.bias.astype(np.float64)[:, np.newaxis, np.newaxis]
        return in_layout(y, self.layout)

    def refused_by(self, engine: Engine) -> str | None:
        """Why the engine does not take it; None if it does."""
        return engine.refuses(self.layer, self.dtype, self.layout)

    def prepare(self, engine: Engine) -> Call:
        """The engine's weights packed, and what convolves."""
        return engine.prepare(self.layer, self.weight, self.bias, self.threads, self.layout)
