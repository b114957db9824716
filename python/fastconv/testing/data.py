"""Data for tests: integers whose sums are exact, and arrays with guards around them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastconv.arguments import Array, Shape

# Pages are 4 KiB and vectors 64 bytes: a write past the end lands in here.
_GUARD = 1024


def small_integers(shape: Shape, dtype: npt.DTypeLike, seed: int) -> Array:
    """Integers from -3 to 3. Their products and sums are exact in float32 up to a million terms, in any order."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


class Guarded(NamedTuple):
    """An array in the middle of a larger buffer that is NaN all around it.

    Whoever reads past the array's ends and uses what it finds turns its result into NaN; whoever writes past them
    leaves a trace that :meth:`broken` finds.
    """

    array: Array
    buffer: Array

    def broken(self) -> bool:
        """Whether something was written outside the array."""
        return not (np.isnan(self.buffer[:_GUARD]).all() and np.isnan(self.buffer[-_GUARD:]).all())


def guarded(values: Array) -> Guarded:
    """A copy of `values` with guards, C-contiguous and aligned to its elements only."""
    buffer = np.full(values.size + 2 * _GUARD, np.nan, values.dtype)
    array = buffer[_GUARD : _GUARD + values.size].reshape(values.shape)
    array[...] = values
    return Guarded(array, buffer)


def guarded_like(shape: Shape, dtype: npt.DTypeLike) -> Guarded:
    """NaN everywhere, so that an output that is not written shows too."""
    return guarded(np.full(shape, np.nan, dtype))
