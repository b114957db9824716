"""Section: a convolution and a dense layer learn handwritten digits, NumPy alone but for the convolution.

The images are 8x8; "shifted" ones are moved by whole pixels after training on images that were not.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastconv.conv import conv2d
from fastconv.dense import dense_matrix, kernel_from_dense
from fastconv.study import drawing, markup
from fastconv.study.drawing import COLOURS, MARKERS, Style
from fastconv.study.section import Job, Say, Scale, Section
from fastconv.study.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float32]

_FILTERS, _SHIFTS = 16, (0, 1, 2)
_BATCH, _RATE = 64, 2e-3


class Layer:
    """Weights with the state of Adam, Kingma and Ba, arXiv:1412.6980."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> None:
        self.w: Floats = np.asarray(rng.standard_normal(shape) * np.sqrt(2 / fan_in), np.float32)
        self._mean, self._square, self._steps = np.zeros_like(self.w), np.zeros_like(self.w), 0

    def step(self, gradient: Floats, mask: Floats | None = None) -> None:
        self._steps += 1
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.001 * (gradient**2 - self._square)
        mean, square = self._mean / (1 - 0.9**self._steps), self._square / (1 - 0.999**self._steps)
        self.w -= (_RATE * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)


class Network:
    """First layer (a 3x3 convolution, or dense with as many outputs), ReLU, maxima of 2x2 pixels, ten scores."""

    def __init__(self, shares: bool, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.shares = shares
        self.first = Layer(rng, (_FILTERS, 1, 3, 3) if shares else (_FILTERS * 64, 64), 9 if shares else 64)
        self.second = Layer(rng, (_FILTERS * 16, 10), _FILTERS * 16)

    @property
    def weights(self) -> int:
        return int(self.first.w.size)

    def hidden(self, x: Floats) -> Floats:
        """(N, K, 8, 8) from (N, 1, 8, 8)."""
        if self.shares:
            y: Floats = conv2d(x, self.first.w, padding=1)
        else:
            y = (x.reshape(-1, 64) @ self.first.w.T).reshape(-1, _FILTERS, 8, 8)
        return y

    def scores(self, x: Floats) -> Floats:
        return np.asarray(_pooled(np.maximum(self.hidden(x), 0)).reshape(len(x), -1) @ self.second.w, np.float32)

    def learn(self, x: Floats, labels: npt.NDArray[np.int64]) -> None:
        h = self.hidden(x)
        a = np.maximum(h, 0)
        p = _pooled(a).reshape(len(x), -1)
        s = p @ self.second.w
        s -= s.max(axis=1, keepdims=True)
        grad = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
        grad[np.arange(len(x)), labels] -= 1
        grad /= len(x)
        back = (grad @ self.second.w.T).reshape(-1, _FILTERS, 4, 4)
        self.second.step(p.T @ grad)
        spread = np.repeat(np.repeat(back, 2, axis=2), 2, axis=3)
        largest = np.repeat(np.repeat(_pooled(a), 2, axis=2), 2, axis=3) == a
        dh = np.where((h > 0) & largest, spread, 0).astype(np.float32)
        if self.shares:
            # The gradient of the weights is a convolution, too: of the images with the outputs' gradient as kernels.
            self.first.step(conv2d(x.transpose(1, 0, 2, 3), dh.transpose(1, 0, 2, 3), padding=1).transpose(1, 0, 2, 3))
        else:
            self.first.step(dh.reshape(len(x), -1).T @ x.reshape(-1, 64))


def _pooled(a: Floats) -> Floats:
    """The maximum of every 2x2 pixels."""
    N, K, H, W = a.shape
    pooled: Floats = a.reshape(N, K, H // 2, 2, W // 2, 2).max(axis=(3, 5))
    return pooled


def _jobs(scale: Scale) -> Sequence[Job]:
    epochs, seeds = scale.pick(tiny=(1, 1), quick=(15, 2), full=(30, 5))
    return (
        Job("constraint", lambda say: _constraint(), 0.2),
        *(Job(f"seed {seed}", partial(_train, seed, epochs), 8) for seed in range(seeds)),
    )


def _digits() -> tuple[Floats, npt.NDArray[np.int64]]:
    """1797 images of 8x8 from scikit-learn (UCI ML hand-written digits), mean 0."""
    data = importlib.import_module("sklearn.datasets").load_digits()
    images = np.asarray(data.images / 8 - 1, np.float32).reshape(-1, 1, 8, 8)
    return images, np.asarray(data.target, np.int64)


def _constraint() -> dict[str, Any]:
    """The dense layer with a convolution's matrix gives the convolution's outputs, and the kernel can be read back."""
    x, _ = _digits()
    w = np.random.default_rng(0).standard_normal((_FILTERS, 1, 3, 3)).astype(np.float32)
    matrix = dense_matrix(w, (1, 8, 8), padding=1)
    dense, convolution = x.reshape(-1, 64) @ matrix.T, conv2d(x, w, padding=1).reshape(len(x), -1)
    return {
        "images": len(x),
        "entries": matrix.size,
        "weights": w.size,
        "largest_difference": float(np.max(np.abs(dense - convolution)) / np.sqrt(np.mean(convolution**2))),
        "kernel_read_back": bool(np.array_equal(kernel_from_dense(matrix, (1, 8, 8), w.shape, padding=1), w)),
    }


def _train(seed: int, epochs: int, say: Say) -> dict[str, Any]:
    x, labels = _digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    test, train = order[:500], order[500:]
    networks = {"convolution": Network(True, seed), "dense": Network(False, seed)}
    for epoch in range(epochs):
        say(f"epoch {epoch + 1} of {epochs}")
        rng.shuffle(train)
        for i in range(0, len(train), _BATCH):
            for network in networks.values():
                network.learn(x[train[i : i + _BATCH]], labels[train[i : i + _BATCH]])
    return {
        name: {
            "weights": network.weights,
            "train": _accuracy(network, x[train], labels[train]),
            **{f"shift {n}": _shifted_accuracy(network, x[test], labels[test], n) for n in _SHIFTS},
        }
        for name, network in networks.items()
    }


def _accuracy(network: Network, x: Floats, labels: npt.NDArray[np.int64]) -> float:
    return float(np.mean(network.scores(x).argmax(axis=1) == labels))


def _shifted_accuracy(network: Network, x: Floats, labels: npt.NDArray[np.int64], pixels: int) -> float:
    """Mean over images moved right, left, down and up; background comes in."""
    if pixels == 0:
        return _accuracy(network, x, labels)
    moved = []
    for axis in (2, 3):
        for step in (pixels, -pixels):
            y = np.roll(x, step, axis)
            gap = slice(0, step) if step > 0 else slice(step, None)
            y[(slice(None),) * axis + (gap,)] = -1
            moved.append(_accuracy(network, y, labels))
    return float(np.mean(moved))


def _find(measured: Mapping[str, Any]) -> dict[str, Any]:
    runs = [result for name, result in measured.items() if name.startswith("seed ")]

    def mean(network: str, figure: str) -> float:
        return float(np.mean([run[network][figure] for run in runs]))

    figures = ("weights", "train", *(f"shift {n}" for n in _SHIFTS))
    table = {network: {figure: mean(network, figure) for figure in figures} for network in ("convolution", "dense")}
    for row in table.values():
        row["weights"] = round(row["weights"])
        row["kept"] = row["shift 1"] / row["shift 0"]
    return {"runs": len(runs), "networks": table}


def _write(shown: Shown) -> Iterator[str]:
    at = ("measured", "constraint")
    networks = ("found", "networks")
    difference = shown("error", *at, "largest_difference")
    exact = f"to {difference} of their root mean square" if shown.value(*at, "largest_difference") else "bit for bit"
    same = "is read back bit for bit" if shown.value(*at, "kernel_read_back") else "is NOT read back the same"
    yield markup.finding(
        f"A dense layer given a kernel's matrix ({shown('count', *at, 'entries')} entries from "
        f"{shown('count', *at, 'weights')} weights) gives the convolution's outputs on "
        f"{shown('count', *at, 'images')} digits {exact}, "
        f"and the kernel {same}.",
        f"Trained alike, the convolution reaches {shown('percent', *networks, 'convolution', 'shift 0')} on unseen "
        "digits "
        f"and the dense layer {shown('percent', *networks, 'dense', 'shift 0')}, with "
        f"{shown('count', *networks, 'convolution', 'weights')} and {shown('count', *networks, 'dense', 'weights')} "
        "weights "
        f"in that layer; moved by one pixel, {shown('percent', *networks, 'convolution', 'shift 1')} and "
        f"{shown('percent', *networks, 'dense', 'shift 1')}.",
    )
    yield markup.figures(
        markup.figure(
            "shifts",
            drawing.draw("shifts", partial(_paint, shown), 3.0),
            f"Share of unseen digits recognised when they are moved by whole pixels; {shown.value('found', 'runs')} "
            "runs.",
        )
    )
    columns = ("<first layer", "weights", "training digits", *(f"moved by {n}" for n in _SHIFTS))
    yield markup.table(
        columns,
        (
            [
                name,
                shown("count", *networks, name, "weights"),
                shown("percent", *networks, name, "train"),
                *(shown("percent", *networks, name, f"shift {n}") for n in _SHIFTS),
            ]
            for name in ("convolution", "dense")
        ),
        "Means over the runs, 500 digits unseen; one hidden layer, maxima of 2×2, ten scores",
    )
    yield markup.paragraph(
        "Small and honest: 8×8 images and one hidden layer say that sharing pays here, not how much it pays in a deep "
        "network.",
        kind="note",
    )


def _paint(shown: Shown, axes: Axes) -> None:
    for i, name in enumerate(("convolution", "dense")):
        runs = [run[name] for key, run in shown.measured.items() if key.startswith("seed ")]
        mean = shown.value("found", "networks", name)
        style = Style(COLOURS[i], MARKERS[i])
        drawing.curve(axes, [(n, 100 * mean[f"shift {n}"]) for n in _SHIFTS], style, name)
        for run in runs:
            values = [100 * run[f"shift {n}"] for n in _SHIFTS]
            axes.plot(list(_SHIFTS), values, color=COLOURS[i], linewidth=0.5, alpha=0.5)
    drawing.finish(axes, x="moved by, pixels", y="recognised, %", ticks=_SHIFTS)


SECTION = Section(
    "learnt",
    "Learnt, not only counted",
    "Is a constrained dense layer the convolution, and what does sharing weights buy when a network learns?",
    _jobs,
    _find,
    _write,
    needs=("sklearn",),
)
