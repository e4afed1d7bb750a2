"""One image of a job: read, segmented, and its files written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError
from zoo.inference.jobs.items import Item
from zoo.inference.jobs.sources import Reader
from zoo.inference.rasters import segment_raster
from zoo.inference.segmentation import Segmentation, segment

if TYPE_CHECKING:
    import keras

    from zoo.export.core.artifact import Artifact

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """How the images of a job are read, segmented and drawn; see `zoo.segment` and `zoo.images.read_image`.

    Attributes:
        scales: Sizes to average over.
        flip: Average with the mirrored image.
        tile: Window through which an image is seen.
        opacity: Of the colours.
        legend: Whether the overlay has one.
        unsure: Stripes where the confidence is less.
        exif: ``"apply"`` or ``"raw"``.
        alpha: What a fourth band is.
        bits: Depth of grey images of 16 bits.
        max_pixels: The most that are decoded.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    tile: tuple[int, int] | None = None
    opacity: float = 0.55
    legend: bool = True
    unsure: float | None = None
    exif: str = "apply"
    alpha: str | None = None
    bits: int | None = None
    max_pixels: int | None = None

    def identity(self) -> dict[str, Any]:
        """What the results depend on; how large an image may be changes none of them."""
        return {name: value for name, value in asdict(self).items() if name != "max_pixels"}

    def reading(self) -> dict[str, Any]:
        """Options of `zoo.images.read_image`."""
        return {name: getattr(self, name) for name in ("exif", "alpha", "bits", "max_pixels")}

    def seeing(self) -> dict[str, Any]:
        """Options of `zoo.segment`."""
        return {name: getattr(self, name) for name in ("scales", "flip", "tile")}


def failure(item: Item, name: str, error: ZooError) -> Row:
    """The row of an image of which there is no result."""
    return {**head(item, name), "error": " ".join(str(error).split())}


def done(
    model: keras.Model | Artifact,
    item: Item,
    name: str,
    *,
    folder: Path,
    settings: JobSettings,
    reader: Reader,
    by_windows: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Row:
    """Segment an image and write its files; the row that tells of them, or why it could not be read.

    Raises:
        InputError: Files that cannot be written, as then the others cannot either.
    """
    try:
        if by_windows:
            return {**head(item, name), **_raster(model, item, name, folder, settings, progress)}
        found = segment(model, reader.pixels(item), **settings.seeing())
    except ZooError as error:
        return failure(item, name, error)
    return {**head(item, name), **written(found, name, folder=folder, settings=settings)}


def written(found: Segmentation, name: str, *, folder: Path, settings: JobSettings) -> Row:
    """Write overlay and mask: their names in the folder, the size and the shares."""
    from zoo.images import write_png

    overlay = found.overlay(opacity=settings.opacity, legend=settings.legend, unsure=settings.unsure)
    height, width = found.mask.shape
    return {
        "overlay": write_png(folder / f"{name}_overlay.png", overlay).name,
        "mask": write_png(folder / f"{name}_mask.png", mask_image(found)).name,
        "height": height,
        "width": width,
        "shares": dict(found.shares()),
    }


def mask_image(found: Segmentation):
    """The mask as it is written: with a palette, or beyond 256 classes the indices themselves in 16 bits."""
    from zoo.images.rendering import palette_image

    colored = len(found.labels) <= 256
    return palette_image(found.mask, found.labels) if colored else np.asarray(found.mask)


def _raster(
    model, item: Item, name: str, folder: Path, settings: JobSettings, progress: Callable | None
) -> Row:
    """Segment a TIFF by windows, which writes its files."""
    reading = settings.reading()
    del reading["max_pixels"]  # by windows there is no need of a limit
    result = segment_raster(
        model,
        item.path,
        folder / f"{name}_mask.tif",
        overlay=folder / f"{name}_overlay.tif",
        opacity=settings.opacity,
        progress=progress,
        **settings.seeing(),
        **reading,
    )
    height, width = result.size
    return {
        "overlay": f"{name}_overlay.tif",
        "mask": f"{name}_mask.tif",
        "height": height,
        "width": width,
        "shares": dict(result.shares()),
    }


def head(item: Item, name: str) -> Row:
    """What every row begins with."""
    return {"key": item.key, "stamp": list(item.stamp), "name": name, "path": item.path}
