"""Kinds of calls, each a function from nothing to what it makes; made anew, so that every call is a first one.

`size` is "inline" (done by the calling thread, most of them briefly) or "threads" (shared out among two).
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

import fastconv
import fastconv.grad
import fastconv.ndimage
import fastconv.onnx
import fastconv.signal
from fastconv import _core

Call = Callable[[], Any]


def kinds(size: str) -> dict[str, Call]:
    rng = np.random.default_rng(5)
    n, channels = (32, 32) if size == "threads" else (7, 4)

    def normal(*shape: int, dtype: str = "float32") -> Any:
        return rng.standard_normal(shape).astype(dtype)

    def whole(*shape: int, dtype: str = "uint8") -> Any:
        return rng.integers(0, 100, shape).astype(dtype)

    fewer = 16 if size == "threads" else 3
    signal, image, volume = normal(2, channels, n * n), normal(2, channels, n, n), normal(1, fewer, 6, n, n)
    w1, w2, w3 = normal(channels, channels, 5), normal(channels, channels, 3, 3), normal(fewer, fewer, 3, 3, 3)
    bias = normal(channels)
    half, half_w = image.astype("float16"), w2.astype("float16")
    wave, wave_w = image + 1j * image, w2 + 1j * w2
    pixels, filters, scales = whole(2, channels, n, n), whole(channels, channels, 3, 3, dtype="int8"), normal(channels)
    scaled = fastconv.Requantization(abs(scales) / 100, 3)
    deep, deep_w = whole(1, fewer, 5, n, n), whole(fewer, fewer, 2, 3, 3, dtype="int8")
    out = np.empty((2, channels, n - 2, n - 2), "float32")
    residual = normal(*out.shape)
    photo, line = normal(8 * n, 8 * n, dtype="float64"), normal(40 * n, dtype="float64")
    big, big_w = normal(2, fewer, 3 * n, 3 * n), normal(fewer, fewer, 9, 9)
    dy2 = normal(2, channels, n - 2, n - 2)
    last = np.ascontiguousarray(image.transpose(0, 2, 3, 1))

    calls: dict[str, Call] = {
        "conv1d": lambda: fastconv.conv1d(signal, w1),
        "conv2d": lambda: fastconv.conv2d(image, w2),
        "conv2d, all options": lambda: fastconv.conv2d(
            image, w2, bias, activation=("clip", -1, 1), out=out, residual=residual, workspace_limit=10**9
        ),
        "conv2d, NHWC, strides": lambda: fastconv.conv2d(last, w2, bias, 2, "same", layout="NHWC", activation="silu"),
        "conv2d, depthwise": lambda: fastconv.conv2d(image, w2[:, :1], groups=channels, padding=1),
        "conv2d, grouped": lambda: fastconv.conv2d(image, w2[:, :2], groups=channels // 2),
        "conv2d, max_error": lambda: fastconv.conv2d(image, w2, max_error=0.5),
        "conv2d, reflect": lambda: fastconv.conv2d(image, w2, bias, padding=1, padding_mode="reflect"),
        "conv2d, half": lambda: fastconv.conv2d(half, half_w),
        "conv2d, complex": lambda: fastconv.conv2d(wave, wave_w),
        "conv2d, mixed": lambda: fastconv.conv2d(image, w2.astype("float64"), promote=True),
        "conv3d": lambda: fastconv.conv3d(volume, w3, padding=1),
        "conv_transpose1d": lambda: fastconv.conv_transpose1d(signal, w1, stride=2),
        "conv_transpose2d": lambda: fastconv.conv_transpose2d(image, w2, bias, stride=2, padding=1),
        "conv_transpose2d, one phase": lambda: fastconv.conv_transpose2d(image, w2, algorithm="direct"),
        "conv_transpose2d, product": lambda: fastconv.conv_transpose2d(image[:1, :, :2, :2], w2, stride=2),
        "conv_transpose3d": lambda: fastconv.conv_transpose3d(volume[:, :, :3], w3, stride=2),
        "grad.conv2d_input": lambda: fastconv.grad.conv2d_input(image.shape, w2, dy2),
        "grad.conv2d_weight": lambda: fastconv.grad.conv2d_weight(image, w2.shape, dy2),
        "grad.conv2d_weight, depthwise": lambda: fastconv.grad.conv2d_weight(
            image, (channels, 1, 3, 3), dy2, groups=channels
        ),
        "grad.conv3d_weight": lambda: fastconv.grad.conv3d_weight(volume, w3.shape, volume[:, :, 2:, 2:, 2:]),
        "conv_integer": lambda: fastconv.conv_integer(pixels, filters, 3, bias=np.arange(channels, dtype="int32")),
        "conv_integer, scaled": lambda: fastconv.conv_integer(pixels, filters, 3, requantization=scaled),
        "conv_integer, volume": lambda: fastconv.conv_integer(deep, deep_w, 2),
        "Conv1d": lambda: fastconv.Conv1d(w1, padding="same")(signal),
        "Conv2d": lambda: fastconv.Conv2d(w2, bias, activation="relu")(image, residual=residual),
        "Conv2d, reflect": lambda: fastconv.Conv2d(w2, padding=1, padding_mode="reflect")(image),
        "Conv2d, half": lambda: fastconv.Conv2d(half_w)(half),
        "Conv2d, complex": lambda: fastconv.Conv2d(wave_w)(wave),
        "Conv3d": lambda: fastconv.Conv3d(w3, padding=1)(volume),
        "ConvTranspose2d": lambda: fastconv.ConvTranspose2d(w2, bias, stride=2)(image),
        "ConvTranspose3d": lambda: fastconv.ConvTranspose3d(w3, stride=2)(volume[:, :, :3]),
        "ConvInteger": lambda: fastconv.ConvInteger("uint8", filters, 3, requantization=scaled)(pixels),
        "pickle, copy": lambda: copy.deepcopy(pickle.loads(pickle.dumps(fastconv.Conv2d(w2))))(image),
        "Problem": lambda: pickle.loads(pickle.dumps(_core.Problem("float32", 1, 2, 9, 8, 4, 3, 3).with_variant(1))).K,
        "explain": lambda: str(fastconv.explain(image.shape, w2.shape)),
        "explain, prepared": lambda: str(fastconv.ConvTranspose2d(w2, stride=2).explain(image.shape)),
        "show_config": lambda: fastconv.show_config(mode="dicts")["isa"],
        "dense_matrix": lambda: fastconv.dense_matrix(w2[:2, :2], (2, 6, 6)),
        "signal.convolve": lambda: fastconv.signal.convolve(line, line[:31]),
        "signal.fftconvolve": lambda: fastconv.signal.fftconvolve(photo, photo[:9, :9]),
        "signal.convolve2d": lambda: fastconv.signal.convolve2d(photo, photo[:3, :5], "same", "symm"),
        "ndimage.correlate": lambda: fastconv.ndimage.correlate(photo, photo[:3, :3], mode="nearest"),
        "ndimage.convolve1d": lambda: fastconv.ndimage.convolve1d(photo, photo[0, :5], axis=0),
    }
    # Every algorithm, packed in the call and beforehand.
    for name in fastconv.algorithms():
        x, w = (big, big_w) if name == "fft" else (image, w2)
        options: dict[str, Any] = {"algorithm": name}
        if name == "depthwise":
            w, options["groups"] = w2[:, :1], channels
        if name == "pointwise":
            w = w2[:, :, :1, :1]
        if name == "matvec":
            x = image[:, :, :3, :3]
        if name == "dense":
            x, w = image[:, :2, :7, :7], w2[:2, :2]
        x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
        calls[f"conv2d, {name}"] = lambda x=x, w=w, o=options: fastconv.conv2d(x, w, **o)  # type: ignore[misc]
        calls[f"Conv2d, {name}"] = lambda x=x, w=w, o=options: fastconv.Conv2d(w, **o)(x)  # type: ignore[misc]
    return calls
