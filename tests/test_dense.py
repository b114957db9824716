"""The dense matrix: against the convolution it stands for, its structure, and the way back with its two constraints."""

import pickle
import re

import numpy as np
import pytest

import fastconv
from fastconv.dense import ConstraintError, dense_matrix, dense_structure, kernel_from_dense

GEOMETRIES = {
    "plain": ((2, 5, 6), (3, 2, 3, 3), {}),
    "padded": ((2, 5, 6), (3, 2, 3, 3), {"padding": 1}),
    "uneven padding": ((1, 4, 4), (2, 1, 2, 3), {"padding": ((0, 2), (3, 1))}),
    "strided": ((2, 7, 8), (2, 2, 3, 2), {"stride": (2, 3), "padding": 1}),
    "dilated": ((1, 9, 8), (2, 1, 3, 3), {"dilation": (2, 3), "padding": (1, 2)}),
    "grouped": ((4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": "same"}),
    "depthwise": ((3, 4, 5), (6, 1, 3, 3), {"groups": 3, "stride": 2, "padding": 1}),
    "taps in the padding": ((1, 1, 2), (1, 1, 3, 3), {"padding": 1}),
    "kernel of the image's size": ((2, 4, 4), (3, 2, 4, 4), {}),
}


@pytest.fixture(params=GEOMETRIES)
def case(request):
    input_shape, weight_shape, options = GEOMETRIES[request.param]
    rng = np.random.default_rng(0)
    return rng.standard_normal(input_shape), rng.standard_normal(weight_shape), options


def test_times_the_image_is_the_convolution(case):
    x, w, options = case
    y = fastconv.conv2d(x, w, **options)
    product = dense_matrix(w, x.shape, **options) @ x.ravel()
    np.testing.assert_allclose(product.reshape(y.shape), y, rtol=0, atol=1e-13)


def test_structure_counts_the_matrix(case):
    x, w, options = case
    labels = np.arange(1.0, w.size + 1).reshape(w.shape)  # each weight another, none zero
    matrix = dense_matrix(labels, x.shape, **options)
    counts = dense_structure(x.shape, w.shape, **options)
    nonzeros = matrix[matrix != 0]
    assert counts == (matrix.size, matrix.size - nonzeros.size, nonzeros.size, np.unique(nonzeros).size)


def test_kernel_comes_back(case):
    x, w, options = case
    kernel = kernel_from_dense(dense_matrix(w, x.shape, **options), x.shape, w.shape, **options)
    labels = np.arange(1.0, w.size + 1).reshape(w.shape)
    occurs = np.isin(labels, dense_matrix(labels, x.shape, **options))
    assert np.array_equal(kernel, np.where(occurs, w, 0))
    assert kernel.shape == w.shape


def test_the_essays_example():
    """4x4 -> 2x2 by 3x3: 64 entries, 28 structural zeros, 36 non-zeros, 9 distinct weights."""
    counts = dense_structure((1, 4, 4), (1, 1, 3, 3))
    assert (counts.entries, counts.zeros, counts.nonzeros, counts.distinct) == (64, 28, 36, 9)
    matrix = dense_matrix(np.arange(1.0, 10).reshape(1, 1, 3, 3), (1, 4, 4))
    assert matrix.shape == (4, 16)
    assert matrix[0].tolist() == [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0]
    assert matrix[3].tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9]


def test_structure_needs_no_memory():
    counts = dense_structure((64, 4096, 4096), (64, 64, 3, 3), padding=1)
    assert counts.entries == (64 * 4096**2) ** 2
    assert counts.nonzeros == 64 * 64 * (3 * 4096 - 2) ** 2
    assert counts.distinct == 64 * 64 * 9


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4"])
def test_dtype_is_kept(dtype):
    w = np.ones((1, 1, 2, 2), dtype)
    matrix = dense_matrix(w, (1, 3, 3))
    assert matrix.dtype == np.dtype(dtype).newbyteorder("=")
    assert kernel_from_dense(matrix, (1, 3, 3), w.shape).dtype == matrix.dtype


def test_batches_change_nothing():
    w = np.ones((1, 2, 2, 2))
    assert np.array_equal(dense_matrix(w, (7, 2, 3, 3)), dense_matrix(w, (2, 3, 3)))


def test_memory_limit():
    w = np.ones((8, 4, 3, 3), np.float32)
    needed = (8 * 14 * 14) * (4 * 16 * 16) * 4
    message = f"memory_limit: expected at least {needed} bytes for a matrix of 1568 x 1024, got {needed - 1}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        dense_matrix(w, (4, 16, 16), memory_limit=needed - 1)
    assert dense_matrix(w, (4, 16, 16), memory_limit=needed).nbytes == needed
    with pytest.raises(ValueError, match=r"got 1073741824$"):  # the default, 1 GiB
        dense_matrix(w, (4, 128, 128))


NULLITY = ((2, 5, 5), (3, 2, 3, 3), {"stride": 2})


def test_nullity_says_where():
    input_shape, weight_shape, options = NULLITY
    matrix = dense_matrix(np.ones(weight_shape), input_shape, **options)
    # Output (k, p, q) = (1, 0, 1) sees columns 2..4; input (c, h, w) = (1, 2, 1) is outside.
    row, column = 1 * 4 + 0 * 2 + 1, 1 * 25 + 2 * 5 + 1
    matrix[row, column] = 1e-9
    message = (
        f"matrix: nullity is broken: expected 0 outside every receptive field, got [{row}, {column}] = 1e-09 "
        "(output (1, 0, 1), input (1, 2, 1))"
    )
    with pytest.raises(ConstraintError, match=f"^{re.escape(message)}$") as caught:
        kernel_from_dense(matrix, input_shape, weight_shape, **options)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.constraint == "nullity" and error.weight is None
    assert error.places == ((row, column, (1, 0, 1), (1, 2, 1), 1e-9),)
    assert np.all(kernel_from_dense(matrix, input_shape, weight_shape, **options, tolerance=1e-9) == 1)


def test_equality_says_where():
    input_shape, weight_shape, options = NULLITY
    matrix = dense_matrix(np.ones(weight_shape), input_shape, **options)
    # Weight (2, 1, 2, 0) joins output (2, 1, 0) with input (1, 1 * 2 + 2, 0 * 2 + 0).
    row, column = 2 * 4 + 1 * 2 + 0, 1 * 25 + 4 * 5 + 0
    first_row, first_column = 2 * 4, 1 * 25 + 2 * 5 + 0
    matrix[row, column] = 1.5
    message = (
        "matrix: equality is broken: expected entries that share weight (2, 1, 2, 0) to be the same, got "
        f"[{first_row}, {first_column}] = 1.0 (output (2, 0, 0), input (1, 2, 0)) and "
        f"[{row}, {column}] = 1.5 (output (2, 1, 0), input (1, 4, 0))"
    )
    with pytest.raises(ConstraintError, match=f"^{re.escape(message)}$") as caught:
        kernel_from_dense(matrix, input_shape, weight_shape, **options)
    assert caught.value.constraint == "equality"
    assert caught.value.weight == (2, 1, 2, 0)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.constraint, copy.places, copy.weight) == ("equality", caught.value.places, (2, 1, 2, 0))
    assert str(copy) == str(caught.value)
    assert np.all(kernel_from_dense(matrix, input_shape, weight_shape, **options, tolerance=0.5) == 1)


def test_every_single_entry_is_checked():
    """Whatever one entry of the matrix is changed, the kernel is refused."""
    x_shape, w_shape, options = (2, 3, 4), (2, 1, 2, 2), {"groups": 2, "padding": ((1, 0), (0, 1)), "stride": (1, 2)}
    matrix = dense_matrix(np.ones(w_shape), x_shape, **options)
    uses = dense_matrix(np.arange(1.0, 9).reshape(w_shape), x_shape, **options)
    labels, counts = np.unique(uses, return_counts=True)
    for row, column in np.ndindex(matrix.shape):
        label = uses[row, column]
        changed = matrix.copy()
        changed[row, column] += 1
        if label and counts[labels == label] == 1:  # a weight that occurs once may have any value
            assert 2 in kernel_from_dense(changed, x_shape, w_shape, **options)
            continue
        with pytest.raises(ConstraintError) as caught:
            kernel_from_dense(changed, x_shape, w_shape, **options)
        assert caught.value.constraint == ("equality" if label else "nullity")
        assert (row, column) in [place[:2] for place in caught.value.places]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite(value):
    matrix = dense_matrix(np.ones((1, 1, 2, 2)), (1, 3, 3))
    matrix[0, 8] = value
    with pytest.raises(ConstraintError, match="nullity"):
        kernel_from_dense(matrix, (1, 3, 3), (1, 1, 2, 2), tolerance=0.1)
    matrix[0, 8] = 0
    matrix[1, 1] = value
    with pytest.raises(ConstraintError, match="equality"):
        kernel_from_dense(matrix, (1, 3, 3), (1, 1, 2, 2), tolerance=0.1)
    kernel = np.full((1, 1, 2, 2), value)
    assert np.array_equal(
        kernel_from_dense(dense_matrix(kernel, (1, 3, 3)), (1, 3, 3), (1, 1, 2, 2)), kernel, equal_nan=True
    )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"matrix": np.zeros((4, 8))}, ValueError, "matrix: expected shape (4, 9) (K * P * Q, C * H * W), got (4, 8)"),
        ({"matrix": [[0.0]]}, TypeError, "matrix: expected a NumPy array, got list"),
        ({"tolerance": -1}, ValueError, "tolerance: expected at least 0, got -1"),
        ({"tolerance": np.nan}, ValueError, "tolerance: expected at least 0, got nan"),
        ({"tolerance": "0"}, TypeError, "tolerance: expected a number, got '0'"),
        ({"stride": 0}, ValueError, "stride: expected at least 1, got 0"),
    ],
)
def test_bad_arguments(change, error, message):
    arguments = {"matrix": np.zeros((4, 9)), "input_shape": (1, 3, 3), "weight_shape": (1, 1, 2, 2)} | change
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        kernel_from_dense(**arguments)
