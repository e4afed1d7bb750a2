"""Rows of a TIFF's bands as 8-bit RGB, the same that `zoo.images.read_image` gives of the whole file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from zoo.errors import FormatError
from zoo.images.pixels import check_range, check_transparency, kind_of, scaled, to_rgb
from zoo.images.tiff_tags import TiffTags

_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_ALPHA, _PREMULTIPLIED = (1, 2), 1


@dataclass(frozen=True)
class Bands:
    """How the bands of a file become RGB.

    Attributes:
        tags: Of the file.
        palette: ``(256, 3)`` uint8 of a file with one.
        alpha: As for `zoo.images.read_image`; decided by `settled`.
        bits: As for `zoo.images.read_image`; decided by `settled`.
    """

    tags: TiffTags
    palette: np.ndarray | None
    alpha: str | None
    bits: int | None

    def __post_init__(self) -> None:
        tags = self.tags
        colors = {_RGB: 3, _YCBCR: 3}.get(tags.photometric, 1)
        known = tags.photometric in (_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _YCBCR)
        depth = tags.bits[0]
        fits = set(tags.bits) == {depth} and depth in ((1, 8, 16) if colors == 1 else (8, 16))
        if not known or not fits or set(tags.formats) != {1} or tags.samples not in (colors, colors + 1):
            kind = kind_of(tags.samples, max(tags.bits), max(tags.formats))
            raise FormatError(f"a TIFF of {kind} is not read here; save it as 8-bit RGB or grey")
        if tags.photometric == _PALETTE and (self.palette is None or depth != 8 or tags.samples != 1):
            raise FormatError("a TIFF with a palette is read with 8 bits and one band only")
        if depth == 8 and self.bits not in (None, 8):
            object.__setattr__(self, "bits", None)  # of 8 bits there is nothing to say

    @property
    def has_alpha(self) -> bool:
        """Whether the last band is said to be transparency."""
        return self.tags.samples in (2, 4) and self.tags.extra[:1] in ((1,), (2,))

    def settled(self, chunks: Callable[[], Iterator[np.ndarray]]) -> Bands:
        """With every question answered: by looking at all pixels once, where the answer lies in them.

        Args:
            chunks: Gives all rows, ``(bands, rows, width)``.

        Raises:
            FormatError: The pixels leave it open.
        """
        deep = max(self.tags.bits) == 16 and self.bits is None
        asks = self.has_alpha and self.alpha is None
        if not deep and not asks:
            return self
        largest, counts = 0, np.zeros(256, np.int64)
        colors = self.tags.samples - (self.tags.samples in (2, 4))
        for chunk in chunks():
            largest = max(largest, int(chunk[:colors].max()))
            if asks:
                counts += np.bincount(_bytes(chunk[-1]).ravel(), minlength=256)
        if deep:
            check_range(largest)
        if asks:
            check_transparency(counts)
        return replace(self, bits=16 if deep else self.bits, alpha="white" if asks else self.alpha)

    def to_rgb(self, chunk: np.ndarray) -> np.ndarray:
        """``(rows, width, 3)`` uint8 of ``(bands, rows, width)``."""
        if self.palette is not None:
            return self.palette[chunk[0]]
        colors = self.tags.samples - (self.tags.samples in (2, 4))
        values = self._scaled(chunk[:colors])
        if self.tags.photometric == _WHITE_IS_ZERO:
            values = 255 - values
        values = np.repeat(values, 3, axis=0) if colors == 1 else values
        values = np.moveaxis(values, 0, -1)
        if not self.has_alpha or self.alpha == "ignore":
            return np.ascontiguousarray(values)
        pixels = np.dstack([values, _bytes(chunk[-1])])
        size = pixels.shape[1::-1]
        mode = "RGBa" if self.tags.extra[0] == _PREMULTIPLIED else "RGBA"
        image = Image.frombuffer(mode, size, np.ascontiguousarray(pixels).tobytes(), "raw", mode, 0, 1)
        return np.asarray(to_rgb(image, alpha="white"))

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        depth = max(self.tags.bits)
        if depth == 1:
            return values.astype(np.uint8) * 255
        if depth == 8:
            return values
        if len(values) > 1 and self.bits == 16:
            return _bytes(values)  # as Pillow reads colour
        return scaled(values, self.bits or 16)


def _bytes(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)
