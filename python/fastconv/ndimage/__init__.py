"""Functions of ``scipy.ndimage`` with their names, arguments and results, for arrays of any number of axes.

As in SciPy, sums are made in double precision and the output has the dtype of the input. Floating-point results agree
with SciPy's to rounding, integers are SciPy's, bit by bit: sums that are whole numbers are exact, others are made in
SciPy's order before they are cut to integers. What differs: integers that float64 does not hold are filtered by whole
numbers exactly, where SciPy rounds them first.

Where SciPy raises RuntimeError and this package ValueError or TypeError, the exception is both.
"""

from fastconv.ndimage.correlation import convolve, convolve1d, correlate, correlate1d
from fastconv.ndimage.gradients import (
    gaussian_gradient_magnitude,
    gaussian_laplace,
    generic_gradient_magnitude,
    generic_laplace,
    laplace,
    prewitt,
    sobel,
)
from fastconv.ndimage.smoothing import gaussian_filter, gaussian_filter1d, uniform_filter, uniform_filter1d

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_gradient_magnitude",
    "generic_laplace",
    "laplace",
    "prewitt",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]
