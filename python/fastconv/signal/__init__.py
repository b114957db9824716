"""Functions of ``scipy.signal`` with their names, arguments and results, for arrays of any number of axes.

Floating-point results agree with SciPy's to rounding; integers are SciPy's, exactly: sums beyond the dtype wrap around.
What differs: sums are sums here, never a transform's, so that NaN and infinities stay where they belong.
"""

from fastconv.signal.convolution import choose_conv_method, convolve, correlate
from fastconv.signal.fir import filtfilt, lfilter, sepfir2d
from fastconv.signal.over_axes import fftconvolve, oaconvolve
from fastconv.signal.planes import convolve2d, correlate2d
from fastconv.signal.resampling import resample_poly, upfirdn

__all__ = [
    "choose_conv_method",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "fftconvolve",
    "filtfilt",
    "lfilter",
    "oaconvolve",
    "resample_poly",
    "sepfir2d",
    "upfirdn",
]
