"""How many pixels an image file may hold, and the hush under which Pillow decodes it."""

from __future__ import annotations

import contextlib
import math
import operator
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from PIL import Image

from zoo.errors import FormatError, InputError

# A photograph has less than ten pixels per byte, a blank one in JPEG less than a hundred.
_ALWAYS_DECODED, _PIXELS_PER_BYTE = 50_000_000, 100
_MOST = 1 << 40


def check_max_pixels(max_pixels: int | None) -> int | None:
    """The number as an `int`; `InputError` where it is none that an image can have."""
    if max_pixels is None:
        return None
    try:
        number = 0 if isinstance(max_pixels, bool) else operator.index(max_pixels)
    except TypeError:
        number = 0
    if not 1 <= number <= _MOST:
        raise InputError(f"max_pixels must be a number of pixels from 1 to 2**40, not {max_pixels!r}")
    return number


def check_size(size: tuple[int, int], max_pixels: int | None) -> None:
    """Raise a `FormatError` for an image of more pixels than were asked for."""
    pixels = math.prod(size)
    if max_pixels is not None and pixels > max_pixels:
        raise FormatError(f"refused: {pixels:,} pixels are more than the {max_pixels:,} of --max-pixels")


def check_claim(image: Image.Image, path: Path, max_pixels: int | None) -> None:
    """Refuse what is no photograph but a few bytes that ask for gigabytes, unless so many are asked for."""
    pixels, size = math.prod(image.size), path.stat().st_size
    if max_pixels is None and pixels > max(_ALWAYS_DECODED, _PIXELS_PER_BYTE * size):
        raise FormatError(
            f"refused: claims {pixels:,} pixels in {size:,} bytes, which no photograph does "
            "(--max-pixels lifts the limit)"
        )


class Hush:
    """While any thread is within it, Pillow's warnings are not shown; those of others are.

    Below Pillow's hard limit for decompression bombs a large image is only a large image, and a damaged EXIF
    block is not worth a warning of several lines. `warnings.catch_warnings` is not for several threads.

    While any thread within it has a limit of its own, Pillow's is that of the largest: it has one for all.
    """

    def __init__(self):
        self._lock, self._depth, self._rule = threading.Lock(), 0, None
        self._limits: list[int] = []
        self._usual: int | None = None

    @contextlib.contextmanager
    def limited(self, max_pixels: int | None) -> Iterator[None]:
        """Within it, images of up to so many pixels can be opened; `None`: up to Pillow's own limit."""
        self._enter(max_pixels)
        try:
            yield
        finally:
            self._leave(max_pixels)

    def _enter(self, max_pixels: int | None) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
                self._rule = warnings.filters[0]
            if max_pixels is not None:
                if not self._limits:
                    self._usual = Image.MAX_IMAGE_PIXELS
                self._limits.append(max_pixels)
                self._lift()

    def _leave(self, max_pixels: int | None) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                rules = cast(list, warnings.filters)
                with contextlib.suppress(ValueError):  # whoever put back other rules has removed it
                    rules.remove(self._rule)
            if max_pixels is not None:
                self._limits.remove(max_pixels)
                self._lift()

    def _lift(self) -> None:
        usual = self._usual
        Image.MAX_IMAGE_PIXELS = None if usual is None else max([usual, *self._limits])
