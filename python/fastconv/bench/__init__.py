"""Measurement: time, peak memory, the machine's limits, and the study of one layer by every algorithm.

Nothing here prints; the command line (:mod:`fastconv.cli`), the tests and ``benchmarks/`` share these routines.
"""
