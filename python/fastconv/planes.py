"""Planes of volumes as channels of images, where the core does not bring them there itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def put_planes(x: npt.NDArray[Any], start: int, stride: int, dilation: int, to: npt.NDArray[Any]) -> None:
    """Into to[n, j, t] = (groups, C // groups, H, W) the planes that output plane j looks at by its tap t.

    These are planes start + j * stride + t * dilation of x, (N, C, D, H, W). Where there is none, `to` stays as it is.
    """
    N, planes, taps, groups, Cg, H, W = to.shape
    D = x.shape[2]
    by_plane = x.reshape(N, groups, Cg, D, H, W).transpose(0, 3, 1, 2, 4, 5)
    for tap in range(taps):
        seen = start + np.arange(planes) * stride + tap * dilation
        inside = np.flatnonzero((seen >= 0) & (seen < D))
        to[:, inside, tap] = by_plane[:, seen[inside]]
