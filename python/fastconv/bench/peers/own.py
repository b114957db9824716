"""fastconv itself, by `algorithm="auto"` or by one of its algorithms."""

from __future__ import annotations

from functools import partial

from fastconv import _core
from fastconv._core import Problem
from fastconv.arguments import BALANCED, Array, Limits
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, output_array
from fastconv.conv import conv2d
from fastconv.dispatch import choose
from fastconv.prepared import Conv2d
from fastconv.threads import set_num_threads

OWN = "fastconv"
"""The engine all others are compared with; its algorithms one by one are called "fastconv NAME"."""

PLAIN_CALL = "conv2d()"
"""How names of the plain function end, which packs the weights at each call."""


class FastConv(Engine):
    """`Conv2d`, its weights packed, or the plain function `conv2d`; writing to the same output array each time.

    Args:
        algorithm: "auto" or the name of one.
        prepared: Whether weights are packed beforehand.
        limits: What errors it may trade for speed.
    """

    module = distribution = "fastconv"
    layouts = ("NCHW", "NHWC")
    dtypes = ("float32", "float64")

    def __init__(self, algorithm: str = "auto", prepared: bool = True, limits: Limits = BALANCED) -> None:
        self.algorithm, self.prepared, self.limits = algorithm, prepared, limits
        self.name = " ".join(
            [OWN, *([algorithm] if algorithm != "auto" else []), *([PLAIN_CALL] if not prepared else [])]
        )

    @property
    def version(self) -> str:
        return str(_core.build_info()["version"])

    def refuses(self, layer: NamedLayer, dtype: str, layout: str) -> str | None:
        if self.algorithm == "auto":
            return super().refuses(layer, dtype, layout)
        return _core.rejects(self.algorithm, self.limits.problem(layer.problem(dtype)))

    def detail(self, layer: NamedLayer, dtype: str, layout: str) -> str:
        """The algorithm that runs, and the inner choice it makes: "direct channel lanes"."""
        name, problem = self._chosen(layer, dtype, layout)
        return f"{name} {_core.variant(name, problem)}".strip()

    def stated_memory(self, layer: NamedLayer, dtype: str, layout: str) -> int:
        """Exact bytes beside images, weights and outputs: workspace, packed weights, `Conv2d`'s copy of the weights.

        The copy is there to be packed for images of another size.
        """
        name, problem = self._chosen(layer, dtype, layout)
        copied = problem.weight_bytes if self.prepared else 0
        return _core.workspace_bytes(name, problem) + _core.packed_bytes(name, problem) + copied

    def _chosen(self, layer: NamedLayer, dtype: str, layout: str) -> tuple[str, Problem]:
        problem = self.limits.problem(layer.problem(dtype, layout))
        if self.algorithm != "auto":
            return self.algorithm, problem
        choice = choose(problem, prepared=self.prepared, max_error=self.limits.most)
        return choice.algorithm, problem

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        set_num_threads(threads)
        y = output_array(layer, weight.dtype, layout)
        options = {**layer.options, "algorithm": self.algorithm, "layout": layout, **self.limits.options}
        if not self.prepared:
            return partial(conv2d, weight=weight, bias=bias, **options, out=y)
        op = Conv2d(weight, bias, **options)
        return lambda x: op(x, out=y)
