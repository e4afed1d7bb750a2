"""From an image to a segmentation: several scales, mirrored images, and windows over large images."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from zoo.errors import InputError
from zoo.images import read_image, rendering, to_rgb
from zoo.labels import LabelSet
from zoo.layers.resize import label_set_of

ImageLike = str | os.PathLike | Image.Image | np.ndarray

OVERLAP = 4  # neighbouring windows share at least a quarter of their side
KEPT_BYTES = 1 << 28  # probabilities up to this size stay in memory; larger ones are computed on demand

_CACHE = "_zoo_probabilities"

# A part of an image and its probabilities: the first row, then (rows, width, classes) float32.
_Band = tuple[int, np.ndarray]


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
    _bands: Callable[[], Iterator[_Band]]
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

    def shares(self) -> list[tuple[str, float]]:
        """``(name, share)`` of the classes in the mask, the largest first; see `class_shares`."""
        return rendering.class_shares(self.mask, self.labels)

    def overlay(self, *, opacity: float = 0.55, legend: bool = True, min_share: float = 0.001) -> np.ndarray:
        """The image under the colours of its classes, ``(…, …, 3)`` uint8; see `zoo.images.overlay`."""
        return rendering.overlay(
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
    model: keras.Model | str,
    image: ImageLike,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    tile: int | tuple[int, int] | None = None,
) -> Segmentation:
    """Segment one image.

    Args:
        model: Model of the zoo, or the name of one, which is loaded with its default weights.
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
        from zoo.models.loading import load

        model = load(model)
    labels = label_set_of(model)
    pixels = _as_pixels(image)
    scales = _checked_scales(scales)
    window = _window_size(model, pixels.shape[:2], tile=tile, scales=scales)

    def bands() -> Iterator[_Band]:
        return _bands(model, pixels, window=window, scales=scales, flip=bool(flip))

    mask = np.empty(pixels.shape[:2], np.uint8 if len(labels) <= 256 else np.uint16)
    keep = mask.size * len(labels) * 4 <= KEPT_BYTES
    probabilities = np.empty((*mask.shape, len(labels)), np.float32) if keep else None
    for top, band in bands():
        rows = slice(top, top + len(band))
        mask[rows] = band.argmax(axis=-1)
        if keep:
            probabilities[rows] = band
    shown = np.rint(pixels).astype(np.uint8)
    return Segmentation(shown, mask, labels, bands, probabilities)


# --- arguments ----------------------------------------------------------------------------------


def _as_pixels(image: ImageLike) -> np.ndarray:
    """``(height, width, 3)`` in 0…255: uint8, or float32 where the caller's array has floats."""
    if isinstance(image, str | Path | os.PathLike):
        return read_image(image)
    if isinstance(image, Image.Image):
        return np.asarray(to_rgb(image))
    array = np.asarray(image)
    described = f"{array.shape} {array.dtype}"
    if array.ndim == 2:
        array = np.repeat(array[..., np.newaxis], 3, axis=-1)
    if array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        raise InputError(f"an image is (height, width, 3) or (height, width), not {described}")
    if array.dtype.kind not in "uif":
        raise InputError(f"an image holds integers or floats in 0…255, not {array.dtype}")
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("the image has values that are not finite (NaN or infinity)")
    if low < 0 or high > 255:
        raise InputError(f"an image's values are in 0…255, not {low:g}…{high:g}")
    if array.dtype.kind != "f":
        return array.astype(np.uint8)
    if 0 < high <= 1:
        raise InputError(f"the image's values are in 0…{high:g}; multiply it by 255")
    return array.astype(np.float32)


def _checked_scales(scales: Sequence[float]) -> tuple[float, ...]:
    try:
        checked = tuple(float(scale) for scale in scales)
    except (TypeError, ValueError):
        checked = ()
    if not checked or not all(math.isfinite(scale) and scale > 0 for scale in checked):
        raise InputError(f"scales must be a sequence of positive numbers, not {scales!r}")
    return checked


def _checked_tile(tile: int | tuple[int, int] | None) -> tuple[int | None, int | None]:
    if tile is None:
        return None, None
    try:
        given = tuple(tile) if np.iterable(tile) else (tile, tile)
        pair = tuple(operator.index(n) for n in given)
    except TypeError:
        pair = given = ()
    if len(pair) != 2 or min(pair) < 1 or any(isinstance(n, bool) for n in given):
        raise InputError(f"tile must be a positive integer or (height, width), not {tile!r}")
    return pair


def _window_size(
    model: keras.Model,
    size: tuple[int, int],
    *,
    tile: int | tuple[int, int] | None,
    scales: tuple[float, ...],
) -> tuple[int, int]:
    """Height and width of what the model sees at once."""
    pair, fixed = _checked_tile(tile), model.input_shape[1:3]
    if any(fixed) and set(scales) != {1.0}:
        raise InputError(f"model {model.name!r} takes images of {fixed} only: it has no scales")
    if any(f and n and f != n for f, n in zip(fixed, pair, strict=True)):
        raise InputError(f"tile must be {fixed}, for which {model.name!r} was built, not {tile!r}")
    return tuple(f or min(n or length, length) for f, n, length in zip(fixed, pair, size, strict=True))


# --- windows ------------------------------------------------------------------------------------


def _bands(
    model: keras.Model,
    pixels: np.ndarray,
    *,
    window: tuple[int, int],
    scales: tuple[float, ...],
    flip: bool,
) -> Iterator[_Band]:
    """Probabilities of the whole width, from top to bottom, as soon as no further window changes them."""
    size = pixels.shape[:2]
    rows, columns = (_positions(n, w) for n, w in zip(size, window, strict=True))
    if len(rows) == len(columns) == 1:
        yield 0, _window_probabilities(model, pixels, window=window, scales=scales, flip=flip)
        return
    classes = len(label_set_of(model))
    pending = np.zeros((min(window[0], size[0]), size[1], classes), np.float32)
    ends = [top for top, _ in rows[1:]] + [size[0]]
    for (top, row_weights), end in zip(rows, ends, strict=True):
        for left, column_weights in columns:
            part = slice(left, left + len(column_weights))
            seen = pixels[top : top + len(row_weights), part]
            found = _window_probabilities(model, seen, window=window, scales=scales, flip=flip)
            pending[:, part] += found * (row_weights[:, None] * column_weights)[..., None]
        done = end - top
        yield top, pending[:done].copy()
        pending[: -done or None] = pending[done:]
        pending[len(pending) - done :] = 0


def _positions(length: int, window: int) -> list[tuple[int, np.ndarray]]:
    """Starts of evenly spaced windows along one axis, and the weight of every pixel of each.

    The weights rise linearly from a window's ends over the overlap and sum to 1 over the windows at every
    pixel. Those of a grid of windows are the products of both axes' weights.
    """
    window = min(window, length)
    overlap = window // OVERLAP
    count = math.ceil((length - window) / (window - overlap)) + 1
    starts = [round(start) for start in np.linspace(0, length - window, count)]
    distance = np.arange(window) + 1
    ramp = np.minimum(np.minimum(distance, distance[::-1]), overlap + 1).astype(np.float32)
    total = np.zeros(length, np.float32)
    for start in starts:
        total[start : start + window] += ramp
    return [(start, ramp / total[start : start + window]) for start in starts]


def _window_probabilities(
    model: keras.Model,
    pixels: np.ndarray,
    *,
    window: tuple[int, int],
    scales: tuple[float, ...],
    flip: bool,
) -> np.ndarray:
    """Probabilities ``(height, width, classes)`` of an image that the model sees at once."""
    height, width = pixels.shape[:2]
    missing = [max(0, w - n) for w, n in zip(window, (height, width), strict=True)]
    if any(missing):
        pixels = np.pad(pixels, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    try:
        total = _averaged(model, pixels, scales=scales, flip=flip)
    except tf.errors.ResourceExhaustedError:
        raise InputError(
            f"not enough memory to see {window[0]}x{window[1]} pixels at once; use a smaller tile"
        ) from None
    return total[:height, :width]


# --- the model ----------------------------------------------------------------------------------


def _averaged(model: keras.Model, pixels: np.ndarray, *, scales: tuple[float, ...], flip: bool) -> np.ndarray:
    run, size = _probabilities_of(model), pixels.shape[:2]
    image = tf.convert_to_tensor(pixels[np.newaxis], tf.float32)
    total = None
    for scale in scales:
        scaled = _resized(image, [max(1, round(n * scale)) for n in size])
        found = run(scaled)
        if flip:
            found = (found + tf.reverse(run(tf.reverse(scaled, [2])), [2])) / 2
        found = _resized(found, size)
        total = found if total is None else total + found
    return (total / len(scales))[0].numpy() if len(scales) > 1 else total[0].numpy()


def _resized(x: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    if tuple(x.shape[1:3]) == tuple(size):
        return x
    # Antialiasing has an effect only where this shrinks.
    return tf.image.resize(x, size, method="bilinear", antialias=True)


class _Compiled:
    """The traced function of a model.

    A plain object: assigned to the model as it is, Keras and TensorFlow would track the function and write
    it into a SavedModel of the model.
    """

    def __init__(self, function: Callable[[tf.Tensor], tf.Tensor]):
        self.function = function


def _probabilities_of(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """``(batch, height, width, 3)`` → softmax ``(batch, height, width, classes)``, traced once a model.

    `Model.predict` would trace, and on some machines compile by XLA, for every new image size.
    """
    compiled = getattr(model, _CACHE, None)
    if compiled is None:
        spec = tf.TensorSpec((None, *model.input_shape[1:3], 3), tf.float32)

        @tf.function(input_signature=[spec])
        def probabilities(images):
            logits = model(images, training=False)
            # A model for training may have an auxiliary output beside the logits.
            logits = logits["logits"] if isinstance(logits, dict) else logits
            return tf.nn.softmax(tf.cast(logits, tf.float32))

        compiled = _Compiled(probabilities)
        setattr(model, _CACHE, compiled)
    return compiled.function
