"""All 16 bits of the numbers in a colour file, of which Pillow gives the upper byte.

Asked for the numbers in the other byte order, it gives the lower one.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from zoo.errors import FormatError
from zoo.images.pixels import ROWS, check_range, scaled

_BITS, _PLANES, _SEPARATE = 258, 284, 2
_OTHER = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
# Grey with alpha: both bytes of both numbers are the four bands of this.
_GREY, _ALL_BYTES = "LA;16B", "RGBA"
_TOO_DEEP = (
    "{bits} bits are not read out of a colour file like this one: save it with 8 bits, without planes and "
    "with plain transparency"
)


def mend_planes(image: Any) -> None:
    """See that bands of 16 bits that lie one behind the other in a TIFF are not read as of 8 bits."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.mode not in ("RGB", "RGBA"):
        return
    depths = image.tag_v2.get(_BITS, (8,))
    if image.tag_v2.get(_PLANES) != _SEPARATE or set(depths) != {16}:
        return
    order = "L" if image.tag_v2.prefix == b"II" else "B"
    for index, tile in enumerate(image.tile):
        args: Any = tile.args
        if tile.codec_name == "raw" and args[0] in image.mode:
            image.tile[index] = tile._replace(args=(f"{args[0]};16{order}", *args[1:]))


def is_deep(image: Image.Image, depth: int) -> bool:
    """Whether its colours have 16 bits, by the depth of its samples, before it is decoded."""
    return depth == 16 and image.mode != "F" and not image.mode.startswith("I")


def give_lower(image: Any, *, bits: int) -> bool:
    """Make an image give the lower bytes of its numbers when it is decoded.

    Returns:
        Whether they will stand in its second band: of grey with alpha.

    Raises:
        FormatError: One whose lower bytes cannot be had.
    """
    tags = getattr(image, "tag_v2", {})
    for index, tile in enumerate(image.tile):
        plain = isinstance(tile.args, str)
        layout = tile.args if plain else tile.args[0]
        kind, _, order = str(layout).partition(";")
        planes = tile.codec_name == "libtiff" and tags.get(_PLANES) == _SEPARATE
        if order not in _OTHER or kind in ("RGBa", "CMYK") or planes:
            raise FormatError(_TOO_DEEP.format(bits=bits))
        other = _ALL_BYTES if layout == _GREY else f"{kind};{_OTHER[order]}"
        args = other if plain else (other, *tile.args[1:])
        image.tile[index] = tile._replace(args=args)
    return any(tile.args == _ALL_BYTES for tile in image.tile)


def put_together(upper: Image.Image, lower: Image.Image, *, bits: int | None, is_grey: bool) -> np.ndarray:
    """The picture in 8 bits out of both halves of its numbers; a transparent colour becomes white.

    Args:
        upper: Decoded, RGB or RGBA; of the alpha this byte is taken.
        lower: The same with the lower bytes.
        bits: Of the values, from 8 to 16; of 16 the upper byte is taken. `None`: 16 where a value needs them.
        is_grey: What `give_lower` said.

    Returns:
        ``(height, width, 3)`` uint8, or 4 where there is alpha.

    Raises:
        FormatError: A value that needs more, or none that needs more than 12 where `bits` is `None`.
    """
    clear = upper.info.get("transparency") if upper.mode == "RGB" else None
    found, largest = np.empty((upper.height, upper.width, len(upper.mode)), np.uint8), 0
    for start in range(0, upper.height, ROWS):
        box = 0, start, upper.width, min(upper.height, start + ROWS)
        high, low = (np.asarray(image.crop(box)) for image in (upper, lower))
        low = low[..., 1:2] if is_grey else low[..., :3]
        values = high[..., :3].astype(np.uint32) << 8 | low
        largest = max(largest, int(values.max()))
        rows = found[start : box[3]]
        rows[..., 3:] = high[..., 3:]
        rows[..., :3] = values >> 8 if bits in (None, 16) else scaled(values, bits)
        if clear is not None:
            rows[(values == clear).all(axis=-1)] = 255
    if bits is None:
        check_range(largest)
    return found
