"""JAX on the CPU: XLA, compiled for the layer with its weights as constants of the call."""

from __future__ import annotations

import os

import numpy as np

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine, set_variable


class Jax(Engine):
    """XLA's thread pool is sized once per process, from the environment."""

    name = "JAX"
    module = distribution = "jax"
    also_needs = ("jaxlib",)
    layouts = ("NCHW", "NHWC")
    dtypes = ("float32", "float64")

    def set_environment(self, threads: int) -> None:
        os.environ["JAX_PLATFORMS"] = "cpu"
        os.environ["NPROC"] = str(threads)
        if threads == 1:
            set_variable("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        jax = self.load()
        if weight.dtype == np.float64:
            jax.config.update("jax_enable_x64", True)
        filters = jax.device_put(weight)
        shift = None if bias is None else jax.device_put(bias.reshape((-1, 1, 1) if layout == "NCHW" else (-1,)))

        def convolve(x: object, w: object, b: object) -> object:
            y = jax.lax.conv_general_dilated(
                x, w, layer.stride, layer.padding, rhs_dilation=layer.dilation,
                dimension_numbers=(layout, "OIHW", layout), feature_group_count=layer.groups,
            )  # fmt: skip
            return y if b is None else y + b

        example = np.zeros(layer.input_shape if layout == "NCHW" else np.take(layer.input_shape, (0, 2, 3, 1)))
        compiled = jax.jit(convolve).lower(example.astype(weight.dtype), filters, shift).compile()

        def call(x: Array) -> Array:
            return np.asarray(compiled(x, filters, shift))

        return call
