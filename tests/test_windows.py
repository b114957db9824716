"""unfold and fold: against windows taken one by one, against each other, and against PyTorch's."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv

rng = np.random.default_rng(0)


def columns_of(x, kernel, dilation, pads, stride):
    """(N, C * R * S, P * Q), window by window."""
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    fields = [d * (taps - 1) + 1 for d, taps in zip(dilation, kernel, strict=True)]
    P, Q = ((size - field) // step + 1 for size, field, step in zip(padded.shape[2:], fields, stride, strict=True))
    windows = [
        padded[:, :, p * stride[0] :, q * stride[1] :][:, :, : fields[0] : dilation[0], : fields[1] : dilation[1]]
        for p in range(P)
        for q in range(Q)
    ]
    return np.stack([window.reshape(len(x), int(np.prod(window.shape[1:]))) for window in windows], axis=-1)


@st.composite
def geometries(draw):
    """(N, C, extents, kernel, dilation, pads, stride)."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel, dilation, stride, pads = pair(1, 6), pair(1, 3), pair(1, 4), (pair(0, 4), pair(0, 4))
    least = [max(1, d * (taps - 1) + 1 - sum(p)) for d, taps, p in zip(dilation, kernel, pads, strict=True)]
    extents = tuple(draw(st.integers(low, low + 6)) for low in least)
    return draw(st.integers(0, 2)), draw(st.integers(1, 3)), extents, kernel, dilation, pads, stride


@settings(max_examples=200, deadline=None)
@given(geometries(), st.sampled_from(["float32", "float64", "float16", "complex64", "int8", "bool", ">i4"]))
def test_unfold_takes_every_window(geometry, dtype):
    N, C, extents, *options = geometry
    x = rng.integers(-9, 9, (N, C, *extents)).astype(dtype)
    y = fastconv.unfold(x, *options)
    expected = columns_of(x, *options)
    assert y.dtype == np.dtype(dtype).newbyteorder("=")
    assert y.shape == expected.shape and np.array_equal(y, expected)
    if N:
        assert np.array_equal(fastconv.unfold(x[0], *options), expected[0])


@settings(max_examples=200, deadline=None)
@given(geometries(), st.sampled_from(["float32", "float64", "float16", "complex128", ">f4"]))
def test_fold_puts_values_where_unfold_takes_them_from(geometry, dtype):
    N, C, extents, *options = geometry
    places = np.arange(1, C * extents[0] * extents[1] + 1).reshape(1, C, *extents)  # 0 is padding
    places = columns_of(places, *options)[0]
    values = rng.integers(-9, 9, (N, *places.shape)).astype(dtype)
    expected = np.zeros((N, C * extents[0] * extents[1] + 1), complex)
    for n in range(N):
        np.add.at(expected[n], places, values[n])
    y = fastconv.fold(values, extents, *options)
    assert y.dtype == np.dtype(dtype).newbyteorder("=") and y.shape == (N, C, *extents)
    if N:
        assert np.array_equal(y.reshape(N, -1), expected[:, 1:])
        assert np.array_equal(fastconv.fold(values[0], extents, *options), y[0])


def test_a_convolution_is_a_product_with_the_columns():
    x, w = rng.standard_normal((2, 3, 9, 8)), rng.standard_normal((4, 3, 3, 2))
    options = {"dilation": (2, 1), "padding": "same", "stride": (1, 2)}
    y = w.reshape(4, -1) @ fastconv.unfold(x, (3, 2), **options)
    expected = fastconv.conv2d(x, w, **options)
    assert np.allclose(y.reshape(expected.shape), expected, rtol=0, atol=1e-12)


def test_strided_and_read_only_images():
    x = rng.standard_normal((2, 9, 8, 6)).astype(np.float32)
    x.flags.writeable = False
    view = x[::-1, ::2, :, ::-1].transpose(0, 3, 2, 1)
    assert np.array_equal(fastconv.unfold(view, 3), columns_of(view, (3, 3), (1, 1), ((0, 0),) * 2, (1, 1)))
    columns = rng.standard_normal((4, 8, 3)).astype(np.float32).transpose(2, 1, 0)
    assert np.array_equal(fastconv.fold(columns, (3, 3), 2), fastconv.fold(columns.copy(), (3, 3), 2))


def test_halves_are_added_in_float32():
    columns = np.full((9, 9), 2**11 + 2, np.float16)  # the sum of nine is no float16, nor that of eight plus one
    y = fastconv.fold(columns, 5, 3)
    assert y[0, 2, 2] == np.float16(9 * (2**11 + 2))
    assert np.isinf(fastconv.fold(np.full((9, 9), 60000, np.float16), 5, 3)[0, 2, 2])


def test_many_taps_and_few_windows_take_no_time_per_tap():
    """And the other way round: a loop over 4 million taps or windows would take seconds."""
    x = np.ones((1, 2000, 2000), np.float32)
    columns = fastconv.unfold(x, 2000)
    assert columns.shape == (2000 * 2000, 1) and columns.all()
    assert np.array_equal(fastconv.fold(columns, 2000, 2000), x)
    assert np.array_equal(fastconv.unfold(x, 1), columns.reshape(1, -1))


def test_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    for dtype in (torch.float32, torch.float64, torch.complex64):
        for shape in ((2, 3, 10, 9), (3, 10, 9), (0, 3, 10, 9)):
            x = torch.randn(*shape, dtype=dtype)
            for kernel, dilation, padding, stride in ((3, 1, 0, 1), ((2, 3), (3, 2), (1, 2), (2, 3)), (5, 1, 2, 3)):
                options = kernel, dilation, padding, stride
                columns = fastconv.unfold(x, *options)
                assert torch.equal(columns, functional.unfold(x, *options))
                y = fastconv.fold(columns, (10, 9), *options)
                torch.testing.assert_close(y, functional.fold(columns, (10, 9), *options))
    bfloat16 = torch.randn(1, 2, 4, 4).bfloat16()
    if pytest.importorskip("ml_dtypes"):
        assert torch.equal(fastconv.unfold(bfloat16, 2), functional.unfold(bfloat16, 2))


ONES = np.ones((1, 8, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fastconv.unfold(ONES[0], 2), ValueError, "input: expected (N, C, H, W) or (C, H, W), got 2 dimens"),
        (lambda: fastconv.unfold(ONES, 0), ValueError, "kernel_size: expected at least 1, got 0"),
        (lambda: fastconv.unfold(ONES, 2.0), TypeError, "kernel_size: expected an int or a (height, width) pair"),
        (lambda: fastconv.unfold(ONES, 2, padding=-1), ValueError, "padding: expected at least 0, got -1"),
        (lambda: fastconv.unfold(ONES, 2, stride=0), ValueError, "stride: expected at least 1, got 0"),
        (lambda: fastconv.unfold(ONES, 9), ValueError, "input: expected a padded image of at least the effective"),
        (lambda: fastconv.unfold(ONES, 1, 1, 2**31 - 1), ValueError, "input: expected arrays of at most"),
        (lambda: fastconv.unfold(ONES.astype(object), 2), TypeError, "input: expected numbers or booleans, got dtype"),
        (lambda: fastconv.unfold(ONES.astype("M8[s]"), 2), TypeError, "input: expected numbers or booleans, got"),
        (lambda: fastconv.unfold(ONES.tolist(), 2), TypeError, "input: expected a NumPy array, got list"),
        (lambda: fastconv.unfold(ONES[:, :, :0], 1), ValueError, "input: expected W of at least 1, got shape"),
        (lambda: fastconv.fold(ONES, 3, 3), ValueError, "input: expected a multiple of the 9 taps of kernel_size"),
        (lambda: fastconv.fold(ONES, 4, 2), ValueError, "input: expected 3 * 3 windows on the last axis, got 4"),
        (lambda: fastconv.fold(ONES[:, :0], 3, 2), ValueError, "input: expected a multiple of the 4 taps"),
        (lambda: fastconv.fold(ONES, 1, 2), ValueError, "output_size: expected a padded image of at least"),
        (lambda: fastconv.fold(ONES, 0, 2), ValueError, "output_size: expected at least 1, got 0"),
        (lambda: fastconv.fold(ONES.astype(int), 3, 2), TypeError, "input: expected one of float32, float64, float16"),
        (lambda: fastconv.fold(ONES[0, 0], 3, 2), ValueError, "input: expected (M, L) or (N, M, L), got 1 dimensions"),
    ],
)  # fmt: skip
def test_hostile_arguments_are_named(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
