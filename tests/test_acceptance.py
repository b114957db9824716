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
ALGORITHMS = ("pointwise", "matvec", "depthwise", "grouped", "winograd", "direct", "im2col", "dense", "reference")

# These accept every layer; who does so beside them is what the table says.
ALWAYS = {"direct", "im2col", "reference"}

BESIDE = {
    "prime 7->13 @17x19 3x5": "grouped dense",
    "even kernel 5->6 @15x14 2x4": "dense",
    "stride over kernel 6->4 @23 2x2/3": "dense",
    "multiplier 6->18 @13x11 3x3 g6": "depthwise grouped winograd dense",
    "batch of 3, 4->10 @9x12 3x1": "grouped winograd dense",
    "one pixel, 3->5 1x1": "pointwise matvec dense",
    "three pixels, 40->32 1x1": "pointwise dense",
    "one pixel in padding, 5->7 3x3": "grouped winograd dense",
    "one output, kernel as large as the image": "matvec dense",
    "one channel, one filter, 3x3": "depthwise grouped winograd dense",
    "row of pixels, 1x5": "winograd dense",
    "column of pixels, 5x1": "winograd dense",
    "1x7 across a column": "winograd dense",
    "7x1 across a row": "winograd dense",
    "primes, 11->17 @13x19 3x3": "grouped winograd dense",
    "primes, 5->19 @23x7 5x7": "dense",
    "one over a vector, 33->65 @6x5 3x3": "grouped winograd dense",
    "one under a vector, 31->63 @5x3 2x2": "dense",
    "whole vectors, 16->32 @8x16 3x3": "grouped winograd dense",
    "rows far below a vector, 8->8 @4x4 3x3": "grouped winograd dense",
    "many taps, 131->10 @5x4 3x3": "grouped winograd dense",
    "11x11 kernel": "dense",
    "even 2x2": "dense",
    "even 4x6, padded": "dense",
    "padding over the kernel, 2x2": "dense",
    "padding over the kernel, 3x3": "grouped winograd dense",
    "padding over the kernel, 1x1": "pointwise dense",
    "asymmetric padding, 3x3": "grouped winograd dense",
    "asymmetric padding and stride, 5x3": "dense",
    "stride 2x1, 3x3": "dense",
    "stride over the kernel, 2x1 by 3x4": "dense",
    "stride over the image, 3x3 by 50": "dense",
    "1x1 by stride 3x2": "pointwise dense",
    "dilation 2x3, 3x3": "grouped winograd dense",
    "dilation over the image, 2x2": "dense",
    "dilation 3 by stride 2, 2x3": "dense",
    "2 groups, 6->10 3x3": "grouped winograd dense",
    "3 groups, 9->6 1x1": "pointwise dense",
    "5 groups by stride 2, 10->15 4x3": "dense",
    "4 groups, 8->12 @9x37 3x3": "grouped winograd dense",
    "3 groups by 2, 6->9 @15x39 3x3": "grouped winograd dense",
    "depthwise 3x3": "depthwise grouped winograd dense",
    "depthwise 3x3 by stride 2": "depthwise grouped winograd dense",
    "depthwise 5x5 by 2, twofold": "depthwise winograd dense",
    "depthwise 7x7": "depthwise winograd dense",
    "depthwise 7x7 by stride 2": "depthwise dense",
    "depthwise 9x4, threefold": "depthwise dense",
    "depthwise 1x1": "pointwise depthwise dense",
    "depthwise 2x2 by stride 3": "depthwise dense",
    "depthwise, dilation 2x4": "depthwise grouped winograd dense",
    "depthwise, padding over the kernel": "depthwise grouped winograd dense",
    "depthwise 3x3 @14": "depthwise grouped winograd dense",
    "depthwise 3x3 @7, twofold": "depthwise grouped winograd dense",
    "depthwise 3x3 by 2 @28": "depthwise grouped winograd dense",
    "depthwise 3x3 by 2 @14": "depthwise grouped winograd dense",
    "depthwise 3x5 by 2": "depthwise grouped dense",
    "depthwise 5x5 @14": "depthwise winograd dense",
    "depthwise 7x7 @33x70": "depthwise winograd dense",
    "depthwise 4x1": "depthwise dense",
    "depthwise, one pixel in padding, 1x2": "depthwise dense",
    "depthwise 15x13": "depthwise dense",
    "depthwise 9x9, dilation 2x3": "depthwise dense",
    "depthwise 23x25 over the image": "depthwise dense",
    "depthwise 11x9 by stride 2": "depthwise dense",
    "tiles of 5x5, 20->18 @12x13": "winograd dense",
    "a tile of 5x5, 6->9 @3x4": "winograd dense",
    "tiles of 7x7, 9->7 @13x16": "winograd dense",
    "tiles of 1x3, 17->18 @9x22": "winograd dense",
    "tiles of 1x7, 17->18 @17": "winograd dense",
    "tiles of 7x1, 17->18 @17": "winograd dense",
    "tiles by 2, 17->20 @14x19 3x3": "grouped winograd dense",
    "tiles by 2, 6->20 @15x12 5x5": "winograd dense",
    "tiles of 3 layers, 7->20 @14x17 3x3": "grouped winograd dense",
    "two tails, 18->19 @7 3x3": "grouped winograd dense",
    "three tiles and a tail, 70->19 @14 3x3": "grouped winograd dense",
    "no images, 3x3": "grouped winograd dense",
    "no images, depthwise 1x1": "pointwise depthwise dense",
    "3 images, 5->6 3x3": "grouped winograd dense",
    "17 images, 3->5 1x1": "pointwise dense",
    "threads, 16->24 @13x15 3x3": "grouped winograd dense",
    "threads, 70->190 @7x6 1x1": "pointwise dense",
    "reduction in parts, 600->13 @7x6 1x1": "pointwise dense",
    "reduction in parts, 60->17 @6x7 5x5": "winograd dense",
    "threads, depthwise 32 @44x43 3x3": "depthwise grouped winograd",
    "few large planes, depthwise 1->2 @500x301 3x3": "depthwise grouped winograd",
    "strips of a plane, depthwise 1 @700x500 3x3 by 3": "depthwise",
    "wide rows, 44->3 @4x1300 3x3": "grouped winograd",
    "blocks of tiles, 17->33 @9x250 3x3": "grouped winograd",
    "many pixels, 20->30 @60x61 1x1": "pointwise",
    "one output in parts, 4->530 @17x16 17x16": "matvec dense",
    "one output of 53 images in 2 groups, 60->70 @2x1 2x1": "matvec dense",
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


# The inner choices that the table has to bring about, on every instruction set, so that the conformance tests see them.
VARIANTS = {
    "pointwise": {"pixel lanes", "channel lanes"},
    "matvec": {""},
    "depthwise": {"in place", "in place, by columns of taps", "padded strip"},
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
