"""What a TIFF file says of its pixels, read from its header alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import TiffImagePlugin

_CLASSIC, _BIG = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 262, 277
_ORIENTATION, _EXTRA, _SAMPLE_FORMAT = 274, 338, 339
_STRIP_ROWS, _TILE_COLUMNS, _TILE_ROWS = 278, 322, 323
# Model pixel scale, tie points, transformation and geokeys; coefficients of a rational polynomial.
_GEO = (33550, 33922, 34264, 34735, 50844)


@dataclass(frozen=True)
class TiffTags:
    """The first image of a TIFF.

    Attributes:
        size: Height and width as stored.
        bits: Of a sample.
        samples: Bands.
        photometric: 0 white is zero, 1 grey, 2 RGB, 3 palette, 6 YCbCr.
        formats: 1 unsigned, 2 signed, 3 floating-point.
        extra: Of each further band: 0 unspecified, 1 premultiplied alpha, 2 alpha.
        orientation: 1 is upright.
        georeferenced: Whether it has a place on the map.
        block_rows: Height of its strips or tiles.
        block_columns: Width of its strips or tiles.
    """

    size: tuple[int, int]
    bits: tuple[int, ...]
    samples: int
    photometric: int
    formats: tuple[int, ...]
    extra: tuple[int, ...]
    orientation: int
    georeferenced: bool
    block_rows: int
    block_columns: int


def read_tags(path: Path) -> TiffTags | None:
    """The tags of a TIFF or BigTIFF file; `None` for another or a damaged file."""
    try:
        with path.open("rb") as file:
            header = file.read(16)
            if header[:4] not in _CLASSIC + _BIG:
                return None
            tags = TiffImagePlugin.ImageFileDirectory_v2(header if header[:4] in _BIG else header[:8])
            file.seek(tags.next)
            tags.load(file)
        samples = int(tags.get(_SAMPLES, 1))
        return TiffTags(
            size=(int(tags[_HEIGHT]), int(tags[_WIDTH])),
            bits=_numbers(tags.get(_BITS, (1,))),
            samples=samples,
            photometric=int(tags[_PHOTOMETRIC]),
            formats=_numbers(tags.get(_SAMPLE_FORMAT, (1,))),
            extra=_numbers(tags.get(_EXTRA, ())),
            orientation=int(tags.get(_ORIENTATION, 1)),
            georeferenced=any(tag in tags for tag in _GEO),
            block_rows=int(tags.get(_TILE_ROWS, min(tags.get(_STRIP_ROWS, 1 << 30), tags[_HEIGHT]))),
            block_columns=int(tags.get(_TILE_COLUMNS, tags[_WIDTH])),
        )
    except Exception:  # whatever a damaged header makes Pillow raise, it says nothing
        return None


def _numbers(value) -> tuple[int, ...]:
    return tuple(map(int, value)) if isinstance(value, tuple) else (int(value),)
