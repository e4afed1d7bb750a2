"""Large TIFF files row by row, in flat memory, with their place on the map; by rasterio (extra ``geo``)."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.files import check_local, written_whole
from zoo.images.bands import Bands
from zoo.images.pixels import check_alpha, check_bits, check_exif
from zoo.images.raster_source import cache_bytes, check_blocks, georeference_of, palette_of
from zoo.images.tiff_tags import read_tags
from zoo.labels import Color

BLOCK = 512  # side of the tiles of a mask; those of colours take more memory while they are filled
COLOR_BLOCK = 256
# What is decoded at once: so many rows of strips; of tiles some columns, and all rows that are asked for.
_CHUNK_ROWS, _CHUNK_COLUMNS = 128, 2048


def has_rasterio() -> bool:
    """Whether the extra ``geo`` is installed."""
    return importlib.util.find_spec("rasterio") is not None


def _rasterio():
    try:
        return importlib.import_module("rasterio")
    except ImportError as error:
        raise InputError(
            "reading a TIFF by windows needs rasterio (pip install 'atrous-zoo[geo]'); without it "
            f"--max-pixels decodes the whole file: {error}"
        ) from None


@dataclass
class Raster:
    """An opened TIFF, read from top to bottom.

    Attributes:
        size: Height and width.
        georeference: What `written` gives to the files that it writes.
    """

    size: tuple[int, int]
    georeference: dict[str, Any]
    _source: Any
    _bands: Bands
    _first: int = 0
    _held: np.ndarray | None = None

    def rows(self, start: int, stop: int) -> np.ndarray:
        """``(stop - start, width, 3)`` uint8, good until the next call; going back reads anew.

        Raises:
            FormatError: Damaged data.
        """
        old = np.empty((0, self.size[1], 3), np.uint8)
        if self._held is not None and self._first <= start <= self._first + len(self._held):
            old = self._held[start - self._first :]
        rows, known = self._held, min(len(old), stop - start)
        if rows is None or len(rows) != stop - start:
            rows = np.empty((stop - start, self.size[1], 3), np.uint8)
        rows[:known] = old[:known]  # in place where windows are alike: they take most of the memory
        for top, left, chunk in self._chunks(start + known, stop):
            _, height, width = chunk.shape
            part = rows[top - start : top - start + height, left : left + width]
            part[:] = self._bands.to_rgb(chunk)
        self._first, self._held = start, rows
        return rows

    def held(self, start: int, stop: int) -> np.ndarray:
        """Some of the rows that `rows` gave last."""
        if self._held is None or start < self._first or stop > self._first + len(self._held):
            raise InputError(f"rows {start} to {stop} are not those that were read last")
        return self._held[start - self._first : stop - self._first]

    def chunks(self) -> Iterator[np.ndarray]:
        """All pixels as they are stored, in parts ``(bands, rows, columns)``."""
        height, _ = self.size
        for top in range(0, height, BLOCK):
            for _, _, chunk in self._chunks(top, min(height, top + BLOCK)):
                yield chunk

    def settle(self) -> None:
        """Answer what the file leaves open, see `Bands.settled`."""
        self._bands = self._bands.settled(self.chunks)

    def _chunks(self, start: int, stop: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """First row, first column and pixels as they are stored, of parts that take little memory."""
        from rasterio.errors import RasterioError

        width, columns = self.size[1], self._source.block_shapes[0][1]
        high, wide = stop - start, max(1, _CHUNK_COLUMNS // columns) * columns
        if columns >= width:
            high, wide = _CHUNK_ROWS, width
        for top in range(start, stop, high):
            for left in range(0, width, wide):
                part = _window(top, min(wide, width - left), min(high, stop - top), left=left)
                try:
                    yield top, left, self._source.read(window=part)
                except RasterioError as error:
                    raise FormatError(f"damaged TIFF: {_innermost(error)}") from error


@contextlib.contextmanager
def opened(
    path: str | os.PathLike, *, exif: str = "apply", alpha: str | None = None, bits: int | None = None
) -> Iterator[Raster]:
    """A TIFF to be read by windows.

    Args:
        path: Striped or tiled, planar or interleaved, compressed in any way that GDAL reads; TIFF or BigTIFF.
        exif: As for `zoo.images.read_image`; a file that its orientation turns is read with ``"raw"`` only.
        alpha: As for `zoo.images.read_image`.
        bits: As for `zoo.images.read_image`.

    Raises:
        InputError: No such file, or rasterio is not installed.
        FormatError: Not a TIFF of 8 or 16 bits, grey or RGB; damaged; or it leaves open what its fourth band
            or the upper bits of its values mean.
    """
    check_exif(exif)
    check_alpha(alpha)
    check_bits(bits)
    path = check_local(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is not a regular file' if path.exists() else 'no such file'}")
    tags = read_tags(path)
    rasterio = _rasterio()
    try:
        if tags is None:
            raise FormatError("not a TIFF, or its header is damaged")
        if tags.orientation != 1 and exif == "apply":
            raise FormatError(
                "is turned by its orientation tag, which cannot be applied by windows: --exif raw reads it "
                "as stored"
            )
        with rasterio.Env(GDAL_CACHEMAX=cache_bytes(tags)), rasterio.open(path, driver="GTiff") as source:
            check_blocks(source, tags)
            bands = Bands(tags, palette_of(source, tags), alpha, bits)
            raster = Raster(tags.size, georeference_of(source), source, bands)
            raster.settle()
            yield raster
    except FormatError as error:
        text = str(error)
        raise FormatError(text if text.startswith(str(path)) else f"{path}: {text}") from None
    except rasterio.errors.RasterioError as error:
        raise FormatError(f"{path}: damaged TIFF: {_innermost(error)}") from error


def _window(top: int, width: int, height: int, *, left: int = 0) -> Any:
    from rasterio import windows

    # Made by attrs, whose arguments a type checker does not see.
    make: Any = windows.Window
    return make(left, top, width, height)


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


class RasterWriter:
    """Rows from top to bottom, written in whole rows of tiles."""

    def __init__(self, target: Any, width: int, bands: int):
        self._target, self._bands, self._top, self._count = target, bands, 0, 0
        self._block = target.block_shapes[0][0]
        shape = (self._block, width) if bands == 1 else (self._block, width, bands)
        self._held = np.empty(shape, target.dtypes[0])

    def add(self, rows: np.ndarray) -> None:
        """Take ``(rows, width)`` or ``(rows, width, bands)``."""
        while len(rows):
            part = rows[: self._block - self._count]
            self._held[self._count : self._count + len(part)] = part
            self._count += len(part)
            rows = rows[len(part) :]
            if self._count == self._block:
                self.finish()

    def finish(self) -> None:
        """Write what is left."""
        if self._count:
            self._write(self._held[: self._count])
            self._count = 0

    def _write(self, rows: np.ndarray) -> None:
        bands = rows[np.newaxis] if self._bands == 1 else np.moveaxis(rows, -1, 0)
        for left in range(0, rows.shape[1], self._block):  # each is copied to be written
            block = bands[..., left : left + self._block]
            self._target.write(block, window=_window(self._top, block.shape[2], len(rows), left=left))
        self._top += len(rows)


@contextlib.contextmanager
def written(
    path: str | os.PathLike,
    size: tuple[int, int],
    *,
    bands: int = 1,
    dtype: str = "uint8",
    palette: Sequence[Color] | None = None,
    georeference: dict[str, Any] | None = None,
) -> Iterator[RasterWriter]:
    """A tiled, deflated TIFF to be written row by row; BigTIFF where it may need more than 4 GB.

    It appears under its name when it is complete.

    Args:
        path: Target.
        size: Height and width.
        bands: 1, or 3 for RGB.
        dtype: ``"uint8"`` or ``"uint16"``.
        palette: Colours of the indices of one band of uint8.
        georeference: Of `Raster`.

    Raises:
        InputError: It cannot be written.
    """
    rasterio = _rasterio()
    place = dict(georeference or {})
    points, rpcs = place.pop("gcps", None), place.pop("rpcs", None)
    options = {"driver": "GTiff", "height": size[0], "width": size[1], "count": bands, "dtype": dtype}
    block = BLOCK if bands == 1 else COLOR_BLOCK
    options |= {"tiled": True, "blockxsize": block, "blockysize": block, "compress": "deflate", "zlevel": 6}
    options |= {"bigtiff": "IF_SAFER", "photometric": "RGB" if bands == 3 else "MINISBLACK"}
    options |= {"predictor": 2, "interleave": "pixel"} if bands == 3 else {}
    options |= {"photometric": "PALETTE"} if palette else {}
    with written_whole(path) as part:
        try:
            with _quietly(rasterio), rasterio.open(part, "w", **options, **place) as target:
                if points:
                    target.gcps = points, place.get("crs")
                if rpcs:
                    target.rpcs = rpcs
                if palette:
                    target.write_colormap(1, dict(enumerate(palette)))
                writer = RasterWriter(target, size[1], bands)
                yield writer
                writer.finish()
        except rasterio.errors.RasterioError as error:
            raise InputError(f"cannot write {path}: {_innermost(error)}") from error


@contextlib.contextmanager
def _quietly(rasterio: Any) -> Iterator[None]:
    """Without rasterio's warning that an image has no place on the map."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield


def is_tiff(path: Path) -> bool:
    """Whether a file begins like a TIFF or BigTIFF."""
    return read_tags(path) is not None
