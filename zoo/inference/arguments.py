"""What `segment` takes, checked: an image, its scales, and the size of a window."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.errors import InputError
from zoo.images import read_image, to_rgb
from zoo.inference.viewer import Viewer

ImageLike = str | os.PathLike | Image.Image | np.ndarray


def as_pixels(image: ImageLike, *, max_pixels: int | None = None) -> np.ndarray:
    """``(height, width, 3)`` in 0…255: uint8, or float32 where the caller's array has floats."""
    if isinstance(image, str | Path | os.PathLike):
        return read_image(image, max_pixels=max_pixels)
    if isinstance(image, Image.Image):
        return np.asarray(to_rgb(image))
    array = np.asarray(image)
    described = f"{array.shape} {array.dtype}"
    if array.ndim == 2:
        array = np.repeat(array[..., np.newaxis], 3, axis=-1)
    if array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        raise InputError(f"an image is (height, width, 3) or (height, width), not {described}")
    if array.dtype.kind not in "uif":
        raise InputError(f"an image holds integers or floats in 0…255, not {array.dtype}")
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("the image has values that are not finite (NaN or infinity)")
    if low < 0 or high > 255:
        raise InputError(f"an image's values are in 0…255, not {low:g}…{high:g}")
    if array.dtype.kind != "f":
        return array.astype(np.uint8)
    if 0 < high <= 1:
        raise InputError(f"the image's values are in 0…{high:g}; multiply it by 255")
    return array.astype(np.float32)


def checked_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """The scales as numbers; `InputError` where they are none."""
    try:
        checked = tuple(float(scale) for scale in scales)
    except (TypeError, ValueError):
        checked = ()
    if not checked or not all(math.isfinite(scale) and scale > 0 for scale in checked):
        raise InputError(f"scales must be a sequence of positive numbers, not {scales!r}")
    return checked


def _checked_tile(tile: int | tuple[int, int] | None) -> tuple[int | None, int | None]:
    if tile is None:
        return None, None
    try:
        given = tuple(tile) if np.iterable(tile) else (tile, tile)
        pair = tuple(operator.index(n) for n in given)
    except TypeError:
        pair = given = ()
    if len(pair) != 2 or min(pair) < 1 or any(isinstance(n, bool) for n in given):
        raise InputError(f"tile must be a positive integer or (height, width), not {tile!r}")
    return pair


def window_size(
    viewer: Viewer,
    size: tuple[int, int],
    *,
    tile: int | tuple[int, int] | None,
    scales: tuple[float, ...],
) -> tuple[int, int]:
    """Height and width of what the model sees at once."""
    pair, fixed = _checked_tile(tile), viewer.size
    if any(fixed) and set(scales) != {1.0}:
        raise InputError(f"model {viewer.name!r} takes images of {fixed} only: it has no scales")
    if any(f and n and f != n for f, n in zip(fixed, pair, strict=True)):
        raise InputError(f"tile must be {fixed}, for which {viewer.name!r} was built, not {tile!r}")
    height, width = (f or min(n or length, length) for f, n, length in zip(fixed, pair, size, strict=True))
    return height, width
