"""Arrays that the core does not take as they are: half precision, complex numbers, mixed types, PyTorch's tensors.

The core computes in float32 and float64. Half precision is storage: values become float32, the whole convolution is
computed so, and the result is rounded once. A complex convolution is four real ones. Types are mixed only where
``promote=True`` asks for it. Tensors share their memory with the arrays that stand for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastconv.arrays import as_out, fit_residual, viewed

AnyArray: TypeAlias = npt.NDArray[Any]

HALVES = ("float16", "bfloat16")
COMPLEX = {"complex64": "float32", "complex128": "float64"}


def is_tensor(value: object) -> bool:
    """Whether it is PyTorch's, without importing PyTorch."""
    torch = sys.modules.get("torch")  # who has a tensor has imported it
    return torch is not None and isinstance(value, torch.Tensor)


def need_converting(input: object, weight: object, promote: object) -> bool:
    """Whether :func:`convert` has something to do, or something to say; else arrays go on as they are."""
    if promote is not False or is_tensor(input):
        return True
    names = (value.dtype.name for value in (input, weight) if isinstance(value, np.ndarray))
    return any(name in HALVES or name in COMPLEX for name in names)


def convert(
    convolve: Callable[..., AnyArray],
    input: object,
    weight: object,
    bias: object,
    out: object,
    residual: object = None,
    *,
    activation: object,
    promote: object,
) -> Any:
    """The result of ``convolve(input, weight, bias, activation=, out=, residual=)``, which takes float32 and float64.

    Raises:
        TypeError: Dtypes differ and `promote` is false, or what they are promoted to is not supported; an activation of
            complex numbers; a tensor elsewhere than on the CPU, or one that requires a gradient.
    """
    if not isinstance(promote, bool):
        raise TypeError(f"promote: expected True or False, got {promote!r}")
    optional = {"bias": bias, "residual": residual}
    values = {"input": input, "weight": weight} | {name: a for name, a in optional.items() if a is not None}
    arrays = {name: as_any_array(value, name) for name, value in values.items()}
    target = as_any_array(out, "out") if is_tensor(out) else out
    if promote:
        try:
            common = np.result_type(*arrays.values())
        except TypeError as error:
            raise TypeError(f"promote: expected dtypes that NumPy has a common one for, got {error}") from None
        arrays = {name: array.astype(common, copy=False) for name, array in arrays.items()}
    y = _computed(convolve, arrays, target, activation)
    if out is not None:
        return out
    return as_tensor(y) if is_tensor(input) else y


def _computed(
    convolve: Callable[..., AnyArray], arrays: dict[str, AnyArray], out: object, activation: object
) -> AnyArray:
    dtype = arrays["input"].dtype
    for name, array in arrays.items():
        if array.dtype.name != dtype.name:
            raise TypeError(
                f"{name}: expected {dtype.name}, the dtype of input, got {array.dtype.name}; promote=True converts"
            )
    x, w, b, added = arrays["input"], arrays["weight"], arrays.get("bias"), arrays.pop("residual", None)
    if not is_converted(dtype):
        return convolve(x, w, b, activation=activation, out=out, residual=added)
    check_activation(activation, dtype)

    def run(w: AnyArray, b: AnyArray | None, x: AnyArray, residual: AnyArray | None) -> AnyArray:
        return convolve(x, w, b, activation=activation, residual=residual)

    runs = [partial(run, *own) for own in parts(w, b)]
    return stored(combined(runs, x, added), added, out, **arrays)


def is_converted(dtype: np.dtype[Any]) -> bool:
    """Whether the core computes in another type."""
    return dtype.name in HALVES or dtype.name in COMPLEX


def check_activation(activation: object, dtype: np.dtype[Any]) -> None:
    if activation is not None and dtype.name in COMPLEX:
        raise TypeError(f"activation: expected None for complex numbers, got {activation!r}")


def parts(w: AnyArray, b: AnyArray | None) -> list[tuple[AnyArray, AnyArray | None]]:
    """Weights and biases of the real convolutions that make one of half precision, or of complex numbers."""
    if w.dtype.name in HALVES:
        return [(w.astype(np.float32), None if b is None else b.astype(np.float32))]
    if b is None:
        return [(w.real, None), (w.imag, None)]
    return [(w.real, b.real.copy()), (w.imag, b.imag.copy()), (w.real, None), (w.imag, None)]


def combined(
    runs: Sequence[Callable[[AnyArray, AnyArray | None], AnyArray]], x: AnyArray, residual: AnyArray | None
) -> AnyArray:
    """The result from those convolutions: each takes values and what is added, or None.

    Complex: four products. Gauss's trick needs three, but there a part is the difference of numbers as large as the
    other part: it loses its digits to it, and is infinite where their sum is.
    """
    if x.dtype.name in HALVES:
        y = runs[0](x.astype(np.float32), None if residual is None else residual.astype(np.float32))
        with np.errstate(over="ignore"):  # what is too large becomes infinite, as in PyTorch
            return y.astype(x.dtype)
    by_real, by_imag, without_bias, of_imag = (*runs, *runs)[:4]
    real = by_real(x.real, None)
    y = np.empty(real.shape, x.dtype.newbyteorder("="))
    np.subtract(real, of_imag(x.imag, None), out=y.real)
    np.add(by_imag(x.real, None), without_bias(x.imag, None), out=y.imag)
    if residual is not None:
        y += fit_residual(residual, y.shape, None)
    return y


def stored(y: AnyArray, residual: AnyArray | None, out: object, **operands: AnyArray | None) -> AnyArray:
    """The result, in `out` if that is not None."""
    target = as_out(out, y.shape, y.dtype.name, **operands)
    if residual is not None:
        fit_residual(residual, y.shape, target)
    if target is None:
        return y
    target[...] = y
    return target


def as_any_array(value: object, name: str) -> AnyArray:
    """An array of any dtype that shares the memory of an array, a tensor, or what NumPy can view as one."""
    if not is_tensor(value):
        return viewed(value, name)
    tensor: Any = value
    if tensor.device.type != "cpu":
        raise TypeError(f"{name}: expected a tensor on the CPU, got one on {tensor.device}")
    if tensor.requires_grad:
        raise TypeError(f"{name}: expected a tensor without a gradient; detach() it")
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    torch = sys.modules["torch"]
    if tensor.dtype == torch.bfloat16:
        array: AnyArray = tensor.view(torch.int16).numpy().view(_bfloat16(name))
        return array
    array = tensor.numpy()
    return array


def as_tensor(y: AnyArray) -> Any:
    """A PyTorch tensor that shares the array's memory."""
    torch = sys.modules["torch"]
    if y.dtype.name == "bfloat16":
        return torch.from_numpy(y.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(y)


def _bfloat16(name: str) -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        raise TypeError(f"{name}: got bfloat16, which needs the package ml_dtypes") from None
    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16
