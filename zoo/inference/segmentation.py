"""Segmenting one image, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from zoo._backend import check_backend
from zoo.export.core.artifact import Artifact
from zoo.images import class_shares, overlay
from zoo.inference import windows
from zoo.inference.arguments import ImageLike, as_pixels, checked_scales, window_size
from zoo.inference.viewer import Viewer
from zoo.labels import LabelSet

if TYPE_CHECKING:
    import keras

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
    _bands: Callable[[], Iterator[windows.Band]]
    _probabilities: np.ndarray | None = field(default=None)

    @property
    def probabilities(self) -> np.ndarray:
        """``(height, width, classes)`` float32 that sum to 1 at every pixel.

        Large ones (above `KEPT_BYTES`), and those of exported files, are not kept while segmenting; the first
        access runs the model again.
        """
        if self._probabilities is None:
            result = np.empty((*self.mask.shape, len(self.labels)), np.float32)
            for top, band in self._bands():
                result[top : top + len(band)] = band
            self._probabilities = result
        return self._probabilities

    def shares(self) -> list[tuple[str, float]]:
        """``(name, share)`` of the classes in the mask, the largest first; see `class_shares`."""
        return class_shares(self.mask, self.labels)

    def overlay(self, *, opacity: float = 0.55, legend: bool = True, min_share: float = 0.001) -> np.ndarray:
        """The image under the colours of its classes, ``(…, …, 3)`` uint8; see `zoo.images.overlay`."""
        return overlay(
            self.image,
            self.mask,
            self.labels,
            opacity=opacity,
            legend=legend,
            min_share=min_share,
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
            that overlap by a quarter or more, and their probabilities are blended by weights that fall off
            towards the borders, so that there are no seams. The memory then depends on the window and the
            width of the image. `None` sees the whole image at once, but a model that was built for one
            size always sees windows of that size, and a smaller image is reflected at its borders.

    Returns:
        The mask, the probabilities and the labels, at the size of the image.

    Raises:
        InputError: An image, scale or window that cannot be used, or too little memory for the whole image.
        FormatError: A damaged image file.
    """
    viewer = _viewer_of(model)
    labels = viewer.labels
    pixels = as_pixels(image)
    scales = checked_scales(scales)
    window = window_size(viewer, pixels.shape[:2], tile=tile, scales=scales)

    def bands() -> Iterator[windows.Band]:
        return windows.bands(viewer, pixels, window=window, scales=scales, flip=bool(flip))

    whole = window == pixels.shape[:2] and scales == (1.0,) and not flip
    mask, probabilities = viewer.winners(pixels) if whole else None, None
    if mask is None:
        mask, probabilities = _found(bands(), pixels.shape[:2], len(labels))
    shown = np.rint(pixels).astype(np.uint8)
    return Segmentation(
        shown, mask.astype(_index_type(len(labels)), copy=False), labels, bands, probabilities
    )


def _viewer_of(model: keras.Model | Artifact | str) -> Viewer:
    if isinstance(model, Artifact):
        from zoo.inference.files import FileViewer

        return FileViewer(model)
    check_backend()
    from zoo.inference.network import KerasViewer

    if isinstance(model, str):
        from zoo.inference.kept import model_of

        model = model_of(model)
    return KerasViewer(model)


def _index_type(classes: int) -> type[np.unsignedinteger]:
    return np.uint8 if classes <= 256 else np.uint16


def _found(
    bands: Iterator[windows.Band], size: tuple[int, int], classes: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The mask, and the probabilities where they are small enough to be kept."""
    mask = np.empty(size, _index_type(classes))
    keep = mask.size * classes * 4 <= KEPT_BYTES
    probabilities = np.empty((*size, classes), np.float32) if keep else None
    for top, band in bands:
        rows = slice(top, top + len(band))
        mask[rows] = band.argmax(axis=-1)
        if probabilities is not None:
            probabilities[rows] = band
    return mask, probabilities
