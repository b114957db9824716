"""A photograph as the input of a layer: any number of channels, each of them real image content."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

# Fractions of the golden ratio's plane-filling cousin: any number of first points cover the square evenly.
# Source: M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018.
_STEP_X, _STEP_Y = 0.7548776662466927, 0.5698402909980532
_SCALES = (1.0, 2.0, 4.0)  # source pixels per channel pixel

MOST_PIXELS = 2 * 89_478_485
"""Beyond this Pillow, too, takes a file for one that was made to fill the memory."""


def default_photograph() -> Path:
    """The portrait of Grace Hopper (public domain, 512 x 600) among matplotlib's sample data.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.cbook import get_sample_data

    return Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))


def load(path: Path) -> Image:
    """Open a photograph as RGB.

    Raises:
        ImportError: Pillow is not installed.
        OSError: The file cannot be read, is no image that Pillow knows, is damaged, or has more than `MOST_PIXELS`.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pixels, which are counted here, and about what is around them
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height <= MOST_PIXELS:
                    rgb: Image.Image = picture.convert("RGB")
                    return rgb
    except Image.DecompressionBombError as error:
        raise OSError(f"too large: {error}") from None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise whatever they stumble on: SyntaxError, zlib.error
        raise OSError(f"damaged: {error}") from error
    raise OSError(f"expected at most {MOST_PIXELS} pixels, got {width} x {height}")


def as_input(photograph: Image, shape: tuple[int, int, int, int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Shape a photograph into images of any number of channels.

    Every three channels are the red, green and blue of one crop. Crops differ by place (spread evenly over the
    photograph) and by scale (1, 2 or 4 source pixels per pixel, as far as the photograph is large enough; averaged).
    The whole is then brought to mean 0 and variance 1, as networks do with their input.

    Args:
        photograph: RGB, from :func:`load`.
        shape: (N, C, H, W).
        dtype: float32 or float64.
    Returns:
        An array of that shape.
    """
    from PIL import Image

    N, C, H, W = shape
    width, height = photograph.size
    planes: list[npt.NDArray[np.float64]] = []
    for crop in range(-(-N * C // 3)):
        scale = min(_SCALES[crop % len(_SCALES)], width / W, height / H)
        left = (crop * _STEP_X % 1) * (width - scale * W)
        top = (crop * _STEP_Y % 1) * (height - scale * H)
        box = (left, top, left + scale * W, top + scale * H)
        resample = Image.Resampling.BOX if scale > 1 else Image.Resampling.BILINEAR
        pixels = photograph.resize((W, H), resample=resample, box=box)
        planes.extend(np.asarray(pixels, np.float64).transpose(2, 0, 1))
    values = np.stack(planes[: N * C]).reshape(shape) if N * C else np.empty(shape)
    if values.size:
        values = (values - values.mean()) / max(float(values.std()), 1e-6)
    return np.ascontiguousarray(values, dtype)
