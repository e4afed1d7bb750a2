"""What an opened TIFF says of itself: whether it can be read by windows, its palette and its place."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.errors import FormatError
from zoo.images.tiff_tags import TiffTags

_LEAST_CACHE, _MOST_CACHE = 1 << 24, 1 << 28  # bytes of decoded blocks that GDAL keeps
_LARGEST_BLOCK = 1 << 28


def cache_bytes(tags: TiffTags) -> int:
    """Bytes for a row of strips, each of which is read in several chunks; tiles are read once."""
    row = tags.block_rows * tags.size[1] * tags.samples * max(1, max(tags.bits) // 8)
    striped = tags.block_columns >= tags.size[1]
    return int(np.clip(_LEAST_CACHE + striped * row, _LEAST_CACHE, _MOST_CACHE))


def check_blocks(source: Any, tags: TiffTags) -> None:
    """`FormatError` where the header describes another image, or blocks are too large to be decoded."""
    height, width = source.block_shapes[0]
    size = height * width * tags.samples * max(1, max(tags.bits) // 8)
    if source.count != tags.samples or source.shape != tags.size:
        raise FormatError("its first image is not the one that its header describes")
    if size > _LARGEST_BLOCK:
        raise FormatError(
            f"its blocks are {height} rows high, {size:,} bytes each, so it cannot be read by windows: write "
            "it in tiles (gdal_translate -co TILED=YES), or --max-pixels decodes it as a whole"
        )


def palette_of(source: Any, tags: TiffTags) -> np.ndarray | None:
    """``(256, 3)`` uint8 of a file with one."""
    if tags.photometric != 3:
        return None
    colors = source.colormap(1)
    table = np.zeros((256, 3), np.uint8)
    for index, color in colors.items():
        if index < 256:
            table[index] = color[:3]
    return table


def georeference_of(source: Any) -> dict[str, Any]:
    """Coordinate system, and transform, control points or RPCs, as far as they are there."""
    points, crs = source.gcps
    found = {"crs": source.crs or crs, "rpcs": source.rpcs}
    if not source.transform.is_identity:
        found["transform"] = source.transform
    elif points:
        found["gcps"] = points
    return {key: value for key, value in found.items() if value}
