"""Pictures and masks as annotations hold them, decoded with a bound on their size."""

from __future__ import annotations

import base64
import binascii
import io
import math
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.errors import FormatError, InputError
from zoo.images.read import Header, read_header

_SUFFIX_OF = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "BMP": ".bmp",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "GIF": ".gif",
}
# Not MPO, which Pillow opens as JPEG and knows no other way to open.
_PICTURE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
_MASK_FORMATS = ("PNG", "TIFF", "BMP")
# As for photographs: fewer bytes than this claim more than they can hold.
_ALWAYS, _PIXELS_PER_BYTE = 50_000_000, 100
_MOST_ENCODED = 512 << 20


def header_of(path: Path) -> Header:
    """Size and orientation of a picture; a few bytes that claim a gigabyte are refused."""
    header = read_header(path)
    pixels, size = math.prod(header.stored), path.stat().st_size
    if pixels > max(_ALWAYS, _PIXELS_PER_BYTE * size):
        raise FormatError(f"{path}: claims {pixels:,} pixels in {size:,} bytes")
    return header


def suffix_of(data: bytes | Path) -> str:
    """The usual suffix of an encoded picture.

    Raises:
        FormatError: It is none.
    """
    try:
        with Image.open(
            io.BytesIO(data) if isinstance(data, bytes) else data, formats=_PICTURE_FORMATS
        ) as image:
            return _SUFFIX_OF[image.format or ""]
    except Exception as error:  # Pillow raises whatever a damaged header leads it to
        raise FormatError(f"not a picture that is read here ({', '.join(_PICTURE_FORMATS)})") from error


def from_base64(text: str) -> bytes:
    """The bytes that base64 text stands for."""
    if len(text) > _MOST_ENCODED:
        raise FormatError("base64 text of more than 512 MB")
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"damaged base64 text: {error}") from None


def inflated(data: bytes, *, most: int) -> bytes:
    """What zlib has packed, up to `most` bytes."""
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        raise FormatError(f"damaged zlib data: {error}") from None
    if len(found) > most or not unpacker.eof:
        raise FormatError(f"zlib data that are damaged or unpack to more than {most:,} bytes")
    return found


def decoded(data: bytes | Path, *, most: int | None = None) -> Image.Image:
    """A mask file, decoded.

    Args:
        data: The file, or its bytes.
        most: Pixels that it may have.

    Raises:
        InputError: There is no such file.
        FormatError: No image, a damaged one, or one of more pixels.
    """
    try:
        with Image.open(
            io.BytesIO(data) if isinstance(data, bytes) else data, formats=_MASK_FORMATS
        ) as image:
            size = len(data) if isinstance(data, bytes) else data.stat().st_size
            allowed = max(_ALWAYS, _PIXELS_PER_BYTE * size) if most is None else most
            if math.prod(image.size) > allowed:
                raise FormatError(f"a mask of {image.width}x{image.height}, which is too large here")
            image.load()
            return image
    except FormatError:
        raise
    except FileNotFoundError:
        raise InputError(f"{data}: no such file") from None
    except Exception as error:
        raise FormatError(f"a damaged mask: {' '.join(str(error).split())[:200]}") from None


def binary_mask(data: bytes, *, most: int) -> np.ndarray:
    """``(height, width)`` bool of a small mask: its opaque pixels, or those above 0 where it has no alpha."""
    image = decoded(data, most=most)
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA").getchannel("A")) > 0
    values = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    return values.max(axis=-1) > 0 if values.ndim == 3 else values > 0
