"""Fast exact convolution for NumPy arrays on CPUs: several algorithms behind one :func:`conv2d`.

>>> import fastconv, numpy as np
>>> x = np.ones((1, 3, 32, 32), np.float32)
>>> w = np.ones((8, 3, 3, 3), np.float32)
>>> fastconv.conv2d(x, w, padding=1).shape
(1, 8, 32, 32)
"""

from fastconv import grad, ndimage, onnx, signal
from fastconv._core import Problem, build_info
from fastconv.conv import conv1d, conv2d, conv3d
from fastconv.dense import ConstraintError, DenseStructure, dense_matrix, dense_structure, kernel_from_dense
from fastconv.integers import ConvInteger, Requantization, conv_integer
from fastconv.introspection import (
    AlgorithmReport,
    Explanation,
    algorithms,
    conv_output_shape,
    explain,
    rejects,
    show_config,
    summary,
)
from fastconv.isa import available_isas, use_isa
from fastconv.isa import warn_of_environment as _warn_of_isa
from fastconv.line import convolve, correlate
from fastconv.memory import release_memory
from fastconv.prepared import Conv1d, Conv2d, Conv3d
from fastconv.prepared_transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from fastconv.threads import get_num_threads, num_threads, set_num_threads
from fastconv.threads import warn_of_environment as _warn_of_threads
from fastconv.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from fastconv.windows import fold, unfold

__version__ = build_info()["version"]

_warn_of_isa()
_warn_of_threads()

__all__ = [
    "AlgorithmReport",
    "ConstraintError",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvInteger",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "DenseStructure",
    "Explanation",
    "Problem",
    "Requantization",
    "__version__",
    "algorithms",
    "available_isas",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_integer",
    "conv_output_shape",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolve",
    "correlate",
    "dense_matrix",
    "dense_structure",
    "explain",
    "fold",
    "get_num_threads",
    "grad",
    "kernel_from_dense",
    "ndimage",
    "num_threads",
    "onnx",
    "rejects",
    "release_memory",
    "set_num_threads",
    "show_config",
    "signal",
    "summary",
    "unfold",
    "use_isa",
]
