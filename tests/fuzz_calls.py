"""Calls of every public function, most of them hostile: a sound call is drawn, then some of its arguments replaced."""

from __future__ import annotations

import numpy as np
from fuzz_truth import expected_conv, expected_gradient, expected_transposed
from hypothesis import strategies as st

import fastconv

HUGE = (2**16, 2**31 - 1, 2**31, 2**40, 2**62, 2**63, 2**64)

NUMBERS = st.sampled_from(
    (0, -1, 1, 2, 3, 5, *HUGE, -(2**31), -(2**63), True, False, 1.0, 1.5, float("nan"), float("inf"), None, "1", "",
     b"2", np.int64(2), np.uint8(3), np.uint64(2**64 - 1), np.float32(1), np.array(2), np.array([1, 2]), 1j,
     object(), (), (1,), (2, 1), (1, 2, 3), (1, 2, 3, 4), (0, 1), (-1, 1), (1, None), (1.0, 2), [2, 2], [], {}, {1, 2},
     range(2), (2**31 - 1, 1), (2**63, 1), ((1, 2), (0, 1)), ((1, 2),), ((0, 1), (2, 0), (1, 1)), ((1,), (2,)),
     ((-1, 0), (0, 0)),
     ((2**62, 2**62), (1, 1)), (((1,),),), "valid", "same", "same_lower", "SAME")
)  # fmt: skip
NAMES = st.sampled_from(
    (None, "", "auto", "zeros", "reflect", "circular", "symmetric", "NCHW", "NHWC", "nchw", "NWC", "NDHWC", "relu",
     "tanh", ("clip", 0, 1), ("clip", 1, 0), ("clip", float("nan"), 1), ("leaky_relu", 1e300), ("clip",), (None,),
     ("clip", 0, "1"), ("clip", 0, 10**400), ("leaky_relu", -(10**400)), b"auto", 1, -1, 0.5, True, float("nan"), [],
     object(), "x" * 5000, "\0", "\ud800", "full", "same", "valid", "wrap", "fill", "strict", "fast", "winograd",
     "direct", "dense", "fft", "reference", "im2col", "pointwise", "depthwise", 0, 2**63, 2**64, 10**400, 1e-9, 1e-3)
)  # fmt: skip
DTYPES = ("?", "i1", "u1", "i4", "i8", "u8", "f2", "f4", "f8", "g", "F", "D", "G", "O", "U3", "S3", "M8[s]", "m8[s]",
          "V4", [("x", "f4")], ">f4", ">f8", ">c8")  # fmt: skip


class Liar:
    """Says that it is an array, and is none."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("no array after all")


class Wrapped:
    """Becomes an array when asked."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def _unaligned(a):
    memory = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape) if a.nbytes else a.copy()
    memory[...] = a
    return memory


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _strided(a):
    wide = np.zeros((*a.shape[:-1], 3 * a.shape[-1]), a.dtype) if a.ndim else a
    view = wide[..., ::-3] if a.ndim else a
    view[...] = a
    return view


ARRAYS = (
    lambda a, draw: draw(NUMBERS),
    lambda a, draw: a.tolist(),
    lambda a, draw: a.astype(draw(st.sampled_from([t for t in DTYPES if t not in ("V4", "M8[s]", "m8[s]")]))),
    lambda a, draw: np.zeros(a.shape, draw(st.sampled_from(DTYPES))),
    lambda a, draw: np.ma.masked_greater(a.real, 0.5),
    lambda a, draw: Liar(),
    lambda a, draw: Wrapped(a),
    lambda a, draw: Wrapped([1.0]),
    lambda a, draw: memoryview(np.ascontiguousarray(a)),
    lambda a, draw: np.asmatrix(a) if a.ndim == 2 else a[..., np.newaxis],
    lambda a, draw: a[0] if a.shape and a.shape[0] else a[..., np.newaxis],
    lambda a, draw: a.reshape(-1),
    lambda a, draw: a[..., :0],
    lambda a, draw: a[:0],
    lambda a, draw: a.sum(),
    lambda a, draw: np.repeat(a, 2, axis=draw(st.integers(0, a.ndim - 1))) if a.ndim else a,
    lambda a, draw: np.broadcast_to(a.dtype.type(1), (1,) * max(a.ndim - 1, 0) + (draw(st.sampled_from(HUGE[:3])),)),
    lambda a, draw: np.broadcast_to(a.dtype.type(1), (2**16,) * min(a.ndim, 3)),
    lambda a, draw: np.broadcast_to(a.dtype.type(1), (2,) * draw(st.integers(0, 9))),
    lambda a, draw: np.asfortranarray(a),
    lambda a, draw: a[(slice(None, None, -1),) * a.ndim],
    lambda a, draw: _strided(a),
    lambda a, draw: _unaligned(a),
    lambda a, draw: _read_only(a),
    lambda a, draw: a.astype(a.dtype.newbyteorder()),
    lambda a, draw: (a * draw(st.sampled_from([0, 1e-4, 1e4, 1e-40, 1e30]))).astype(a.dtype),
    lambda a, draw: np.where(a.real > 1, draw(st.sampled_from([np.inf, np.nan, -np.inf])), a).astype(a.dtype),
)
KEEPING = ARRAYS[-8:-2]  # the values, or their order


def _array(draw, dtype, *shape):
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    a = rng.standard_normal(shape)
    return (a + 1j * rng.standard_normal(shape) if dtype.startswith("c") else a).astype(dtype)


def prepared(cls):
    """A prepared form, called at once, as a function of the same arguments."""

    def call(input, weight, residual=None, **options):
        return cls(weight, **options)(input, residual=residual)

    return call


@st.composite
def layers(draw):
    """(function, arguments, expected) of a convolution, a transposed one, or a gradient."""
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    axes, groups, N = number(1, 3), pick(1, 1, 2), pick(1, 2, 0)
    some = lambda low, high: tuple(number(low, high) for _ in range(axes))  # noqa: E731
    kind, dtype = pick("conv", "transposed", "input", "weight"), pick("f4", "f4", "f8", "f2", "c8")
    C, K = groups * number(1, 9), groups * number(1, 9)
    kernel, stride, dilation, pads = some(1, 4), some(1, 3), some(1, 2), some(0, 2)
    extents = tuple(d * (k - 1) + 1 + number(0, 7) for d, k in zip(dilation, kernel, strict=True))
    first, last = (("NCW", "NWC"), ("NCHW", "NHWC"), ("NCDHW", "NDHWC"))[axes - 1]
    layout = pick(first, last)
    shape = lambda channels, sizes: (N, *sizes, channels) if layout == last else (N, channels, *sizes)  # noqa: E731
    numbers = {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups, "layout": layout}
    if kind in ("input", "weight"):
        dtype = pick("f4", "f8")
        outputs = ((n + 2 * p - d * (k - 1) - 1) // s + 1
                   for n, p, d, k, s in zip(extents, pads, dilation, kernel, stride, strict=True))  # fmt: skip
        dy = _array(draw, dtype, *shape(K, tuple(outputs)))
        x, w = shape(C, extents), (K, C // groups, *kernel)
        own = {"input_size": x, "weight": _array(draw, dtype, *w)} if kind == "input" else {
            "input": _array(draw, dtype, *x), "weight_size": w}  # fmt: skip
        return getattr(fastconv.grad, f"conv{axes}d_{kind}"), {**own, "grad_output": dy, **numbers}, expected_gradient
    numbers |= {"algorithm": pick("auto", "auto", *fastconv.algorithms()),
                "activation": pick(None, None, None, "relu", "silu"),
                "accuracy": pick("balanced", "strict", "fast")}  # fmt: skip
    transposed = kind == "transposed"
    w = (C, K // groups, *kernel) if transposed else (K, C // groups, *kernel)
    own = {"input": _array(draw, dtype, *shape(C, extents)), "weight": _array(draw, dtype, *w)}
    own["bias"] = _array(draw, dtype, K) if number(0, 1) else None
    if transposed:
        numbers["output_padding"] = 0
    expected = expected_transposed if transposed else expected_conv
    if not transposed:
        numbers["padding_mode"] = pick("zeros", "zeros", "replicate", "circular", "reflect")
    if number(0, 3) == 0:
        function = prepared(getattr(fastconv, f"Conv{'Transpose' * transposed}{axes}d"))
    else:
        function = getattr(fastconv, f"conv{'_transpose' * transposed}{axes}d")
        numbers["promote"] = pick(False, False, True)
    if number(0, 3) == 0:
        try:
            y = expected(own | numbers | {"activation": None})
            own["residual"] = _array(draw, dtype, *y.shape)
        except ValueError:  # too small to be padded so
            pass
    return function, own | numbers, expected


def spoilt(draw, arguments):
    """Some of the arguments replaced, at most three."""
    spoilt = dict(arguments)
    for name in draw(st.lists(st.sampled_from(sorted(arguments)), max_size=3, unique=True)):
        value = arguments[name]
        if isinstance(value, np.ndarray):
            spoilt[name] = draw(st.sampled_from(ARRAYS + KEEPING))(value, draw)
        else:
            spoilt[name] = draw(
                NAMES if value is None or isinstance(value, str) else st.one_of(NUMBERS, NUMBERS, NAMES)
            )
    return spoilt
