"""Prepared forms of half precision and complex numbers, and with padding that is not zeros: what functions return."""

import pickle
import re

import numpy as np
import pytest

import fastconv

FORMS = [(axes, transposed) for axes in (1, 2, 3) for transposed in (False, True)]


def numbers(dtype, *shape):
    rng = np.random.default_rng([len(shape), *shape])
    a = rng.standard_normal(shape)
    return (a + 1j * rng.standard_normal(shape) if dtype.startswith("c") else a).astype(as_dtype(dtype))


def as_dtype(name):
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)


def both(axes, transposed, w, b, **options):
    """(prepared form, function with the same arguments)"""
    function = getattr(fastconv, f"conv{'_transpose' * transposed}{axes}d")
    op = getattr(fastconv, f"Conv{'Transpose' * transposed}{axes}d")(w, b, **options)
    return op, lambda x, **more: function(x, w, b, **options, **more)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64", "complex128"])
@pytest.mark.parametrize(("axes", "transposed"), FORMS)
def test_dtypes(axes, transposed, dtype):
    x = numbers(dtype, 2, 4, *(7, 6, 5)[:axes])
    w = numbers(dtype, *((4, 3) if transposed else (6, 2)), *(3,) * axes)
    options = {"stride": 2, "padding": 1, "groups": 2, "activation": None if dtype.startswith("c") else "relu"}
    op, function = both(axes, transposed, w, numbers(dtype, 6), **options)
    y = function(x)
    for _ in range(2):
        assert op(x).dtype == y.dtype and np.array_equal(op(x), y)
    out, residual = np.empty_like(y), numbers(dtype, *y.shape)
    assert op(x, out) is out and np.array_equal(out, y)
    assert np.array_equal(op(x, residual=residual), function(x, residual=residual))
    held = residual.copy()
    assert np.array_equal(op(x, held, accumulate=True), function(x, residual=residual))
    assert np.array_equal(pickle.loads(pickle.dumps(op))(x[0]), y[0])
    with pytest.raises(TypeError, match=f"^x: expected {dtype}, the dtype of weight, got float32"):
        op(x.real.astype("f4"))
    with pytest.raises(TypeError, match=f"^bias: expected {dtype}, the dtype of weight, got float32"):
        type(op)(w, np.ones(6, np.float32), groups=2)
    with pytest.raises(ValueError, match=re.escape("bias: expected shape (6,), one value per filter, got (1,)")):
        type(op)(w, numbers(dtype, 1), groups=2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "float16"])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_padding_modes(axes, channels_last, mode, dtype):
    layout = (("NCW", "NWC"), ("NCHW", "NHWC"), ("NCDHW", "NDHWC"))[axes - 1][channels_last]
    x = numbers(dtype, 2, 3, *(8, 7, 6)[:axes])
    x = np.moveaxis(x, 1, -1).copy() if channels_last else x
    w = numbers(dtype, 4, 3, *(3,) * axes)
    for padding in (2, "same"):
        options = {"padding": padding, "padding_mode": mode, "layout": layout, "dilation": 2}
        op, function = both(axes, False, w, numbers(dtype, 4), **options)
        y = function(x)
        close = {"rtol": 1e-2 if dtype == "float16" else 1e-4, "atol": 1e-2 if dtype == "float16" else 1e-4}
        assert np.allclose(op(x), y, **close)
        residual = numbers(dtype, *y.shape)
        out = residual.copy()
        assert op(x, out, accumulate=True) is out
        assert np.allclose(out, y + residual, **close)
        assert np.allclose(pickle.loads(pickle.dumps(op))(x[0]), y[0], **close)
        assert f"padding_mode='{mode}'" in repr(op)


def test_mistakes():
    w = np.ones((1, 1, 3, 3), np.float32)
    with pytest.raises(ValueError, match=r"^padding_mode: expected one of zeros, reflect"):
        fastconv.Conv2d(w, padding_mode="mirror")
    with pytest.raises(ValueError, match=r"^padding: expected at most 1 with padding_mode='reflect' on 2, got 2"):
        fastconv.Conv2d(w, padding=2, padding_mode="reflect")(np.ones((1, 1, 2, 4), np.float32))
    with pytest.raises(TypeError, match=r"^activation: expected None for complex numbers, got 'relu'"):
        fastconv.Conv2d(w.astype("c8"), activation="relu")
    with pytest.raises(TypeError, match=r"^weight: expected dtype float32 or float64, got int32"):
        fastconv.Conv2d(w.astype("i4"))


@pytest.mark.parametrize(("axes", "transposed"), FORMS)
def test_tensors(axes, transposed):
    torch = pytest.importorskip("torch")
    x, w = numbers("float32", 1, 2, *(5,) * axes), numbers("float32", 2, 2, *(3,) * axes)
    op, function = both(axes, transposed, w, None)
    y = op(torch.from_numpy(x))
    assert isinstance(y, torch.Tensor) and np.array_equal(y.numpy(), function(x))
    out = torch.ones(y.shape)
    assert op(torch.from_numpy(x), out, accumulate=True) is out
    assert np.allclose(out.numpy(), y.numpy() + 1, atol=1e-5)
    half = type(op)(torch.from_numpy(w).bfloat16())
    assert half(torch.from_numpy(x).bfloat16()).dtype == torch.bfloat16


def test_explanations():
    """Of each convolution of images, for forms that are made of several."""
    w = np.ones((4, 2, 3, 3, 3), np.float32)
    parts = fastconv.Conv3d(w, padding=1).explain((1, 2, 6, 7, 8))  # the first and the last plane meet two of the taps
    assert [part.problem.C for part in parts] == [4, 6, 4] and {part.problem.K for part in parts} == {4}
    assert all(part.chosen in fastconv.algorithms() and part.prepared for part in parts)
    (rows,) = fastconv.Conv3d(w[..., :1, :1]).explain((2, 6, 7, 8))
    assert (rows.problem.H, rows.problem.W) == (6, 56)
    filters = np.ones((2, 4, 4, 4), np.float32)
    (phases,) = fastconv.ConvTranspose2d(filters, stride=4).explain((1, 2, 5, 5))  # all of them at once
    assert phases.problem.K == 64 and "chosen: " in str(phases)
    of_two = fastconv.ConvTranspose2d(filters, stride=2, padding=1, algorithm="direct").explain((1, 2, 5, 5))
    assert sum(e.problem.K for e in of_two) == 16 and {e.chosen for e in of_two} == {"direct"}
    assert len(fastconv.ConvTranspose3d(w.reshape(2, 4, 3, 3, 3), stride=2).explain((1, 2, 4, 4, 4))) > 1
    assert len(fastconv.ConvTranspose1d(filters[0], stride=2).explain((1, 4, 9))) >= 1
    half = fastconv.Conv2d(w[:, :, 0].astype("f2"), padding=1, padding_mode="reflect")
    assert half.explain((1, 2, 8, 8)).problem.dtype == "float32"
    for op, shape in ((fastconv.Conv3d(w), (1, 3, 6, 6, 6)), (fastconv.ConvTranspose2d(filters), (1, 3, 4, 4))):
        with pytest.raises(ValueError, match="input_shape"):
            op.explain(shape)
