"""Atomic writes of PNG files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.errors import InputError
from zoo.files import written_whole
from zoo.labels import Color


def write_png(
    path: str | os.PathLike,
    image: np.ndarray | Image.Image,
    *,
    palette: Sequence[Color] | None = None,
) -> Path:
    """Write a PNG file that appears under its name only when it is complete.

    Args:
        path: Target; its folder must exist. An existing file is replaced.
        image: ``(height, width, 3)`` uint8 RGB, ``(height, width)`` uint8 or uint16, or a Pillow image.
        palette: RGB colours for a ``(height, width)`` uint8 array of indices: written as a palette file.

    Returns:
        `path`.

    Raises:
        InputError: The array cannot be a PNG, or the file cannot be written (folder, permission, full disk).
    """
    path = Path(path)
    image = image if isinstance(image, Image.Image) else _to_pillow(image, palette)
    with written_whole(path) as part:
        image.save(part, format="PNG")
    return path


def _to_pillow(array: np.ndarray, palette: Sequence[Color] | None) -> Image.Image:
    array = np.ascontiguousarray(array)
    grey = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    color = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    if not array.size or not (grey or color):
        raise InputError(
            "a PNG takes (height, width, 3) uint8 or (height, width) uint8 or uint16,"
            f" not {array.shape} {array.dtype}"
        )
    image = Image.fromarray(array)
    if palette is None:
        return image
    if not grey or array.dtype != np.uint8 or not 1 <= len(palette) <= 256:
        raise InputError(
            "a palette of 1 to 256 colours goes with (height, width) uint8,"
            f" not {len(palette)} colours with {array.shape} {array.dtype}"
        )
    # All 256: Pillow writes fewer bits for a short palette, and cuts off the indices beyond.
    colors = [*palette, *[(0, 0, 0)] * (256 - len(palette))]
    image.putpalette([channel for entry in colors for channel in entry])
    return image
