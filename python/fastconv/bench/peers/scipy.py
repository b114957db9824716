"""SciPy's FFTs, for layers of one channel and one filter."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import Array
from fastconv.bench.layers import NamedLayer
from fastconv.bench.peers.engine import Call, Engine


class _SciPy(Engine):
    module = distribution = "scipy"
    dtypes = ("float32", "float64")

    def refuses(self, layer: NamedLayer, dtype: str, layout: str) -> str | None:
        if layer.C != 1 or layer.K != 1 or layer.N != 1:
            return "one channel and one filter only"
        if max(layer.R, layer.S) < 5 or max(layer.stride) > 1 or max(layer.dilation) > 1:
            return "an FFT has no use here"
        return super().refuses(layer, dtype, layout)


class Fft(_SciPy):
    """By hand: the kernel's transform made beforehand, its size a fast one, the threads as asked."""

    name = "SciPy FFT"

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        fft = self.load("scipy.fft")
        (top, bottom), (left, right) = layer.padding
        # One side's padding is enough: what wraps around from the other side reaches only outputs that are cut off.
        sizes = layer.H + max(top, bottom), layer.W + max(left, right)
        shape = tuple(int(fft.next_fast_len(size, real=True)) for size in sizes)
        turned = fft.rfft2(weight[0, 0, ::-1, ::-1], shape)
        first = layer.R - 1 - top, layer.S - 1 - left
        P, Q = layer.problem().output_shape[2:]
        rows, columns = _wrapped(first[0], P, shape[0]), _wrapped(first[1], Q, shape[1])

        def call(x: Array) -> Array:
            spectrum = fft.rfft2(x[0, 0], shape, workers=threads)
            spectrum *= turned
            y = fft.irfft2(spectrum, shape, workers=threads)[rows, columns]
            return np.ascontiguousarray(y if bias is None else y + bias)[np.newaxis, np.newaxis]

        return call


def _wrapped(first: int, count: int, size: int) -> slice:
    if first < 0 or first + count > size:
        raise ValueError("more padding than the kernel reaches")
    return slice(first, first + count)


class _Library(_SciPy):
    function: str

    def prepare(self, layer: NamedLayer, weight: Array, bias: Array | None, threads: int, layout: str) -> Call:
        signal, fft = self.load("scipy.signal"), self.load("scipy.fft")
        convolve: Any = getattr(signal, self.function)
        turned = np.ascontiguousarray(weight[0, 0, ::-1, ::-1])
        (top, bottom), (left, right) = layer.padding
        if (top, bottom, left, right) == (layer.R // 2,) * 2 + (layer.S // 2,) * 2 and layer.R % 2 == layer.S % 2 == 1:
            mode, pads = "same", None
        else:
            mode, pads = "valid", layer.padding

        def call(x: Array) -> Array:
            image = x[0, 0] if pads is None else np.pad(x[0, 0], pads)
            with fft.set_workers(threads):
                y = convolve(image, turned, mode)
            return np.ascontiguousarray(y if bias is None else y + bias)[np.newaxis, np.newaxis]

        return call


class FftConvolve(_Library):
    """`scipy.signal.fftconvolve`: transforms the kernel at each call."""

    name = "SciPy fftconvolve"
    function = "fftconvolve"


class OaConvolve(_Library):
    """`scipy.signal.oaconvolve`: overlap and add."""

    name = "SciPy oaconvolve"
    function = "oaconvolve"
