"""Layers for guarded_calls.py, each drawn from its seed.

Narrow images, pads beyond the kernel, and odd strides and dilations are drawn more often than networks have them.
"""

from __future__ import annotations

import math

import numpy as np

import fastconv

MOST = 1_000_000  # multiply-adds of a call
LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
ACTIVATIONS = {
    None: lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "tanh": np.tanh,
    ("leaky_relu", 0.25): lambda y: np.where(y > 0, y, 0.25 * y),
}
KINDS = ("conv", "conv", "conv", "transposed", "input", "weight", "weight", "bytes", "windows")
OPERANDS = ("x", "w", "bias", "residual", "out")


class Layer:
    """What a sound call is made of, but for its numbers."""

    def __init__(self, rng):
        self.rng = rng
        self.kind = self.pick(*KINDS)
        self.at_end = bool(self.number(0, 1))  # of packed weights and workspace
        self.ends = {name: bool(self.number(0, 1)) for name in OPERANDS}
        self.isa = self.pick(*fastconv.available_isas())
        self.threads = self.pick(1, 1, 1, 2)
        self.dtype = self.pick("f4", "f4", "f8")
        while True:
            self.draw_layer()
            if self.kind == "transposed" and min(self.transposed_extents()) < 1:
                continue
            if min(self.outputs) >= 1 and self.work() <= MOST:
                break
        named = [name for name in fastconv.algorithms() if name not in ("dense", "reference")]
        self.algorithms = ["auto"] if self.number(0, 3) == 0 else [*self.rng.permutation(named).tolist(), "auto"]
        if self.number(0, 9) == 0:
            self.algorithms.insert(0, self.pick("dense", "reference"))
        self.prepared = self.number(0, 3) == 0
        self.has_bias, self.given_out = bool(self.number(0, 1)), bool(self.number(0, 1))
        self.adds = self.pick(None, None, "residual", "accumulate")
        self.activation = self.pick(None, None, *ACTIVATIONS)
        self.accuracy = self.pick("balanced", "fast")

    def pick(self, *values):
        return values[int(self.rng.integers(len(values)))]

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def each(self, *ranges):
        return tuple(self.number(*self.pick(*ranges)) for _ in range(self.axes))

    def draw_layer(self):
        """Numbers of a layer, which may be no sound one."""
        self.axes = 2 if self.kind == "windows" else self.pick(1, 2, 2, 2, 3)
        self.N = self.pick(1, 1, 1, 2, 3)
        form = self.pick("dense", "dense", "wide", "depthwise", "depthwise", "multiplied", "grouped", "single")
        few = self.number(1, 9)
        self.C, self.K, self.groups = {
            "dense": (few, self.number(1, 40), 1),
            "wide": (self.number(10, 70), self.number(10, 70), 1),
            "depthwise": (few * self.pick(1, 1, 5), 0, 0),
            "multiplied": (few, few * self.number(2, 3), few),
            "grouped": (few * self.number(1, 4), few * self.number(1, 5), few),
            "single": (1, 1, 1),
        }[form]
        if form == "depthwise":
            self.K = self.groups = self.C
        square = (self.pick(1, 2, 3, 3, 3, 5, 5, 7, 7),) * self.axes
        large = self.number(0, 9) == 0 and self.axes < 3
        self.kernel = self.pick(square, square, self.each((1, 7), (1, 3)))
        if large:
            self.kernel = self.each((7, 32))
        if self.number(0, 9) == 0:
            self.kernel = (1,) * self.axes
        if form == "grouped" and self.number(0, 1):
            self.kernel = (3,) * self.axes
        plain = self.number(0, 2) > 0
        self.stride = (1,) * self.axes if plain else self.pick((2,) * self.axes, self.each((1, 5)))
        self.dilation = (1,) * self.axes if self.number(0, 2) else self.each((1, 2), (1, 5))
        self.pads = tuple(self.each((0, 2), (0, 2), (0, 9), (0, 40))[:2] * 2 for _ in range(self.axes))
        self.pads = tuple((self.number(0, a), a) if self.number(0, 1) else (a, a) for a, *_ in self.pads)
        if self.number(0, 1):
            reach = ((d * (k - 1)) // 2 for d, k in zip(self.dilation, self.kernel, strict=True))
            self.pads = tuple((r, r) for r in reach)
        self.extents = self.each((1, 4), (1, 4), (1, 20), (1, 40), (30, 130))
        if self.number(0, 15) == 0:  # one output
            self.extents, self.pads, self.dilation = self.kernel, ((0, 0),) * self.axes, (1,) * self.axes
        self.outputs = tuple(
            (n + sum(p) - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(self.extents, self.pads, self.dilation, self.kernel, self.stride, strict=True)
        )
        self.layout = self.pick(*LAYOUTS[self.axes])
        self.more = tuple(self.number(0, max(s, d) - 1) for s, d in zip(self.stride, self.dilation, strict=True))

    def transposed_extents(self):
        numbers = zip(self.extents, self.stride, self.pads, self.dilation, self.kernel, self.more, strict=True)
        return [(n - 1) * s - sum(p) + d * (k - 1) + m + 1 for n, s, p, d, k, m in numbers]

    def work(self):
        places = self.extents if self.kind == "transposed" else self.outputs
        filters = self.groups if self.kind == "windows" else self.K
        padded = math.prod(n + sum(p) for n, p in zip(self.extents, self.pads, strict=True)) * self.C * self.N
        if self.kind == "transposed":
            padded = max(padded, math.prod(self.transposed_extents()) * self.K * self.N)
        return max(self.N * filters * self.C // self.groups * math.prod(self.kernel) * math.prod(places), padded)

    def __repr__(self):
        return ", ".join(f"{name}={value}" for name, value in vars(self).items() if name != "rng")
