"""Layers that break convolutions: each small, each odd in its own way, named so that a failure tells which one.

Sizes are chosen so that no count of channels, filters or pixels is a multiple of any vector, except where it is on
purpose; so that between them every inner choice of every algorithm is made (a test holds this); and so that all of them
together take a second.
"""

from __future__ import annotations

from fastconv.bench.layers import ODD, NamedLayer

EDGES = (
    # Sizes.
    NamedLayer("one pixel, 3->5 1x1", 3, 1, 1, 5, 1, 1),
    NamedLayer("one pixel, 300->64 1x1", 300, 1, 1, 64, 1, 1),
    NamedLayer("three pixels, 40->32 1x1", 40, 3, 1, 32, 1, 1),
    NamedLayer("one pixel in padding, 5->7 3x3", 5, 1, 1, 7, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("one output, kernel as large as the image", 3, 5, 7, 9, 5, 7),
    NamedLayer("one channel, one filter, 3x3", 1, 9, 8, 1, 3, 3),
    NamedLayer("row of pixels, 1x5", 4, 1, 37, 6, 1, 5, padding=((0, 0), (2, 2))),
    NamedLayer("column of pixels, 5x1", 4, 37, 1, 6, 5, 1, padding=((2, 2), (0, 0))),
    NamedLayer("two columns of pixels, 5x1", 4, 37, 2, 6, 5, 1, padding=((2, 2), (0, 0))),
    NamedLayer("1x7 across a column", 3, 11, 1, 5, 1, 7, padding=((0, 0), (3, 3))),
    NamedLayer("7x1 across a row", 3, 1, 11, 5, 7, 1, padding=((3, 3), (0, 0))),
    NamedLayer("primes, 11->17 @13x19 3x3", 11, 13, 19, 17, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("primes, 5->19 @23x7 5x7", 5, 23, 7, 19, 5, 7, padding=((2, 2), (3, 3))),
    NamedLayer("one over a vector, 33->65 @6x5 3x3", 33, 6, 5, 65, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("one under a vector, 31->63 @5x3 2x2", 31, 5, 3, 63, 2, 2),
    NamedLayer("whole vectors, 16->32 @8x16 3x3", 16, 8, 16, 32, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("rows far below a vector, 8->8 @4x4 3x3", 8, 4, 4, 8, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("many taps, 131->10 @5x4 3x3", 131, 5, 4, 10, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("11x11 kernel", 2, 14, 15, 5, 11, 11, padding=((5, 5), (5, 5))),
    # Even kernels.
    NamedLayer("even 2x2", 5, 8, 9, 7, 2, 2),
    NamedLayer("even 4x6, padded", 3, 12, 11, 5, 4, 6, padding=((2, 1), (3, 2))),
    # Padding.
    NamedLayer("padding over the kernel, 2x2", 3, 5, 4, 5, 2, 2, padding=((7, 6), (5, 8))),
    NamedLayer("padding over the kernel, 3x3", 4, 3, 5, 6, 3, 3, padding=((5, 7), (6, 9))),
    NamedLayer("padding over the kernel, 1x1", 5, 4, 6, 7, 1, 1, padding=((2, 0), (1, 3))),
    NamedLayer("asymmetric padding, 3x3", 6, 10, 9, 8, 3, 3, padding=((0, 2), (3, 1))),
    NamedLayer("asymmetric padding and stride, 5x3", 3, 17, 14, 7, 5, 3, stride=(2, 3), padding=((3, 0), (0, 2))),
    # Stride and dilation.
    NamedLayer("stride 2x1, 3x3", 5, 13, 12, 9, 3, 3, stride=(2, 1), padding=((1, 1), (1, 1))),
    NamedLayer("stride over the kernel, 2x1 by 3x4", 4, 16, 17, 6, 2, 1, stride=(3, 4)),
    NamedLayer("stride over the image, 3x3 by 50", 4, 9, 8, 6, 3, 3, stride=(50, 50)),
    NamedLayer("1x1 by stride 3x2", 9, 11, 10, 13, 1, 1, stride=(3, 2)),
    NamedLayer("dilation 2x3, 3x3", 4, 12, 15, 6, 3, 3, padding=((2, 2), (3, 3)), dilation=(2, 3)),
    NamedLayer("dilation over the image, 2x2", 3, 5, 6, 5, 2, 2, padding=((4, 5), (6, 4)), dilation=(9, 8)),
    NamedLayer("dilation 3 by stride 2, 2x3", 3, 14, 15, 5, 2, 3, stride=(2, 2), dilation=(3, 3)),
    # Groups.
    NamedLayer("2 groups, 6->10 3x3", 6, 9, 11, 10, 3, 3, padding=((1, 1), (1, 1)), groups=2),
    NamedLayer("3 groups, 9->6 1x1", 9, 8, 7, 6, 1, 1, groups=3),
    NamedLayer("5 groups by stride 2, 10->15 4x3", 10, 12, 13, 15, 4, 3, stride=(2, 2), groups=5),
    NamedLayer("4 groups, 8->12 @9x37 3x3", 8, 9, 37, 12, 3, 3, padding=((1, 1), (1, 1)), groups=4),
    NamedLayer("3 groups by 2, 6->9 @15x39 3x3", 6, 15, 39, 9, 3, 3, stride=(2, 2), padding=((1, 1), (1, 1)), groups=3),
    # Depthwise.
    NamedLayer("depthwise 3x3", 7, 13, 19, 7, 3, 3, padding=((1, 1), (1, 1)), groups=7),
    NamedLayer("depthwise 3x3 by stride 2", 5, 14, 37, 5, 3, 3, stride=(2, 2), padding=((0, 1), (0, 1)), groups=5),
    NamedLayer("depthwise 5x5 by 2, twofold", 3, 15, 13, 6, 5, 5, stride=(2, 2), padding=((2, 2), (1, 3)), groups=3),
    NamedLayer("depthwise 7x7", 3, 11, 35, 3, 7, 7, padding=((3, 3), (3, 3)), groups=3),
    NamedLayer("depthwise 7x7 by stride 2", 3, 17, 16, 3, 7, 7, stride=(2, 2), padding=((3, 3), (3, 3)), groups=3),
    NamedLayer("depthwise 9x4, threefold", 2, 15, 14, 6, 9, 4, padding=((4, 4), (2, 1)), groups=2),
    NamedLayer("depthwise 1x1", 6, 7, 9, 6, 1, 1, groups=6),
    NamedLayer("depthwise 2x2 by stride 3", 5, 13, 16, 10, 2, 2, stride=(3, 3), groups=5),
    NamedLayer("depthwise, dilation 2x4", 4, 13, 18, 4, 3, 3, padding=((2, 2), (4, 4)), dilation=(2, 4), groups=4),
    NamedLayer("depthwise, padding over the kernel", 3, 4, 5, 3, 3, 3, padding=((6, 5), (7, 8)), groups=3),
    NamedLayer("depthwise 3x3 @14", 5, 14, 14, 5, 3, 3, padding=((1, 1), (1, 1)), groups=5),
    NamedLayer("depthwise 3x3 @7, twofold", 4, 7, 7, 8, 3, 3, padding=((1, 1), (1, 1)), groups=4),
    NamedLayer("depthwise 3x3 by 2 @28", 3, 28, 28, 3, 3, 3, stride=(2, 2), padding=((1, 1), (1, 1)), groups=3),
    NamedLayer("depthwise 3x3 by 2 @14", 4, 14, 14, 4, 3, 3, stride=(2, 2), padding=((1, 0), (1, 0)), groups=4),
    NamedLayer("depthwise 3x5 by 2", 3, 21, 45, 3, 3, 5, stride=(2, 2), padding=((2, 3), (20, 19)), groups=3),
    NamedLayer("depthwise 5x5 @14", 3, 14, 14, 3, 5, 5, padding=((2, 2), (2, 2)), groups=3),
    NamedLayer("depthwise 7x7 @33x70", 2, 33, 70, 2, 7, 7, padding=((3, 3), (3, 3)), groups=2),
    NamedLayer("depthwise 4x1", 3, 19, 33, 3, 4, 1, padding=((2, 1), (0, 0)), groups=3),
    NamedLayer("depthwise, one pixel in padding, 1x2", 3, 1, 1, 3, 1, 2, padding=((0, 0), (1, 0)), groups=3),
    NamedLayer("depthwise 15x13", 2, 31, 37, 2, 15, 13, padding=((7, 7), (6, 6)), groups=2),
    NamedLayer("depthwise 9x9, dilation 2x3", 2, 25, 19, 2, 9, 9, padding=((8, 8), (9, 9)), dilation=(2, 3), groups=2),
    NamedLayer("depthwise 23x25 over the image", 3, 7, 9, 3, 23, 25, padding=((11, 11), (12, 12)), groups=3),
    NamedLayer("depthwise 13x15 over the image, twofold", 3, 8, 7, 6, 13, 15, padding=((6, 7), (8, 8)), groups=3),
    NamedLayer("depthwise 11x9 by stride 2", 3, 30, 29, 3, 11, 9, stride=(2, 2), padding=((5, 5), (4, 4)), groups=3),
    # Tiles: whole ones, tails, both.
    NamedLayer("tiles of 5x5, 20->18 @12x13", 20, 12, 13, 18, 5, 5, padding=((2, 2), (2, 2))),
    NamedLayer("a tile of 5x5, 6->9 @3x4", 6, 3, 4, 9, 5, 5, padding=((1, 1), (1, 1))),
    NamedLayer("tiles of 7x7, 9->7 @13x16", 9, 13, 16, 7, 7, 7, padding=((3, 3), (3, 3))),
    NamedLayer("tiles of 1x3, 17->18 @9x22", 17, 9, 22, 18, 1, 3, padding=((0, 0), (0, 1))),
    NamedLayer("tiles of 1x7, 17->18 @17", 17, 17, 17, 18, 1, 7, padding=((0, 0), (3, 3))),
    NamedLayer("tiles of 7x1, 17->18 @17", 17, 17, 17, 18, 7, 1, padding=((3, 3), (0, 0))),
    NamedLayer("tiles by 2, 17->20 @14x19 3x3", 17, 14, 19, 20, 3, 3, stride=(2, 2), padding=((1, 1), (1, 1))),
    NamedLayer("tiles by 2, 6->20 @15x12 5x5", 6, 15, 12, 20, 5, 5, stride=(2, 2), padding=((2, 2), (2, 2))),
    NamedLayer("tiles of 3 layers, 7->20 @14x17 3x3", 7, 14, 17, 20, 3, 3, padding=((3, 3), (2, 2)), dilation=(3, 2)),
    NamedLayer("two tails, 18->19 @7 3x3", 18, 7, 7, 19, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("three tiles and a tail, 70->19 @14 3x3", 70, 14, 14, 19, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("spectra of 16x16, 7->9 @19x20 5x5", 7, 19, 20, 9, 5, 5, padding=((2, 2), (2, 2))),
    NamedLayer("spectra of 16x32, 3->5 @12x38 5x14", 3, 12, 38, 5, 5, 14, padding=((2, 2), (7, 6))),
    NamedLayer("spectra of 16x64, 2->3 @10x70 4x35", 2, 10, 70, 3, 4, 35, padding=((2, 2), (17, 17))),
    NamedLayer("spectra of 32x16, 3->5 @38x12 14x5", 3, 38, 12, 5, 14, 5, padding=((7, 6), (2, 2))),
    NamedLayer("spectra of 32x32, 3->4 @25x40 12x11", 3, 25, 40, 4, 12, 11, padding=((6, 5), (5, 5))),
    NamedLayer("spectra of 32x64, 1->3 @16x32 17x33", 1, 16, 32, 3, 17, 33, padding=((8, 8), (16, 16))),
    NamedLayer("spectra of 64x16, 2->3 @70x10 35x4", 2, 70, 10, 3, 35, 4, padding=((17, 17), (2, 2))),
    NamedLayer("spectra of 64x32, 1->3 @32x16 33x17", 1, 32, 16, 3, 33, 17, padding=((16, 16), (8, 8))),
    NamedLayer("spectra of 64x64, 1->5 @41x75 33x31", 1, 41, 75, 5, 33, 31, padding=((16, 16), (15, 15))),
    NamedLayer("spectra, depthwise 3 @40x61 29x31", 3, 40, 61, 3, 29, 31, padding=((14, 14), (15, 15)), groups=3),
    NamedLayer(
        "spectra, dilation 3x2, 4->6 @30 5x7", 4, 30, 30, 6, 5, 7, padding=((6, 6), (6, 6)), dilation=(3, 2), groups=2
    ),
    # Batches.
    NamedLayer("no images, 3x3", 4, 8, 8, 6, 3, 3, N=0, padding=((1, 1), (1, 1))),
    NamedLayer("no images, depthwise 1x1", 4, 8, 8, 4, 1, 1, N=0, groups=4),
    NamedLayer("3 images, 5->6 3x3", 5, 7, 9, 6, 3, 3, N=3, padding=((1, 1), (1, 1))),
    NamedLayer("17 images, 3->5 1x1", 3, 4, 5, 5, 1, 1, N=17),
)

# Large enough to be cut: for threads, for the caches, and for the blocks of each algorithm.
CUT = (
    NamedLayer("threads, 16->24 @13x15 3x3", 16, 13, 15, 24, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("threads, 70->190 @7x6 1x1", 70, 7, 6, 190, 1, 1),
    NamedLayer("reduction in parts, 600->13 @7x6 1x1", 600, 7, 6, 13, 1, 1),
    NamedLayer("reduction in parts, 60->17 @6x7 5x5", 60, 6, 7, 17, 5, 5, padding=((2, 2), (2, 2))),
    NamedLayer("threads, depthwise 32 @44x43 3x3", 32, 44, 43, 32, 3, 3, padding=((1, 1), (1, 1)), groups=32),
    NamedLayer("few large planes, depthwise 1->2 @500x301 3x3", 1, 500, 301, 2, 3, 3, groups=1),
    NamedLayer("strips of a plane, depthwise 1 @700x500 3x3 by 3", 1, 700, 500, 1, 3, 3, stride=(3, 3), groups=1),
    NamedLayer("wide rows, 44->3 @4x1300 3x3", 44, 4, 1300, 3, 3, 3),
    NamedLayer("blocks of tiles, 17->33 @9x250 3x3", 17, 9, 250, 33, 3, 3, padding=((1, 1), (1, 1))),
    NamedLayer("many pixels, 20->30 @60x61 1x1", 20, 60, 61, 30, 1, 1),
    NamedLayer("one output in parts, 4->530 @17x16 17x16", 4, 17, 16, 530, 17, 16, N=2),
    NamedLayer("one output of 53 images in 2 groups, 60->70 @2x1 2x1", 60, 2, 1, 70, 2, 1, N=53, groups=2),
)

EDGE_CASES: tuple[NamedLayer, ...] = (*ODD, *EDGES, *CUT)
