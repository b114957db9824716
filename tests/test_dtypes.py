"""Half precision, complex numbers, mixed types, and whatever else shows its memory."""

import re
import warnings

import numpy as np
import pytest
from truth import conv, scattered

import fastconv
from fastconv import _core

rng = np.random.default_rng(0)
FUNCTIONS = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def normal(*shape, dtype=np.float32):
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def case(function, dtype):
    """An input, weights and a bias, and what comes out in the precision of `dtype`, or of float64 as far as real."""
    axes = int(function[-2])
    x, w, b = normal(2, 3, *(7, 6, 5)[:axes], dtype=dtype), normal(3, 3, *(3, 2, 2)[:axes], dtype=dtype), normal(3)
    return x, w, b.astype(dtype)


def truth(function, x, w, b):
    if function.startswith("conv_"):
        extents = tuple(i + taps - 1 for i, taps in zip(x.shape[2:], w.shape[2:], strict=True))
        return scattered(x, w, extents) + b.astype(np.float64).reshape(-1, *(1,) * (x.ndim - 2))
    return conv(x, w, b)


def complex_truth(function, x, w, b):
    zero = np.zeros_like(b.real)
    real = truth(function, x.real, w.real, b.real) - truth(function, x.imag, w.imag, zero)
    return real + 1j * (truth(function, x.real, w.imag, b.imag) + truth(function, x.imag, w.real, zero))


def halves():
    return [np.dtype(np.float16), np.dtype(pytest.importorskip("ml_dtypes").bfloat16)]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_half_precision_is_rounded_once(function):
    for dtype in halves():
        x, w, b = case(function, dtype)
        for _ in range(2):
            y = getattr(fastconv, function)(x, w, b)
            assert y.dtype == dtype
            expected = getattr(fastconv, function)(x.astype("f4"), w.astype("f4"), b.astype("f4")).astype(dtype)
            assert np.array_equal(y.astype("f4"), expected.astype("f4"))
        assert np.allclose(y.astype("f8"), truth(function, x, w, b), rtol=0.01, atol=0.05)


def test_half_precision_overflows_to_infinity_without_a_warning():
    x, w = np.full((1, 1, 3), 60000, np.float16), np.full((1, 1, 2), 60000, np.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isposinf(fastconv.conv1d(x, w)).all()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex(function, dtype):
    x, w, b = case(function, dtype)
    y = getattr(fastconv, function)(x, w, b)
    expected = complex_truth(function, x, w, b)
    assert y.dtype == dtype and y.shape == expected.shape
    assert np.abs(y - expected).max() <= 64 * np.finfo(dtype).eps * np.abs(expected).max()
    out = np.empty_like(y)
    assert getattr(fastconv, function)(x, w, b, out=out) is out
    assert np.array_equal(out, y)
    assert np.array_equal(getattr(fastconv, function)(x.astype(x.dtype.newbyteorder()), w, b), y)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_part_of_a_complex_number_is_lost_in_the_other(function):
    """Not even where one is the largest, or their sum would be infinite."""
    axes = int(function[-2])
    for value, dtype in ((1e17 + 1j, "complex128"), (1 - 1e17j, "complex128"), (3e38 + 3e38j, "complex64")):
        x, w = np.full((1, 1, *(2,) * axes), value, dtype), np.ones((1, 1, *(1,) * axes), dtype)
        bias = np.array([2 + 3j], dtype)
        op = getattr(fastconv, "".join(word.capitalize() for word in function.split("_")))
        assert np.array_equal(getattr(fastconv, function)(x, w), x)
        assert np.array_equal(getattr(fastconv, function)(x, 1j * w), 1j * x)
        assert np.array_equal(getattr(fastconv, function)(x, w, bias), x + bias)
        assert np.array_equal(op(w, bias)(x), x + bias) and np.array_equal(op(w)(x), x)


def test_options_reach_the_convolution():
    x, w = normal(9, 8, 4, dtype=np.float16), normal(6, 2, 3, 3, dtype=np.float16)
    options = {"stride": 2, "padding": "same", "groups": 2, "layout": "NHWC", "activation": "relu"}
    expected = fastconv.conv2d(x.astype("f4"), w.astype("f4"), **options).astype(np.float16)
    assert np.array_equal(fastconv.conv2d(x, w, **options), expected)


def test_types_are_mixed_only_when_asked_for():
    x, w, b = normal(1, 2, 5), normal(3, 2, 2, dtype=np.float64), normal(3, dtype=np.float16)
    with pytest.raises(TypeError, match=r"^weight: expected float32, the dtype of input, got float64"):
        fastconv.conv1d(x, w)
    y = fastconv.conv1d(x, w, b, promote=True)
    assert y.dtype == np.float64
    assert np.array_equal(y, fastconv.conv1d(x.astype("f8"), w, b.astype("f8")))
    ints = np.ones((3, 2, 2), np.int32)
    assert fastconv.conv1d(x, ints, promote=True).dtype == np.float64  # NumPy's rule for float32 and int32
    assert fastconv.conv1d(x, normal(3, 2, 2, dtype=np.complex64), promote=True).dtype == np.complex64
    with pytest.raises(TypeError, match=r"^bias: expected float16, the dtype of input, got float32; promote=True conv"):
        fastconv.conv1d(x.astype(np.float16), w.astype(np.float16), np.ones(3, np.float32))


def test_integers_never_become_floats_by_themselves():
    x, w = np.ones((1, 2, 5), np.int32), np.ones((3, 2, 2), np.int32)
    _core.forget()
    for promote in (False, True):
        with pytest.raises(TypeError, match=r"^input: expected dtype float32 or float64, got int32; nothing is conv"):
            fastconv.conv1d(x, w, promote=promote)
    with pytest.raises(TypeError, match=r"^promote: expected True or False, got 1$"):
        fastconv.conv1d(x.astype("f4"), w.astype("f4"), promote=1)


def test_a_complex_activation_and_a_wrong_out_are_refused():
    x, w = normal(1, 2, 5, dtype=np.complex64), normal(3, 2, 2, dtype=np.complex64)
    with pytest.raises(TypeError, match=r"^activation: expected None for complex numbers, got 'relu'"):
        fastconv.conv1d(x, w, activation="relu")
    with pytest.raises(TypeError, match=r"^out: expected complex64, the dtype of the other arrays, got float32"):
        fastconv.conv1d(x, w, out=np.empty((1, 3, 4), np.float32))
    with pytest.raises(ValueError, match=r"^out: expected memory of its own, got an array that overlaps input"):
        fastconv.conv1d(x, w[:2], out=x[:, :, 1:])


class Exported:
    """An array that shows its memory by DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack():
    x, w = normal(1, 2, 5), normal(3, 2, 2)
    assert np.array_equal(fastconv.conv1d(Exported(x), Exported(w)), fastconv.conv1d(x, w))
    with pytest.raises(TypeError, match=r"^input: expected a NumPy array, got list"):
        fastconv.conv1d(x.tolist(), w)


# --- PyTorch ------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_tensor_gives_a_tensor(torch, function):
    pytest.importorskip("ml_dtypes")
    for dtype in (torch.float32, torch.float64, torch.complex64, torch.bfloat16, torch.float16):
        x, w, b = (torch.from_numpy(a).to(dtype) for a in case(function, np.float64))
        y = getattr(fastconv, function)(x, w, b)
        assert isinstance(y, torch.Tensor) and y.dtype == dtype
        expected = getattr(torch.nn.functional, function)(x, w, b)
        assert torch.allclose(y.to(torch.complex128), expected.to(torch.complex128), rtol=0.02, atol=0.1)
        out = torch.empty_like(y)
        assert getattr(fastconv, function)(x, w, b, out=out) is out
        assert torch.equal(out, y)


def test_a_tensor_is_not_copied(torch, monkeypatch):
    x, w = torch.ones(1, 2, 5), torch.ones(3, 2, 2)
    seen = []
    remembered_call = _core.remembered_call
    monkeypatch.setattr("fastconv.conv._remembered_call", lambda *args: seen.append(args) or remembered_call(*args))
    fastconv.conv1d(x, w)
    assert seen[-1][1].ctypes.data == x.data_ptr()
    assert seen[-1][2].ctypes.data == w.data_ptr()


def test_tensors_that_cannot_be_arrays_are_refused(torch):
    x, w = torch.ones(1, 2, 5), torch.ones(3, 2, 2)
    with pytest.raises(TypeError, match=re.escape("weight: expected a tensor without a gradient; detach() it")):
        fastconv.conv1d(x, w.requires_grad_())
    with pytest.raises(TypeError, match=r"^input: expected a tensor on the CPU, got one on meta"):
        fastconv.conv1d(x.to("meta"), w.detach())


def samples(torch, function, dtype):
    pytest.importorskip("expecttest")
    invocations = pytest.importorskip("torch.testing._internal.common_methods_invocations")
    return next(op for op in invocations.op_db if op.name == f"nn.functional.{function}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "bfloat16", "float16"])
def test_opinfo_samples(torch, function, dtype):
    """Every sample that PyTorch tests its own function with."""
    pytest.importorskip("ml_dtypes")
    info = samples(torch, function, dtype)
    epsilon = torch.finfo(getattr(torch, dtype)).eps
    count = 0
    for sample in info.sample_inputs("cpu", getattr(torch, dtype)):
        expected = getattr(torch.nn.functional, function)(sample.input, *sample.args, **sample.kwargs)
        y = getattr(fastconv, function)(sample.input, *sample.args, **sample.kwargs)
        assert y.dtype == expected.dtype and y.shape == expected.shape
        scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
        difference = (y.to(torch.complex128) - expected.to(torch.complex128)).abs()
        assert not y.numel() or float(difference.max()) <= 64 * epsilon * scale, sample
        count += 1
    assert count >= 10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", [name for name in FUNCTIONS if not name.startswith("conv_")])
def test_opinfo_errors(torch, function):
    """Every call that PyTorch refuses, but "same" with a stride, which is an extension here."""
    count = 0
    for error in samples(torch, function, "float64").error_inputs("cpu"):
        sample = error.sample_input
        if "padding='same' is not supported for strided" in error.error_regex:
            continue
        with pytest.raises((TypeError, ValueError), match=r"^\w+(\[\d\])?: (expected|got) "):
            getattr(fastconv, function)(sample.input, *sample.args, **sample.kwargs)
        count += 1
    assert count >= 9
