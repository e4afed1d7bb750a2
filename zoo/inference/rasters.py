"""Segmenting a TIFF of any size from file to file, in memory that its height does not change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import InputError
from zoo.images import rasters
from zoo.images.classes import class_counts, ranked
from zoo.images.rendering import blended_rows, border_thickness
from zoo.inference import windows
from zoo.inference.arguments import checked_scales, window_size
from zoo.inference.viewing import viewer_of
from zoo.labels import LabelSet, index_type

if TYPE_CHECKING:
    import keras

    from zoo.export.core.artifact import Artifact

# Of an overlay that are blended at once, which takes ten times their memory.
_OVERLAY_ROWS, _OVERLAY_COLUMNS = 64, 2048


@dataclass(frozen=True, eq=False)
class RasterSegmentation:
    """What was written of a TIFF.

    Attributes:
        mask: File of class indices.
        overlay: File of the image under the colours of its classes; `None` where none was asked for.
        size: Height and width.
        counts: ``(classes,)`` pixels of each class.
        labels: Names and colours of the classes.
        georeferenced: Whether the files have a place on the map.
    """

    mask: Path
    overlay: Path | None
    size: tuple[int, int]
    counts: np.ndarray
    labels: LabelSet
    georeferenced: bool

    def shares(self) -> list[tuple[str, float]]:
        """``(name, share)`` of the classes that occur, the largest first."""
        return [(self.labels.names[index], share) for index, share in ranked(self.counts)]


def segment_raster(
    model: keras.Model | Artifact | str,
    path: str | os.PathLike,
    mask: str | os.PathLike,
    *,
    tile: int | tuple[int, int],
    overlay: str | os.PathLike | None = None,
    opacity: float = 0.55,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    exif: str = "apply",
    alpha: str | None = None,
    bits: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RasterSegmentation:
    """Segment a TIFF through windows, reading and writing as it goes.

    The mask, and the overlay, are tiled and deflated TIFFs (BigTIFF where they may need it) at the image's
    place on the map. The overlay has no legend, which has no place on it. Needs the extra ``geo``.

    Args:
        model: As for `zoo.segment`.
        path: The TIFF; which ones are read is said at `zoo.images.rasters.opened`.
        mask: File to write.
        tile: As for `zoo.segment`.
        overlay: Another file to write.
        opacity: Of the colours in the overlay, 0…1.
        scales: As for `zoo.segment`.
        flip: As for `zoo.segment`.
        exif: As for `zoo.images.rasters.opened`.
        alpha: As for `zoo.images.rasters.opened`.
        bits: As for `zoo.images.rasters.opened`.
        progress: Called as ``progress(done, total)`` with rows, after every row of windows.

    Raises:
        InputError: A file or argument that cannot be used, or rasterio is not installed.
        FormatError: Not such a TIFF, or a damaged one.
    """
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity must be in 0…1, not {opacity!r}")
    viewer = viewer_of(model)
    labels, scales = viewer.labels, checked_scales(scales)
    targets = [Path(target) for target in (mask, overlay) if target is not None]
    if len({target.resolve() for target in (*targets, Path(path))}) <= len(targets):
        raise InputError(f"{path}: the image, the mask and the overlay must be different files")
    dtype = index_type(len(labels)).__name__
    with rasters.opened(path, exif=exif, alpha=alpha, bits=bits) as source, contextlib.ExitStack() as stack:
        palette = [*labels.palette] if dtype == "uint8" else None
        place, size = source.georeference, source.size
        masks = rasters.written(mask, size, dtype=dtype, palette=palette, georeference=place)
        outputs = [stack.enter_context(masks)]
        if overlay is not None:
            outputs.append(stack.enter_context(rasters.written(overlay, size, bands=3, georeference=place)))
        writing = _Writing(outputs, source, labels, opacity)
        window = window_size(viewer, source.size, tile=tile, scales=scales)
        how = {"window": window, "scales": scales, "flip": bool(flip)}
        found = windows.pieces(viewer, source.rows, source.size, **how)
        counts = writing.run(found, dtype, progress)
        georeferenced = bool(source.georeference)
    shown = None if overlay is None else Path(overlay)
    return RasterSegmentation(Path(mask), shown, source.size, counts, labels, georeferenced)


class _Writing:
    """Pieces become rows of the mask, and rows of the overlay as soon as those below are known."""

    def __init__(self, outputs: list, source: rasters.Raster, labels: LabelSet, opacity: float):
        self._outputs, self._source, self._labels, self._opacity = outputs, source, labels, opacity
        self._thickness = border_thickness(source.size)
        # Rows that wait for the overlay; those of the mask begin up to a thickness above.
        self._image = np.empty((0, source.size[1], 3), np.uint8)
        self._mask: np.ndarray | None = None
        self._above = 0

    def run(
        self,
        pieces: Iterable[windows.Piece],
        dtype: str,
        progress: Callable[[int, int], None] | None,
    ) -> np.ndarray:
        """Write everything; ``(classes,)`` pixels of each class."""
        height, width = self._source.size
        counts = np.zeros(len(self._labels), np.int64)
        rows = np.empty((0, width), dtype)
        for top, left, found in pieces:
            if left == 0:
                rows = np.empty((len(found), width), dtype)
            rows[:, left : left + found.shape[1]] = found.argmax(axis=-1)
            if left + found.shape[1] == width:
                counts += class_counts(rows, self._labels)
                self._outputs[0].add(rows)
                if len(self._outputs) > 1:
                    self._show_all(top, rows)
                if progress is not None:
                    progress(top + len(rows), height)
        return counts

    def _show_all(self, top: int, mask: np.ndarray) -> None:
        """Hand on finished rows of the mask with their image, a few at once."""
        height, _ = self._source.size
        for first in range(0, len(mask), _OVERLAY_ROWS):
            rows = mask[first : first + _OVERLAY_ROWS]
            image = self._source.held(top + first, top + first + len(rows))
            self._show(image, rows, last=top + first + len(rows) == height)

    def _show(self, image: np.ndarray, mask: np.ndarray, *, last: bool) -> None:
        """Write those rows of the overlay whose borders are known."""
        self._image = np.concatenate([self._image, image])
        self._mask = mask if self._mask is None else np.concatenate([self._mask, mask])
        ready = len(self._image) if last else max(0, len(self._image) - self._thickness)
        for top in range(0, ready, _OVERLAY_ROWS):
            stop = min(ready, top + _OVERLAY_ROWS)
            first = max(0, self._above + top - self._thickness)
            known = self._mask[first : self._above + stop + self._thickness]
            inner = slice(self._above + top - first, self._above + stop - first)
            self._outputs[1].add(self._blended(self._image[top:stop], known, inner))
        kept = max(0, self._above + ready - self._thickness)
        self._mask, self._image = self._mask[kept:].copy(), self._image[ready:].copy()
        self._above += ready - kept

    def _blended(self, image: np.ndarray, mask: np.ndarray, rows: slice) -> np.ndarray:
        """The overlay of an image, which is those rows of the mask."""
        found = np.empty_like(image)
        for left in range(0, image.shape[1], _OVERLAY_COLUMNS):
            part = image[:, left : left + _OVERLAY_COLUMNS]
            right, first = left + part.shape[1], max(0, left - self._thickness)
            inner = rows, slice(left - first, right - first)
            how = {"opacity": self._opacity, "inner": inner, "thickness": self._thickness}
            known = mask[:, first : right + self._thickness]
            found[:, left:right] = blended_rows(part, known, self._labels, **how)
        return found
