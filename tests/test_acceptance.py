"""Who accepts which layer, written out: a test that passes over what an algorithm refuses cannot hide a loss.

To change an algorithm's conditions is to change this table by hand.
"""

from __future__ import annotations

import pytest

import fastconv
from fastconv import _core
from fastconv.bench.layers import NamedLayer, square
from fastconv.testing.edge_cases import EDGE_CASES

# The registry's order: equal costs keep it, and every table of the documents and the command line shows it.
ALGORITHMS = (
    "pointwise",
    "matvec",
    "depthwise",
    "grouped",
    "winograd",
    "fft",
    "direct",
    "im2col",
    "dense",
    "reference",
)

# These accept every layer; who does so beside them is what the table says.
ALWAYS = {"direct", "im2col", "reference"}

BESIDE = {
    "prime 7->13 @17x19 3x5": "grouped fft dense",
    "even kernel 5->6 @15x14 2x4": "fft dense",
    "stride over kernel 6->4 @23 2x2/3": "dense",
    "multiplier 6->18 @13x11 3x3 g6": "depthwise grouped winograd fft dense",
    "batch of 3, 4->10 @9x12 3x1": "grouped winograd fft dense",
    "one pixel, 3->5 1x1": "pointwise matvec fft dense",
    "one pixel, 300->64 1x1": "pointwise matvec fft dense",
    "three pixels, 40->32 1x1": "pointwise fft dense",
    "one pixel in padding, 5->7 3x3": "grouped winograd fft dense",
    "one output, kernel as large as the image": "matvec fft dense",
    "one channel, one filter, 3x3": "depthwise grouped winograd fft dense",
    "row of pixels, 1x5": "winograd fft dense",
    "column of pixels, 5x1": "winograd fft dense",
    "two columns of pixels, 5x1": "winograd fft dense",
    "1x7 across a column": "winograd fft dense",
    "7x1 across a row": "winograd fft dense",
    "primes, 11->17 @13x19 3x3": "grouped winograd fft dense",
    "primes, 5->19 @23x7 5x7": "fft dense",
    "one over a vector, 33->65 @6x5 3x3": "grouped winograd fft dense",
    "one under a vector, 31->63 @5x3 2x2": "fft dense",
    "whole vectors, 16->32 @8x16 3x3": "grouped winograd fft dense",
    "rows far below a vector, 8->8 @4x4 3x3": "grouped winograd fft dense",
    "many taps, 131->10 @5x4 3x3": "grouped winograd fft dense",
    "11x11 kernel": "fft dense",
    "even 2x2": "fft dense",
    "even 4x6, padded": "fft dense",
    "padding over the kernel, 2x2": "fft dense",
    "padding over the kernel, 3x3": "grouped winograd fft dense",
    "padding over the kernel, 1x1": "pointwise fft dense",
    "asymmetric padding, 3x3": "grouped winograd fft dense",
    "asymmetric padding and stride, 5x3": "dense",
    "stride 2x1, 3x3": "dense",
    "stride over the kernel, 2x1 by 3x4": "dense",
    "stride over the image, 3x3 by 50": "dense",
    "1x1 by stride 3x2": "pointwise dense",
    "dilation 2x3, 3x3": "grouped winograd fft dense",
    "dilation over the image, 2x2": "fft dense",
    "dilation 3 by stride 2, 2x3": "dense",
    "2 groups, 6->10 3x3": "grouped winograd fft dense",
    "3 groups, 9->6 1x1": "pointwise fft dense",
    "5 groups by stride 2, 10->15 4x3": "dense",
    "4 groups, 8->12 @9x37 3x3": "grouped winograd fft dense",
    "3 groups by 2, 6->9 @15x39 3x3": "grouped winograd dense",
    "depthwise 3x3": "depthwise grouped winograd fft dense",
    "depthwise 3x3 by stride 2": "depthwise grouped winograd dense",
    "depthwise 5x5 by 2, twofold": "depthwise winograd dense",
    "depthwise 7x7": "depthwise winograd fft dense",
    "depthwise 7x7 by stride 2": "depthwise dense",
    "depthwise 9x4, threefold": "depthwise fft dense",
    "depthwise 1x1": "pointwise depthwise fft dense",
    "depthwise 2x2 by stride 3": "depthwise dense",
    "depthwise, dilation 2x4": "depthwise grouped winograd fft dense",
    "depthwise, padding over the kernel": "depthwise grouped winograd fft dense",
    "depthwise 3x3 @14": "depthwise grouped winograd fft dense",
    "depthwise 3x3 @7, twofold": "depthwise grouped winograd fft dense",
    "depthwise 3x3 by 2 @28": "depthwise grouped winograd dense",
    "depthwise 3x3 by 2 @14": "depthwise grouped winograd dense",
    "depthwise 3x5 by 2": "depthwise grouped dense",
    "depthwise 5x5 @14": "depthwise winograd fft dense",
    "depthwise 7x7 @33x70": "depthwise winograd fft dense",
    "depthwise 4x1": "depthwise fft dense",
    "depthwise, one pixel in padding, 1x2": "depthwise fft dense",
    "depthwise 15x13": "depthwise fft dense",
    "depthwise 9x9, dilation 2x3": "depthwise fft dense",
    "depthwise 23x25 over the image": "depthwise fft dense",
    "depthwise 13x15 over the image, twofold": "depthwise fft dense",
    "depthwise 11x9 by stride 2": "depthwise dense",
    "tiles of 5x5, 20->18 @12x13": "winograd fft dense",
    "a tile of 5x5, 6->9 @3x4": "winograd fft dense",
    "tiles of 7x7, 9->7 @13x16": "winograd fft dense",
    "tiles of 1x3, 17->18 @9x22": "winograd fft dense",
    "tiles of 1x7, 17->18 @17": "winograd fft dense",
    "tiles of 7x1, 17->18 @17": "winograd fft dense",
    "tiles by 2, 17->20 @14x19 3x3": "grouped winograd dense",
    "tiles by 2, 6->20 @15x12 5x5": "winograd dense",
    "tiles of 3 layers, 7->20 @14x17 3x3": "grouped winograd fft dense",
    "two tails, 18->19 @7 3x3": "grouped winograd fft dense",
    "three tiles and a tail, 70->19 @14 3x3": "grouped winograd fft dense",
    "spectra of 16x16, 7->9 @19x20 5x5": "winograd fft dense",
    "spectra of 16x32, 3->5 @12x38 5x14": "fft dense",
    "spectra of 16x64, 2->3 @10x70 4x35": "fft dense",
    "spectra of 32x16, 3->5 @38x12 14x5": "fft dense",
    "spectra of 32x32, 3->4 @25x40 12x11": "fft dense",
    "spectra of 32x64, 1->3 @16x32 17x33": "depthwise fft dense",
    "spectra of 64x16, 2->3 @70x10 35x4": "fft dense",
    "spectra of 64x32, 1->3 @32x16 33x17": "depthwise fft dense",
    "spectra of 64x64, 1->5 @41x75 33x31": "depthwise fft dense",
    "spectra, depthwise 3 @40x61 29x31": "depthwise fft dense",
    "spectra, dilation 3x2, 4->6 @30 5x7": "fft dense",
    "no images, 3x3": "grouped winograd fft dense",
    "no images, depthwise 1x1": "pointwise depthwise fft dense",
    "3 images, 5->6 3x3": "grouped winograd fft dense",
    "17 images, 3->5 1x1": "pointwise fft dense",
    "threads, 16->24 @13x15 3x3": "grouped winograd fft dense",
    "threads, 70->190 @7x6 1x1": "pointwise fft dense",
    "reduction in parts, 600->13 @7x6 1x1": "pointwise fft dense",
    "reduction in parts, 60->17 @6x7 5x5": "winograd fft dense",
    "threads, depthwise 32 @44x43 3x3": "depthwise grouped winograd fft",
    "few large planes, depthwise 1->2 @500x301 3x3": "depthwise grouped winograd fft",
    "strips of a plane, depthwise 1 @700x500 3x3 by 3": "depthwise",
    "wide rows, 44->3 @4x1300 3x3": "grouped winograd fft",
    "blocks of tiles, 17->33 @9x250 3x3": "grouped winograd fft",
    "many pixels, 20->30 @60x61 1x1": "pointwise fft",
    "one output in parts, 4->530 @17x16 17x16": "matvec fft dense",
    "one output of 53 images in 2 groups, 60->70 @2x1 2x1": "matvec fft dense",
}

# Reasons name what they need and what they got.
REASONS = [
    ("pointwise", square("1", 4, 8, 4, 3), "needs a 1x1 kernel, got 3x3"),
    ("pointwise", NamedLayer("2", 4, 8, 8, 4, 1, 2), "needs a 1x1 kernel, got 1x2"),
    (
        "matvec",
        NamedLayer("9", 4, 8, 8, 4, 8, 7),
        "needs a kernel as large as the image and no padding, got a kernel of 8x7 on 8x8",
    ),
    ("depthwise", NamedLayer("3", 8, 8, 8, 8, 3, 3, groups=2), "needs groups == channels, got groups 2 for 8 channels"),
    ("grouped", NamedLayer("9", 8, 8, 8, 8, 5, 5, groups=2), "needs kernels of 3 rows, got 5"),
    ("grouped", NamedLayer("10", 2, 40, 40, 2, 3, 33), "needs kernels of at most 32 columns, got 33"),
    (
        "grouped",
        NamedLayer("11", 4, 8, 8, 4, 3, 3, stride=(1, 2)),
        "needs stride 1, or stride 2 in both directions without dilation",
    ),
    (
        "winograd",
        square("4", 4, 8, 4, 2),
        "needs a kernel of 3x3, 5x5, 7x7, 1x3, 3x1, 1x5, 5x1, 1x7, 7x1 at stride 1, got 2x2",
    ),
    ("winograd", NamedLayer("5", 4, 8, 8, 4, 3, 1, stride=(2, 2)), "needs a kernel of 3x3, 5x5 at stride 2, got 3x1"),
    ("winograd", NamedLayer("6", 4, 8, 8, 4, 3, 3, stride=(1, 2)), "needs stride 1 or 2, got 1x2"),
    (
        "winograd",
        NamedLayer("7", 4, 8, 8, 4, 3, 3, stride=(2, 2), dilation=(2, 1)),
        "needs dilation 1 at stride 2, got 2x1",
    ),
    (
        "winograd",
        NamedLayer("12", 4, 8, 9, 4, 3, 3, dilation=(3, 3)),
        "needs dilations of at most the output, 2x3, got 3x3",
    ),
    ("winograd", square("13", 2048, 30, 4, 7), "needs an error limit of 172.4 epsilon, got 25.0"),
    ("fft", NamedLayer("14", 4, 20, 20, 4, 5, 5, stride=(2, 1)), "needs stride 1, got 2x1"),
    (
        "fft",
        NamedLayer("15", 4, 60, 60, 4, 5, 25, dilation=(1, 2)),
        "needs a kernel that reaches over at most 48 pixels, got 5x49",
    ),
    (
        "fft",
        square("16", 1024, 14, 1024, 3),
        "needs at most 268435456 bytes for the spectra of its weights, got 2147483648",
    ),
    (
        "dense",
        square("8", 64, 56, 64, 3),
        "needs a dense matrix of 200704 x 200704 values, 161128382464 bytes (150.1 GiB), limit 1073741824 bytes",
    ),
]


def test_the_list_of_algorithms():
    assert fastconv.algorithms() == ALGORITHMS


def test_the_table_names_every_layer_once():
    assert list(BESIDE) == [layer.name for layer in EDGE_CASES]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", EDGE_CASES, ids=str)
def test_who_accepts(layer, dtype):
    expected = ALWAYS | set(BESIDE[layer.name].split())
    assert {name for name in ALGORITHMS if fastconv.rejects(name, layer.problem(dtype)) is None} == expected


@pytest.mark.parametrize(("algorithm", "layer", "reason"), REASONS)
def test_reasons(algorithm, layer, reason):
    assert fastconv.rejects(algorithm, layer.problem()) == reason


SWAPPED = "in place, the image sliding over the kernel"

# The inner choices that the table has to bring about, on every instruction set, so that the conformance tests see them.
VARIANTS = {
    "pointwise": {"pixel lanes", "channel lanes"},
    "matvec": {""},
    "depthwise": {"in place", "in place, by columns of taps", "padded strip", SWAPPED},
    "grouped": {""},
    "winograd": {
        *("F(2x2,3x3)", "F(3x3,3x3)", "F(4x4,3x3)", "F(6x6,3x3)", "F(2x2,5x5)", "F(4x4,5x5)", "F(2x2,7x7)"),
        *(
            "F(1x4,1x3)",
            "F(4x1,3x1)",
            "F(1x4,1x5)",
            "F(4x1,5x1)",
            "F(1x2,1x7)",
            "F(2x1,7x1)",
            "F(1x4,1x7)",
            "F(4x1,7x1)",
        ),
        *("F(4x4,2x2) of 4 phases", "F(4x4,3x3) of 4 phases"),
    },
    "fft": {f"tiles of {h}x{w}" for h in (16, 32, 64) for w in (16, 32, 64)},
    "direct": {"pixel lanes", "channel lanes"},
    "im2col": {""},
    "dense": {""},
    "reference": {""},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_edge_cases_bring_about_every_inner_choice(algorithm, isa, dtype):
    problems = [layer.problem(dtype) for layer in EDGE_CASES]
    with fastconv.use_isa(isa):
        made = {_core.variant(algorithm, p) for p in problems if _core.rejects(algorithm, p) is None}
    assert made == VARIANTS[algorithm]
