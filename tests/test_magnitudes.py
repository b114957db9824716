"""Digits of results whose weights or inputs are tiny, huge, or of unlike sizes: docs/numerics.md says what holds."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from truth import conv, scattered

import fastconv

NUMERICS = Path(__file__).resolve().parents[1] / "docs" / "numerics.md"
LIMIT = fastconv.numerics.ACCURACIES["balanced"]
# Weights and inputs whose products are ordinary numbers, though either alone is at the end of the type's range.
ENDS = {
    "float32": ((2e-38, 1e30), (3e-40, 1e30), (1e38, 1e-30), (3e37, 2e-38)),
    "float64": ((3e-308, 1e300), (4e-310, 1e300), (5e307, 1e-300), (3e307, 3e-308)),
}
CASES = [(dtype, *sizes) for dtype, ends in ENDS.items() for sizes in ends]
LAYERS = {"winograd": (20, 24, 3), "fft": (3, 6, 7), "auto": (24, 20, 3)}
rng = np.random.default_rng(12)


def normal(dtype, size, *shape):
    """At least a tenth of their root mean square, so that no large share of them is denormal."""
    values = rng.standard_normal(shape)
    return (size / 2 * np.copysign(np.maximum(np.abs(values), 0.1), values)).astype(dtype)


def exactly(a, *sizes):
    """In float64, multiplied by the power of two that makes products of numbers of those sizes ordinary."""
    return np.ldexp(a.astype(np.float64), -sum(int(np.floor(np.log2(size))) for size in sizes))


def error(y, expected, sizes, each=(0, 2, 3)):
    """Root mean square over that of the result, in epsilons, of the filter that is furthest off."""
    scaled = exactly(y, *sizes)
    with np.errstate(invalid="ignore"):
        off, whole = (np.sqrt(np.mean(np.square(a), axis=each)) for a in (scaled - expected, expected))
    return float(np.max(off / whole)) / np.finfo(y.dtype).eps


@pytest.mark.parametrize(("dtype", "w_size", "x_size"), CASES)
@pytest.mark.parametrize("algorithm", LAYERS)
@pytest.mark.parametrize("prepared", [False, True], ids=["function", "operator"])
def test_tiny_and_huge_weights_keep_their_digits(dtype, w_size, x_size, algorithm, prepared):
    C, K, k = LAYERS[algorithm]
    x, w = normal(dtype, x_size, 2, C, 13, 14), normal(dtype, w_size, K, C, k, k)
    expected = conv(exactly(x, x_size), exactly(w, w_size), None, 1, 1)
    options = {"padding": 1, "algorithm": algorithm}
    y = fastconv.Conv2d(w, **options)(x) if prepared else fastconv.conv2d(x, w, **options)
    assert error(y, expected, (x_size, w_size)) <= LIMIT


@pytest.mark.parametrize("algorithm", ["winograd", "fft"])
def test_each_filter_has_a_size_of_its_own(algorithm):
    """And each of its channels; a filter of zeros stays one."""
    C, K, k = LAYERS[algorithm]
    sizes = np.array([1, 2e-38, 3e36, 0, 1e-30, 3e-12])[np.arange(K) % 6].reshape(-1, 1, 1, 1)
    w = (normal("float64", 1, K, C, k, k) * sizes).astype("f4")
    w[4, 1] *= np.float32(1e-8)
    x = normal("float32", 1, 1, C, 13, 14)
    y, expected = fastconv.conv2d(x, w, algorithm=algorithm), conv(x, w)
    zero = sizes.ravel() == 0
    assert (y[:, zero] == 0).all()
    assert error(y[:, ~zero], expected[:, ~zero], ()) <= LIMIT


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("algorithm", ["winograd", "fft"])
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize("with_residual", [False, True])
def test_bias_residual_and_activation_come_after_tiny_weights(layout, algorithm, activation, with_residual):
    C, K, k = LAYERS[algorithm]
    x, w = normal("float32", 1e30, 1, C, 9, 10), normal("float32", 2e-38, K, C, k, k)
    w[::3] = normal("float32", 1e-30, *w[::3].shape)  # beside plain ones in a vector
    bias, residual = normal("float32", 1e-8, K), normal("float32", 1e-8, 1, K, 9, 10)
    sums = conv(x, w, bias, 1, k // 2) + (residual if with_residual else 0)
    expected = {None: sums, "relu": np.maximum(sums, 0), "tanh": np.tanh(sums)}[activation]
    first = (0, 2, 3, 1) if layout == "NHWC" else (0, 1, 2, 3)
    options = {"padding": k // 2, "algorithm": algorithm, "layout": layout, "activation": activation, "bias": bias}
    if with_residual:
        options["residual"] = np.ascontiguousarray(residual.transpose(first))
    y = fastconv.conv2d(np.ascontiguousarray(x.transpose(first)), w, **options)
    back = (0, 3, 1, 2) if layout == "NHWC" else first
    assert error(y.transpose(back), expected, ()) <= 2 * LIMIT, "over what the activation has left"


def test_tiny_weights_of_transposed_grouped_and_strided_layers():
    x, w = normal("float32", 1e30, 1, 32, 9, 9), normal("float32", 2e-38, 32, 16, 3, 3)
    y = fastconv.conv_transpose2d(x, w, padding=1, groups=2, algorithm="winograd")
    assert error(y, scattered(x, w, (9, 9), 1, 1, 1, 2), ()) <= LIMIT
    y = fastconv.conv2d(x, w, stride=2, padding=1, groups=2, algorithm="winograd")
    assert error(y, conv(x, w, None, 2, 1, 1, 2), ()) <= LIMIT


@pytest.mark.parametrize("algorithm", ["winograd", "fft"])
def test_an_infinite_weight_spoils_its_filter_alone(algorithm):
    C, K, k = LAYERS[algorithm]
    x, w = normal("float32", 1, 1, C, 9, 9), normal("float32", 1, K, C, k, k)
    w[1, 0, 0, 0] = np.inf
    w[2] *= np.float32(1e-38)
    y, others = fastconv.conv2d(x, w, algorithm=algorithm), np.arange(K) != 1
    assert np.isnan(y[:, 1]).all()
    assert error(y[:, others], conv(x, w[others]), ()) <= LIMIT


def test_the_examples_of_numerics():
    results = doctest.testfile(str(NUMERICS), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted >= 8
    assert results.failed == 0


def test_errors_are_relative_to_tiles_as_numerics_says():
    """A pixel of 1e6 in an image of 1e-3: by how many times its size an output that does not see it is wrong."""
    text = NUMERICS.read_text("utf-8")
    stated = re.search(r"by about (\d+) times their size \(rms; the largest error is (\d+) times\)", text)
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape, np.float32) for shape in ((1, 64, 56, 56), (64, 64, 3, 3)))
    x *= np.float32(1e-3)
    x[0, 0, 28, 28] = 1e6
    expected = conv(x, w, None, 1, 1)[0]
    sees = np.zeros((56, 56), bool)
    sees[27:30, 27:30] = True
    size = np.sqrt(np.mean(expected[:, ~sees] ** 2))
    results = {how: fastconv.conv2d(x, w, padding=1, accuracy=how)[0] for how in ("balanced", "strict")}
    off = {how: np.abs(y - expected) / size for how, y in results.items()}
    wrong = (off["balanced"].max(0) > 1e-3) & ~sees
    assert 8 <= wrong.sum() <= 36, "the outputs of its tiles"
    assert np.sqrt(np.mean(off["balanced"][:, wrong] ** 2)) == pytest.approx(int(stated[1]), rel=0.2)
    assert off["balanced"][:, wrong].max() == pytest.approx(int(stated[2]), rel=0.1)
    assert off["strict"][:, ~sees].max() < 1e-5
