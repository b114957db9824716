"""Convolution from the perspective of kernel sizes: an essay whose every number is measured on the spot.

One file per section: what it measures, what it finds in the figures, what it writes. ``section`` says what a section
is, ``run`` measures (and goes on where it was stopped), ``page`` puts the report together out of ``shown`` numbers,
``markup`` and ``drawing``. ``contests`` is shared by the sections on stacks and factorisations.
"""

from __future__ import annotations

from fastconv.study import algorithms, dense, factorisations, kernel_sizes, learnt, stacks
from fastconv.study.section import Section

# To add a section, add a line.
SECTIONS: tuple[Section, ...] = (
    dense.SECTION,
    kernel_sizes.SECTION,
    stacks.SECTION,
    factorisations.SECTION,
    algorithms.SECTION,
    learnt.SECTION,
)
