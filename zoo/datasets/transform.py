"""Random scale, crop, flip and colour of one image and its mask, as TensorFlow operations.

Scale and crop are one resampling of the crop's pixels only: a large image at a large scale is never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from zoo.datasets.augmentation import Augmentation
from zoo.datasets.photometric import photometric

# ITU-R BT.601, the grey of `tf.image.rgb_to_grayscale`.
_GREY = (0.2989, 0.587, 0.114)
_DRAWS = 8


class Window(NamedTuple):
    """The part of an image that is at hand: height and width of the whole; row and column where it begins."""

    size: tf.Tensor
    origin: tf.Tensor


def drawn(key: tf.Tensor) -> tf.Tensor:
    """The random numbers of a sample, uniform in 0…1: mirroring, scale, two of the place, four of colours."""
    return tf.random.stateless_uniform([_DRAWS], key, alg="philox")


def transform(
    image: tf.Tensor,
    mask: tf.Tensor,
    *,
    crop: tuple[int, int] | None,
    augment: Augmentation | None,
    key: tf.Tensor,
    fill: Sequence[float],
    ignore_label: int | None,
    window: Window | None = None,
    draws: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crop and change one sample.

    Args:
        image: ``(height, width, 3)`` uint8, RGB.
        mask: ``(height, width)`` int32 labels.
        crop: Height and width of the result, at a random place with `augment` and in the middle without;
            what lies outside of the image is padded. `None` keeps the size.
        augment: What to change; `None` changes nothing.
        key: Shape (2,) integers; the same key makes the same changes on every machine and in every order.
        fill: Colour of padded pixels, RGB in 0…255.
        ignore_label: Label of padded pixels.
        window: Where image and mask are mirrored already and only a part, see `zoo.datasets.window.cut`.
        draws: In place of the numbers that `drawn` makes of the key.

    Returns:
        Image, float32 in 0…255, and mask, int32, of the size of the crop.
    """
    draws = drawn(key) if draws is None else draws
    if window is None:
        window = Window(tf.shape(mask), tf.constant([0, 0]))
        if augment is not None and augment.flip:
            mirrored = draws[0] < 0.5
            image = tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)
            mask = tf.cond(mirrored, lambda: tf.reverse(mask, [1]), lambda: mask)
    inside = tf.ones_like(mask, tf.bool)
    if crop is None:
        image = tf.cast(image, tf.float32)
    else:
        scaled, offset = _placement(window.size, crop, augment=augment, draws=draws)
        where = {"window": window, "scaled": scaled, "offset": offset}
        image = _resampled(image, crop, **where)
        mask, inside = _nearest(mask, crop, ignore_label=ignore_label, **where)
    if augment is not None and augment.color:
        image = _recolored(image, inside, augment, draws)
    if augment is not None and augment.photometric:
        image = photometric(image, augment, tf.random.experimental.stateless_fold_in(key, 1, alg="philox"))
    if crop is not None:
        image = tf.where(inside[..., tf.newaxis], image, tf.constant(fill, tf.float32))
    return image, mask


def _placement(
    size: tf.Tensor, crop: tuple[int, int], *, augment: Augmentation | None, draws: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of the scaled image, and where its upper left corner lies in the crop; integers."""
    scaled, places = size, tf.constant([0.5, 0.5])
    if augment is not None:
        low, high = augment.scale
        scaled = tf.cast(tf.round(tf.cast(size, tf.float32) * (low + (high - low) * draws[1])), tf.int32)
        scaled, places = tf.maximum(scaled, 1), draws[2:4]
    room = tf.constant(crop, tf.int32) - scaled
    # Whole pixels from 0 to `room`, which is negative where the image is larger than the crop.
    steps = tf.cast(tf.floor(tf.cast(tf.abs(room) + 1, tf.float32) * places), tf.int32)
    return scaled, tf.sign(room) * tf.minimum(steps, tf.abs(room))


def _resampled(
    image: tf.Tensor, crop: tuple[int, int], *, window: Window, scaled: tf.Tensor, offset: tf.Tensor
) -> tf.Tensor:
    """Bilinear, antialiased where it shrinks; pixel centres at i + ½."""
    # Of 64 bits, since two large numbers nearly cancel far from the image's corner.
    factor = tf.cast(scaled, tf.float64) / tf.cast(window.size, tf.float64)
    begins = tf.cast(offset, tf.float64) + tf.cast(window.origin, tf.float64) * factor
    image = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=crop,
        scale=tf.cast(scaled, tf.float32) / tf.cast(window.size, tf.float32),
        translation=tf.cast(begins, tf.float32),
        kernel_type="triangle",
        antialias=True,
    )[0]
    return tf.clip_by_value(image, 0.0, 255.0)


def _nearest(
    mask: tf.Tensor,
    crop: tuple[int, int],
    *,
    window: Window,
    scaled: tf.Tensor,
    offset: tf.Tensor,
    ignore_label: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The label under each pixel's centre, and where there is one."""
    numbers = (window.size, window.origin, scaled, offset)
    size, origin, scaled, offset = (tf.cast(x, tf.int64) for x in numbers)
    present = tf.shape(mask, tf.int64)
    indices, valid = [], []
    for axis in range(2):
        # (i + ½) · size / scaled in whole numbers: exact where a centre lies between two labels.
        places = tf.range(crop[axis], dtype=tf.int64) - offset[axis]
        index = (2 * places + 1) * size[axis] // (2 * scaled[axis])
        valid.append((index >= 0) & (index < size[axis]))
        indices.append(tf.clip_by_value(index - origin[axis], 0, present[axis] - 1))
    inside = valid[0][:, tf.newaxis] & valid[1]
    mask = tf.gather(tf.gather(mask, indices[0]), indices[1], axis=1)
    return tf.where(inside, mask, ignore_label), inside


def _recolored(image: tf.Tensor, inside: tf.Tensor, augment: Augmentation, draws: tf.Tensor) -> tf.Tensor:
    """Brightness, contrast, saturation and hue; padded pixels do not count for the mean."""
    brightness, contrast, saturation, hue = tf.unstack(2.0 * draws[4:8] - 1.0)
    if augment.contrast:
        weights = tf.cast(inside, tf.float32)
        mean = tf.reduce_sum(_grey(image) * weights[..., tf.newaxis]) / tf.reduce_sum(weights)
        image = mean + (1.0 + augment.contrast * contrast) * (image - mean)
    if augment.saturation:
        grey = _grey(image)
        image = grey + (1.0 + augment.saturation * saturation) * (image - grey)
    if augment.brightness:
        image = image + 255.0 * augment.brightness * brightness
    image = tf.clip_by_value(image, 0.0, 255.0)
    if augment.hue:
        # The operation takes values in 0…1.
        image = tf.clip_by_value(255.0 * tf.image.adjust_hue(image / 255.0, augment.hue * hue), 0.0, 255.0)
    return image


def _grey(image: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(image * tf.constant(_GREY), axis=-1, keepdims=True)
