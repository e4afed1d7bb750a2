"""Segmenting one image, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np

from zoo.errors import InputError
from zoo.images import class_shares, overlay
from zoo.inference import windows
from zoo.inference.arguments import ImageLike, as_pixels, checked_scales, window_size
from zoo.labels import LabelSet
from zoo.layers.resize import label_set_of

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

        Large ones (above `KEPT_BYTES`) are not kept while segmenting; the first access runs the model again.
        """
        if self._probabilities is None:
            result = np.empty((*self.mask.shape, len(self.labels)), np.float32)
            for top, band in self._bands():
                result[top : top + len(band)] = band
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
    model: keras.Model | str,
    image: ImageLike,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    tile: int | tuple[int, int] | None = None,
) -> Segmentation:
    """Segment one image.

    Args:
        model: Model of the zoo, or the name of one with its default weights. The last three named ones stay
            in memory until `zoo.inference.forget_models`.
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
    if isinstance(model, str):
        from zoo.inference.kept import model_of

        model = model_of(model)
    labels = label_set_of(model)
    pixels = as_pixels(image)
    scales = checked_scales(scales)
    window = window_size(model, pixels.shape[:2], tile=tile, scales=scales)

    def bands() -> Iterator[windows.Band]:
        return windows.bands(model, pixels, window=window, scales=scales, flip=bool(flip))

    mask = np.empty(pixels.shape[:2], np.uint8 if len(labels) <= 256 else np.uint16)
    keep = mask.size * len(labels) * 4 <= KEPT_BYTES
    probabilities = np.empty((*mask.shape, len(labels)), np.float32) if keep else None
    for top, band in bands():
        rows = slice(top, top + len(band))
        mask[rows] = band.argmax(axis=-1)
        if probabilities is not None:
            probabilities[rows] = band
    shown = np.rint(pixels).astype(np.uint8)
    return Segmentation(shown, mask, labels, bands, probabilities)
