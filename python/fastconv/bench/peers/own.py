"""fastconv itself, by `algorithm="auto"` or by one of its algorithms."""

from __future__ import annotations

from fastconv import _core
from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, output_array
from fastconv.conv import Conv2d
from fastconv.dispatch import choose
from fastconv.threads import set_num_threads

OWN = "fastconv"
"""The engine all others are compared with; its algorithms one by one are called "fastconv NAME"."""


class FastConv(Engine):
    """`Conv2d`, its weights packed, writing to the same output array each time.

    Args:
        algorithm: "auto" or the name of one.
    """

    module = distribution = "fastconv"
    layouts = ("NCHW", "NHWC")
    dtypes = ("float32", "float64")

    def __init__(self, algorithm: str = "auto") -> None:
        self.algorithm = algorithm
        self.name = OWN if algorithm == "auto" else f"{OWN} {algorithm}"

    @property
    def version(self) -> str:
        return str(_core.build_info()["version"])

    def refuses(self, layer: NamedLayer, dtype: str, layout: str) -> str | None:
        if self.algorithm == "auto":
            return super().refuses(layer, dtype, layout)
        return _core.rejects(self.algorithm, layer.problem(dtype))

    def detail(self, layer: NamedLayer, dtype: str, layout: str) -> str:
        """The algorithm that runs, and the inner choice it makes: "direct channel lanes"."""
        problem = layer.problem(dtype, layout)
        name = choose(problem, prepared=True).algorithm if self.algorithm == "auto" else self.algorithm
        return f"{name} {_core.variant(name, problem)}".strip()

    def stated_memory(self, layer: NamedLayer, dtype: str, layout: str) -> int:
        """Exact bytes beside images, weights and outputs: workspace, packed weights, `Conv2d`'s copy of the weights.

        The copy is there to be packed for images of another size.
        """
        problem = layer.problem(dtype, layout)
        name = choose(problem, prepared=True).algorithm if self.algorithm == "auto" else self.algorithm
        packed = _core.packed_bytes(name, problem)
        return _core.workspace_bytes(name, problem) + packed + problem.weight_bytes

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        set_num_threads(threads)
        op = Conv2d(weight, bias, **layer.options, algorithm=self.algorithm, layout=layout)
        y = output_array(layer, weight.dtype, layout)
        return lambda x: op(x, out=y)
