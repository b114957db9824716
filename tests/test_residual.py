"""What is added before the activation: `residual=`, and `accumulate=True` with `out=`; against float64."""

import re

import numpy as np
import pytest
from truth import assert_close, conv, scattered

import fastconv

# (x, w, options): what each algorithm takes, in the shapes of its own paths
LAYERS = [
    ((2, 5, 13, 17), (7, 5, 3, 3), {"padding": 1}),
    ((1, 3, 20, 19), (20, 3, 5, 5), {"padding": 2, "stride": 2}),
    ((2, 16, 14, 14), (24, 16, 1, 1), {}),
    ((3, 33, 9, 8), (18, 33, 1, 1), {"stride": 2}),
    ((2, 20, 18, 15), (33, 20, 3, 3), {"padding": 1}),
    ((3, 40, 4, 4), (37, 40, 4, 4), {}),
    ((2, 12, 15, 14), (12, 1, 3, 3), {"padding": 1, "groups": 12}),
    ((1, 12, 16, 14), (24, 1, 3, 3), {"padding": 1, "groups": 12, "stride": 2}),
    ((1, 6, 33, 30), (6, 1, 9, 9), {"padding": 4, "groups": 6}),
    ((1, 3, 18, 20), (3, 1, 7, 7), {"padding": 3, "groups": 3, "stride": 3}),
    ((2, 3, 6, 6), (3, 1, 13, 13), {"padding": 6, "groups": 3}),
    ((2, 16, 15, 16), (16, 4, 3, 3), {"padding": 1, "groups": 4}),
    ((1, 2, 36, 30), (3, 2, 15, 15), {"padding": 7}),
    ((1, 4, 12, 50), (8, 4, 3, 3), {"padding": 2, "dilation": 2}),
]
ACTIVATIONS = [None, "relu", ("clip", -0.5, 0.25), "silu"]
MEANINGS = {
    None: lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    ("clip", -0.5, 0.25): lambda y: y.clip(-0.5, 0.25),
    "silu": lambda y: y / (1 + np.exp(-y)),
    "leaky_relu": lambda y: np.where(y < 0, 0.01 * y, y),
}


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def assert_near(y, expected):
    assert_close(y, expected, 640)  # Winograd


def first(y):
    return np.moveaxis(y, -1, 1)


def last(y):
    return np.moveaxis(y, 1, -1).copy()


def takes(algorithm, layer):
    x_shape, w_shape, options = layer
    if algorithm == "dense" and np.prod(x_shape[1:]) * w_shape[0] > 40_000:
        return False  # a matrix of many megabytes
    return fastconv.rejects(algorithm, fastconv.explain(x_shape, w_shape, **options).problem) is None


PAIRS = [(algorithm, layer) for algorithm in fastconv.algorithms() for layer in LAYERS if takes(algorithm, layer)]


def test_no_algorithm_is_left_out():
    assert {algorithm for algorithm, _ in PAIRS} == set(fastconv.algorithms())


@pytest.mark.parametrize(("algorithm", "layer"), PAIRS, ids=str)
@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_every_algorithm(algorithm, isa, layer):
    x_shape, w_shape, options = layer
    for dtype, nhwc, activation in [
        (np.float32, False, None),
        (np.float32, False, "relu"),
        (np.float32, True, "silu"),
        (np.float64, False, ("clip", -0.5, 0.25)),
        (np.float64, True, None),
    ]:
        x, w, b = normal(*x_shape, dtype=dtype), normal(*w_shape, dtype=dtype, seed=1), normal(w_shape[0], dtype=dtype)
        w /= np.sqrt(np.prod(w_shape[1:])).astype(dtype)
        place = {"pads" if name == "padding" else name: value for name, value in options.items()}
        linear = conv(x, w, b, **place)
        r = normal(*linear.shape, dtype=dtype, seed=2)
        expected = MEANINGS[activation](linear + r)
        layout = "NHWC" if nhwc else "NCHW"
        to, back = (last, first) if nhwc else (np.copy, np.asarray)
        own = {**options, "layout": layout, "algorithm": algorithm, "activation": activation}
        with fastconv.use_isa(isa):
            op = fastconv.Conv2d(w, b, **own)
            assert_near(back(fastconv.conv2d(to(x), w, b, **own, residual=to(r))), expected)
            assert_near(back(fastconv.conv2d(to(x), w, b, **own, residual=to(r))), expected)  # remembered
            assert_near(back(op(to(x), residual=to(r))), expected)
            assert_near(back(op(to(x), residual=to(r))), expected)
            for call in (op, lambda x, w=w, b=b, own=own, **more: fastconv.conv2d(x, w, b, **own, **more)):
                for more in ({"accumulate": True}, {"residual": "out"}):
                    y = to(r)
                    given = {name: y if value == "out" else value for name, value in more.items()}
                    assert call(to(x), out=y, **given) is y
                    assert_near(back(y), expected)
            with fastconv.num_threads(3):
                many = op(to(x), residual=to(r))
            assert np.array_equal(many, op(to(x), residual=to(r)))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("activation", MEANINGS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_operator(axes, channels_last, activation, transposed):
    layouts = (("NCW", "NWC"), ("NCHW", "NHWC"), ("NCDHW", "NDHWC"))[axes - 1]
    to, back = (last, first) if channels_last else (np.copy, np.asarray)
    for kernel, options in [
        (3, {"padding": 1}),
        (3, {"stride": 2, "padding": 1}),
        (2, {"stride": 3}),  # with outputs that see no tap, if transposed
        (1, {}),
    ]:
        for groups in (1, 2):
            w_shape = (4, 6 // groups) if transposed else (6, 4 // groups)
            x, w = normal(2, 4, *(7, 6, 5)[:axes]), normal(*w_shape, *(kernel,) * axes, seed=1)
            b = normal(6)
            name = f"conv{'_transpose' * transposed}{axes}d"
            own = {**options, "groups": groups, "layout": layouts[channels_last], "activation": activation}
            plain = getattr(fastconv, name)(x, w, b, **options, groups=groups)
            place = {"pads" if name == "padding" else name: value for name, value in options.items()}
            if transposed:
                linear = scattered(x, w, plain.shape[2:], **place, groups=groups) + b.reshape(-1, *(1,) * axes)
            else:
                linear = conv(x, w, b, **place, groups=groups)
            r = normal(*linear.shape, seed=2)
            expected = MEANINGS[activation](linear + r)
            op = getattr(fastconv, f"Conv{'Transpose' * transposed}{axes}d")(w, b, **own)
            for call in (
                op,
                lambda x, own=own, w=w, b=b, name=name, **more: getattr(fastconv, name)(x, w, b, **own, **more),
            ):
                for _ in range(2):
                    assert_close(back(call(to(x), residual=to(r))), expected)
                    y = to(r)
                    assert call(to(x), out=y, accumulate=True) is y
                    assert_close(back(y), expected)
                    assert_close(back(call(to(x)[0], residual=to(r)[0])[np.newaxis]), expected[:1])


def test_images_in_portions():
    """Outputs of several MiB are interleaved some images at a time, and added to so."""
    x, w = normal(4, 8, 64, 64), normal(8, 16, 4, 4, seed=1)
    y = normal(4, 16, 128, 128, seed=2)
    expected = scattered(x, w, (128, 128), 2, 1) + y
    assert_close(fastconv.conv_transpose2d(x, w, stride=2, padding=1, residual=y), expected)
    fastconv.ConvTranspose2d(w, stride=2, padding=1)(x, y, accumulate=True)
    assert_close(y, expected)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes(mode):
    x, w, b = normal(2, 3, 8, 9), normal(4, 3, 3, 5, seed=1), normal(4)
    r = normal(2, 4, 8, 9, seed=2)
    numpys = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)), mode=numpys)
    expected = np.maximum(conv(padded, w, b) + r, 0)
    options = {"padding": (1, 2), "padding_mode": mode, "activation": "relu"}
    assert_close(fastconv.conv2d(x, w, b, **options, residual=r), expected)
    assert_close(fastconv.conv2d(x[0], w, b, **options, residual=r[0]), expected[0])
    y = r.copy()
    fastconv.conv2d(x, w, b, **options, out=y, accumulate=True)
    assert_close(y, expected)
    y = last(r)
    fastconv.conv2d(last(x), w, b, **options, layout="NHWC", out=y, residual=y)
    assert_close(first(y), expected)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "complex128"])
def test_dtypes(dtype):
    x, w, r = normal(1, 3, 8, 9).astype(dtype), normal(4, 3, 3, 3, seed=1).astype(dtype), normal(1, 4, 6, 7, seed=2)
    r = r.astype(dtype) * (1 + 1j if dtype.startswith("c") else 1)
    r = r.astype(dtype)
    plain = fastconv.conv2d(x.astype("f8"), w.astype("f8")) if dtype == "float16" else fastconv.conv2d(x, w)
    y = fastconv.conv2d(x, w, residual=r)
    assert y.dtype == dtype
    assert np.allclose(
        y, plain + r, rtol=1e-3 if dtype == "float16" else 1e-6, atol=1e-2 if dtype == "float16" else 1e-5
    )
    held = r.copy()
    assert fastconv.conv2d(x, w, out=held, accumulate=True) is held
    assert np.array_equal(held, y)


def test_types_are_promoted_together():
    x, w, r = normal(1, 1, 4, 4), normal(1, 1, 1, 1), normal(1, 1, 4, 4, dtype=np.float64, seed=3)
    y = fastconv.conv2d(x, w, residual=r, promote=True)
    assert y.dtype == np.float64
    assert_close(y, conv(x, w) + r)


def test_arrays_that_are_not_plain():
    x, w, r = normal(1, 2, 6, 6), normal(3, 2, 3, 3, seed=1), normal(1, 3, 4, 4, seed=2)
    expected = conv(x, w) + r
    strided = np.zeros((1, 3, 4, 8), np.float32)[..., ::2]
    swapped = r.astype(">f4")
    for op in (fastconv.Conv2d(w), lambda x, **more: fastconv.conv2d(x, w, **more)):
        strided[...] = r
        assert_close(op(x, residual=strided), expected)
        assert_close(op(x, residual=swapped), expected)
        assert op(x, out=strided, accumulate=True) is strided
        assert_close(strided, expected)
        assert_close(op(np.asfortranarray(x), residual=r), expected)


def test_memory_that_overlaps():
    x, w = normal(1, 1, 4, 4), normal(1, 1, 1, 1)
    memory = normal(20)
    y, shifted = memory[:16].reshape(1, 1, 4, 4), memory[2:18].reshape(1, 1, 4, 4)
    for op in (fastconv.Conv2d(w), lambda x, **more: fastconv.conv2d(x, w, **more)):
        for _ in range(2):
            with pytest.raises(ValueError, match=r"^residual: expected memory apart from out, or all of out's"):
                op(x, out=y, residual=shifted)
            with pytest.raises(ValueError, match=r"^residual: expected memory apart from out, or all of out's"):
                op(x, out=y, residual=y[..., ::-1])
        expected = conv(x, w) + y
        op(x, out=y, residual=y[...])  # other objects, the same memory
        assert_close(y, expected)
        assert_close(op(x, residual=x), conv(x, w) + x)


X, W = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 1, 1), np.float32)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"residual": X[..., :1]}, ValueError, "residual: expected shape (1, 1, 4, 4), that of the output"),
        ({"residual": X[0]}, ValueError, "residual: expected shape (1, 1, 4, 4), that of the output"),
        ({"residual": X.astype("f8")}, TypeError, "residual: expected float32"),
        ({"residual": 1}, TypeError, "residual: expected a NumPy array, got int"),
        ({"accumulate": True}, ValueError, "accumulate: expected an array `out` to add to"),
        ({"accumulate": 1}, TypeError, "accumulate: expected True or False, got 1"),
        ({"accumulate": True, "residual": X, "out": X.copy()}, ValueError, "accumulate: expected no residual"),
        ({"accumulate": True, "out": X[0].copy()}, ValueError, "out: expected shape (1, 1, 4, 4)"),
        ({"accumulate": True, "out": [1]}, TypeError, "out: expected a NumPy array, got list"),
    ],
)
def test_mistakes(options, error, message):
    calls = [fastconv.Conv2d(W), fastconv.ConvTranspose2d(W)]
    calls += [lambda x, f=f, **more: f(x, W, **more) for f in (fastconv.conv2d, fastconv.conv_transpose2d)]
    for call in calls:
        call(X)
        with pytest.raises(error, match="^" + re.escape(message)):
            call(X, **options)


def test_a_copy_of_what_is_added_to_is_workspace_where_there_is_one():
    x, w, y = normal(1, 8, 32, 32), normal(8, 8, 1, 1, seed=1), np.zeros((1, 8, 32, 32), np.float32)
    reports = {r.algorithm: r for r in fastconv.explain(x.shape, w.shape).reports}
    for name, in_place in (("pointwise", True), ("reference", False)):
        most = reports[name].workspace_bytes + reports[name].packed_bytes + 64 + y.nbytes // 2
        for _ in range(2):
            fastconv.conv2d(x, w, workspace_limit=most, algorithm=name, residual=y.copy(), out=y)
            if in_place:
                fastconv.conv2d(x, w, workspace_limit=most, algorithm=name, out=y, accumulate=True)
                continue
            with pytest.raises(ValueError, match="workspace_limit"):
                fastconv.conv2d(x, w, workspace_limit=most, algorithm=name, out=y, accumulate=True)
