"""Segmenting one image, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import InputError
from zoo.images import class_shares, overlay
from zoo.inference import windows
from zoo.inference.arguments import ImageLike, as_pixels, checked_scales, window_size
from zoo.inference.viewer import index_array
from zoo.inference.viewing import viewer_of
from zoo.labels import LabelSet, index_type

if TYPE_CHECKING:
    import keras

    from zoo.export.core.artifact import Artifact

KEPT_BYTES = 1 << 28  # probabilities up to this size stay in memory; larger ones are computed on demand


@dataclass(eq=False, repr=False)
class Segmentation:
    """What a model sees in one image.

    Attributes:
        image: ``(height, width, 3)`` uint8, RGB: the image that was segmented.
        mask: ``(height, width)`` class indices of the highest probability; uint8, or uint16 where there are
            more than 256 classes.
        labels: Names and colours of the classes.
    """

    image: np.ndarray
    mask: np.ndarray
    labels: LabelSet
    _pieces: Callable[[], Iterator[windows.Piece]]
    _probabilities: np.ndarray | None = field(default=None)

    @property
    def probabilities(self) -> np.ndarray:
        """``(height, width, classes)`` float32 that sum to 1 at every pixel.

        Large ones (above `KEPT_BYTES`), and those of exported files, are not kept while segmenting; the first
        access runs the model again.
        """
        if self._probabilities is None:
            result = np.empty((*self.mask.shape, len(self.labels)), np.float32)
            for top, left, found in self._pieces():
                result[_part(top, left, found)] = found
            self._probabilities = result
        return self._probabilities

    @property
    def confidence(self) -> np.ndarray:
        """``(height, width)`` float32: the probability of the class in the mask, from 1/classes to 1.

        How often a pixel of that confidence is right depends on the model: `zoo evaluate --confidence`
        measures it, and `zoo weights calibrate` mends it.
        """
        return self.probabilities.max(axis=-1)

    def shares(self) -> list[tuple[str, float]]:
        """``(name, share)`` of the classes in the mask, the largest first; see `class_shares`."""
        return class_shares(self.mask, self.labels)

    def overlay(
        self,
        *,
        opacity: float = 0.55,
        legend: bool = True,
        min_share: float = 0.001,
        unsure: float | None = None,
    ) -> np.ndarray:
        """The image under the colours of its classes, ``(…, …, 3)`` uint8; see `zoo.images.overlay`.

        Pixels whose `confidence` is below `unsure` are striped, where that is given.
        """
        given = unsure is None or (isinstance(unsure, int | float) and not isinstance(unsure, bool))
        if not given or (unsure is not None and not 0 <= unsure <= 1):
            raise InputError(f"unsure must be a confidence in 0…1 or None, not {unsure!r}")
        return overlay(
            self.image,
            self.mask,
            self.labels,
            opacity=opacity,
            legend=legend,
            min_share=min_share,
            unsure=None if unsure is None else self.confidence < unsure,
        )

    def __repr__(self) -> str:
        height, width = self.mask.shape
        return f"Segmentation({height}x{width}, {self.labels.key})"


def segment(
    model: keras.Model | Artifact | str,
    image: ImageLike,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    tile: int | tuple[int, int] | None = None,
    max_pixels: int | None = None,
) -> Segmentation:
    """Segment one image.

    Args:
        model: Model of the zoo; the name of one with its default weights, of which the last three stay in
            memory until `zoo.inference.forget_models`; or an exported file that `zoo.export.open_artifact`
            opened, which is run by its own runtime, without TensorFlow.
        image: Path; Pillow image (taken as it is, without its EXIF orientation); or array
            ``(height, width, 3)`` RGB or ``(height, width)`` grey, with integers or floats in 0…255.
        scales: The image is seen at each of these sizes, relative to its own; the probabilities are resized
            back and averaged (the usual multi-scale evaluation, such as 0.75, 1, 1.25).
        flip: Also average with the result of the mirrored image, at every scale.
        tile: Size of a window in pixels, an integer or (height, width): the image is seen through windows
            that overlap by a quarter or more, whose borders do not count and whose probabilities pass into
            each other, so that there are no seams. Where twice the model's receptive field fits into the
            window, its probabilities are those of one pass, except for pooling of the whole map, which then
            is that of the window. `None` sees the whole image at once, but a model that was built for one
            size always sees windows of that size, and a smaller image is reflected at its borders.
        max_pixels: Of a file: the most that are decoded, as for `zoo.images.read_image`.

    Returns:
        The mask, the probabilities and the labels, at the size of the image.

    Raises:
        InputError: An image, scale or window that cannot be used, or too little memory for the whole image.
        FormatError: A damaged image file.
    """
    viewer = viewer_of(model)
    labels = viewer.labels
    pixels = as_pixels(image, max_pixels=max_pixels)
    scales = checked_scales(scales)
    window = window_size(viewer, pixels.shape[:2], tile=tile, scales=scales)

    def rows_of(start: int, stop: int) -> np.ndarray:
        return pixels[start:stop]

    def pieces() -> Iterator[windows.Piece]:
        how = {"window": window, "scales": scales, "flip": bool(flip)}
        return windows.pieces(viewer, rows_of, pixels.shape[:2], **how)

    whole = window == pixels.shape[:2] and scales == (1.0,) and not flip
    mask, probabilities = viewer.winners(pixels) if whole else None, None
    if mask is None:
        mask, probabilities = _found(pieces(), pixels.shape[:2], len(labels))
    shown = pixels if pixels.dtype == np.uint8 else np.rint(pixels).astype(np.uint8)
    return Segmentation(shown, index_array(mask, len(labels)), labels, pieces, probabilities)


def _found(
    pieces: Iterator[windows.Piece], size: tuple[int, int], classes: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The mask, and the probabilities where they are small enough to be kept."""
    mask = np.empty(size, index_type(classes))
    keep = mask.size * classes * 4 <= KEPT_BYTES
    probabilities = np.empty((*size, classes), np.float32) if keep else None
    for top, left, found in pieces:
        part = _part(top, left, found)
        mask[part] = found.argmax(axis=-1)
        if probabilities is not None:
            probabilities[part] = found
    return mask, probabilities


def _part(top: int, left: int, found: np.ndarray) -> tuple[slice, slice]:
    return slice(top, top + found.shape[0]), slice(left, left + found.shape[1])
