"""Calls for guarded.py: every operator, algorithm, instruction set, dtype and layout, compared with float64."""

from __future__ import annotations

import math

import numpy as np
from guarded_layers import ACTIVATIONS, OPERANDS, Layer
from truth import conv, scattered, weight_gradient

import fastconv


class Call(Layer):
    """A layer with its numbers; `run` makes the call and compares."""

    def __init__(self, rng, arenas):
        super().__init__(rng)
        self.said = super().__repr__()
        self.arenas = arenas

    def __repr__(self):
        return self.said

    def normal(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def put(self, name, a):
        return None if a is None else self.arenas[name].put(np.ascontiguousarray(a), self.ends[name])

    def laid(self, a):
        """From channels first to the call's layout."""
        return np.moveaxis(a, 1, -1) if self.layout.endswith("C") else a

    @property
    def options(self):
        return {"stride": self.stride, "padding": self.pads, "dilation": self.dilation, "groups": self.groups}

    def run(self):
        """What the call was, for counting; AssertionError if its result is wrong."""

        def within(function):
            fastconv.release_memory()  # workspace that this call takes is new, and as large as it asks for
            with fastconv.use_isa(self.isa), fastconv.num_threads(self.threads):
                return function()

        what = getattr(
            self, {"input": "gradient", "weight": "gradient", "transposed": "conv"}.get(self.kind, self.kind)
        )
        kind = what(within)
        for name, arena in self.arenas.items():
            assert arena.is_kept(), f"memory around {name} was written to"
        return kind

    def compare(self, y, expected, terms):
        assert y.shape == expected.shape, f"shape {y.shape}, expected {expected.shape}"
        bound = 512 * np.finfo(self.dtype).eps * max(float(np.abs(expected).max(initial=0)), math.sqrt(max(terms, 1)))
        worst = float(np.abs(y - expected).max(initial=0))
        assert worst <= bound, f"off by {worst:.3g}, allowed {bound:.3g}"

    def conv(self, within):
        transposed = self.kind == "transposed"
        w_shape = (self.C, self.K // self.groups) if transposed else (self.K, self.C // self.groups)
        x, w = self.normal(self.N, self.C, *self.extents), self.normal(*w_shape, *self.kernel)
        bias = self.normal(self.K) if self.has_bias else None
        numbers = self.stride, self.pads, self.dilation, self.groups
        if transposed:
            expected = scattered(x, w, self.transposed_extents(), *numbers)
            expected = expected if bias is None else expected + bias.reshape(-1, *(1,) * self.axes)
        else:
            expected = conv(x, w, bias, *numbers)
        residual = self.normal(*expected.shape) if self.adds else None
        expected = ACTIVATIONS[self.activation](expected if residual is None else expected + residual)
        self.x, self.w = self.put("x", self.laid(x)), self.put("w", w)
        options = self.options | {"layout": self.layout, "activation": self.activation, "accuracy": self.accuracy}
        options["bias"] = self.put("bias", bias)
        if transposed:
            options["output_padding"] = self.more
        ending = {"residual": self.put("residual", self.laid(residual))} if self.adds == "residual" else {}
        if self.adds == "accumulate":
            ending = {"out": self.put("out", self.laid(residual)), "accumulate": True}
        elif self.given_out:
            ending["out"] = self.arenas["out"].empty(self.laid(expected).shape, self.dtype, self.ends["out"])
        name = f"{'_transpose' * transposed}{self.axes}d"

        def call(algorithm):
            if self.prepared:
                cls = getattr(fastconv, f"Conv{'Transpose' * transposed}{self.axes}d")
                return cls(self.w, algorithm=algorithm, **options)(self.x, **ending)
            return getattr(fastconv, f"conv{name}")(self.x, self.w, algorithm=algorithm, **options, **ending)

        while True:
            try:
                y = within(lambda: call(self.algorithms[0]))
                break
            except ValueError as error:
                if not str(error).startswith("algorithm:"):
                    raise
                del self.algorithms[0]  # that one does not take the layer
        self.compare(y, self.laid(expected), self.C // self.groups * math.prod(self.kernel))
        return self.algorithms[0]

    def gradient(self, within):
        dy = self.normal(self.N, self.K, *self.outputs)
        shapes = (self.N, self.C, *self.extents), (self.K, self.C // self.groups, *self.kernel)
        numbers = self.stride, self.pads, self.dilation, self.groups
        options = self.options | {"layout": self.layout}
        self.dy = self.put("bias", self.laid(dy))
        if self.kind == "weight":
            x = self.normal(*shapes[0])
            expected, terms = weight_gradient(x, dy, self.kernel, *numbers), self.N * math.prod(self.outputs)
            first, second = self.put("x", self.laid(x)), shapes[1]
        else:
            w = self.normal(*shapes[1])
            expected = self.laid(scattered(dy, w, self.extents, *numbers))
            terms = self.K // self.groups * math.prod(self.kernel)
            first, second = self.laid(np.empty(shapes[0])).shape, self.put("w", w)
        if self.given_out:
            options["out"] = self.arenas["out"].empty(expected.shape, self.dtype, self.ends["out"])
        function = getattr(fastconv.grad, f"conv{self.axes}d_{self.kind}")
        self.compare(within(lambda: function(first, second, self.dy, **options)), expected, terms)
        return f"gradient by {self.kind}"

    def bytes(self, within):
        types = self.pick("u1", "i1"), self.pick("u1", "i1")
        ranges = [np.iinfo(dtype) for dtype in types]
        shapes = (self.N, self.C, *self.extents), (self.K, self.C // self.groups, *self.kernel)
        x, w = (
            self.rng.integers(r.min, r.max + 1, shape).astype(r.dtype) for r, shape in zip(ranges, shapes, strict=True)
        )
        zeros = [self.number(r.min, r.max) for r in ranges]
        if self.number(0, 1):
            zeros = [0, 0]
        by_filter = (-1, *(1,) * (self.axes + 1))
        if self.number(0, 3) == 0:
            of_filters = self.rng.integers(ranges[1].min, ranges[1].max + 1, self.K).astype(w.dtype)
            zeros[1] = self.put("residual", of_filters)
        bias = self.rng.integers(-1000, 1000, self.K).astype(np.int32) if self.has_bias else None
        numbers = self.stride, self.pads, self.dilation, self.groups
        expected = conv(x.astype(float) - zeros[0], w.astype(float) - np.reshape(zeros[1], by_filter), bias, *numbers)
        self.x, self.w, self.bias = self.put("x", x), self.put("w", w), self.put("bias", bias)
        requantization = None
        if self.number(0, 1):
            to = self.pick("uint8", "int8")
            scale = self.pick(1 / 64, 2.0 ** -self.rng.integers(2, 9, self.K))
            requantization = fastconv.Requantization(scale, self.number(0, 5), to)
            limits, scaled = np.iinfo(to), np.rint(expected * np.reshape(scale, by_filter[:-1]))
            expected = np.clip(scaled + requantization.zero_point, limits.min, limits.max)
        options = self.options | {"bias": self.bias, "requantization": requantization}
        out = None
        if self.given_out:
            dtype = np.dtype(requantization.dtype if requantization else "i4")
            out = self.arenas["out"].empty(expected.shape, dtype, self.ends["out"])

        def call():
            if self.prepared:
                return fastconv.ConvInteger(x.dtype, self.w, *zeros, **options)(self.x, out=out)
            return fastconv.conv_integer(self.x, self.w, *zeros, out=out, **options)

        assert np.array_equal(within(call), expected), "other sums"
        return "bytes"

    def windows(self, within):
        numbers = {"kernel_size": self.kernel, "stride": self.stride, "padding": self.pads, "dilation": self.dilation}
        x = self.normal(self.N, self.C, *self.extents)
        field = tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))
        padded = np.pad(x, ((0, 0), (0, 0), *self.pads))
        views = np.lib.stride_tricks.sliding_window_view(padded, field, axis=(2, 3))
        views = views[(slice(None), slice(None), *(slice(None, None, step) for step in self.stride + self.dilation))]
        columns = views.transpose(0, 1, 4, 5, 2, 3).reshape(self.N, self.C * math.prod(self.kernel), -1)
        self.x, self.columns = self.put("x", x), self.put("residual", columns)
        assert np.array_equal(within(lambda: fastconv.unfold(self.x, **numbers)), columns), "other windows"
        y = within(lambda: fastconv.fold(self.columns, self.extents, **numbers))
        counts = fastconv.fold(fastconv.unfold(np.ones_like(x), **numbers), self.extents, **numbers)
        self.compare(y, x.astype(float) * counts, math.prod(self.kernel))
        return "windows"


def arenas(make):
    """One for each operand of a call."""
    return {name: make() for name in OPERANDS}


def draw(seed, arenas):
    """The call of a seed."""
    return Call(np.random.default_rng(seed), arenas)
