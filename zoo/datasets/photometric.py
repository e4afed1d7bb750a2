"""Changes of light and camera: what turns one drive's images into those of another.

Gamma, a gain for each channel, a shadow, blur and noise, as TensorFlow operations on one image. Brightness,
contrast, saturation and hue are in `zoo.datasets.transform`.
"""

from __future__ import annotations

import math

import tensorflow as tf

from zoo.datasets.augmentation import Augmentation

DRAWS = 11
_SMALLEST_BLUR = 0.3  # below this a Gaussian changes nothing that 8 bits show


def photometric(image: tf.Tensor, augment: Augmentation, key: tf.Tensor) -> tf.Tensor:
    """The image under another light and through another camera.

    Args:
        image: ``(height, width, 3)`` float32 in 0…255.
        augment: Ranges; a change whose range is 0 is left out.
        key: Shape (2,) integers; the same key makes the same changes.

    Returns:
        An image of the same shape and range.
    """
    draws = tf.random.stateless_uniform([DRAWS], key, alg="philox")
    both = 2.0 * draws - 1.0  # from -1 to 1
    if augment.shadow:
        image = image * _shadow(tf.shape(image), augment.shadow, draws[:5])
    if augment.gain:
        image = image * (1.0 + augment.gain * both[5:8])
    if augment.gamma:
        power = tf.exp(math.log(2.0) * augment.gamma * both[8])
        image = 255.0 * (tf.clip_by_value(image, 0.0, 255.0) / 255.0) ** power
    if augment.blur:
        image = _blurred(image, augment.blur, draws[9], radius=math.ceil(2.5 * augment.blur))
    if augment.noise:
        deviation = 255.0 * augment.noise * both[10]
        image = tf.cond(deviation > 0, lambda: image + deviation * _grain(image, key), lambda: image)
    return tf.clip_by_value(image, 0.0, 255.0)


def _shadow(shape: tf.Tensor, strength: float, draws: tf.Tensor) -> tf.Tensor:
    """``(height, width, 1)`` factors: in every second image, one side of a soft line is darker."""
    rows = tf.range(shape[0], dtype=tf.float32)[:, tf.newaxis] / tf.cast(shape[0], tf.float32)
    columns = tf.range(shape[1], dtype=tf.float32) / tf.cast(shape[1], tf.float32)
    angle = 2.0 * math.pi * draws[0]
    distance = tf.cos(angle) * (rows - draws[1]) + tf.sin(angle) * (columns - draws[2])
    edge = 0.01 + 0.1 * draws[3]  # its half width, as a share of the image
    dark = tf.clip_by_value(0.5 + 0.5 * distance / edge, 0.0, 1.0)
    depth = strength * tf.maximum(0.0, 2.0 * draws[4] - 1.0)
    return (1.0 - depth * dark)[..., tf.newaxis]


def _grain(image: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    # Another key than that of the draws: otherwise the first pixels would repeat them.
    return tf.random.stateless_normal(tf.shape(image), key + 1, alg="philox")


def _blurred(image: tf.Tensor, largest: float, draw: tf.Tensor, *, radius: int) -> tf.Tensor:
    """A Gaussian of up to `largest` pixels in every second image; borders repeat their last pixel."""
    deviation = largest * (2.0 * draw - 1.0)

    def blur() -> tf.Tensor:
        places = tf.range(-radius, radius + 1, dtype=tf.float32)
        taps = tf.nn.softmax(-0.5 * (places / deviation) ** 2)
        kernel = tf.tile(taps[:, tf.newaxis, tf.newaxis, tf.newaxis], [1, 1, 3, 1])
        count = 2 * radius + 1
        x = image[tf.newaxis]
        for axis, size in ((1, (count, 1)), (2, (1, count))):
            places_in = tf.range(-radius, tf.shape(x)[axis] + radius)
            x = tf.gather(x, tf.clip_by_value(places_in, 0, tf.shape(x)[axis] - 1), axis=axis)
            x = tf.nn.depthwise_conv2d(x, tf.reshape(kernel, [*size, 3, 1]), [1] * 4, "VALID")
        return x[0]

    return tf.cond(deviation > _SMALLEST_BLUR, blur, lambda: image)
