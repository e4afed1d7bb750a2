"""JPEG and PNG files decoded inside a graph, to the pixels that `zoo.images.read_image` reads of them."""

from __future__ import annotations

import tensorflow as tf

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Where the header tells the bits of a sample and the type of colour; of the latter, grey and RGB.
_BITS, _TYPE = 24, 25
_GREY, _RGB = 0, 2
# Length, name and check sum of a chunk.
_AROUND_CHUNK = 12


def decode(content: tf.Tensor) -> tf.Tensor:
    """Float32 RGB in 0…255 of a JPEG or PNG file, transparent pixels on white.

    A file of another format fails with ``InvalidArgumentError``.
    """
    image = tf.cond(tf.io.is_jpeg(content), lambda: _from_jpeg(content), lambda: _from_png(content))
    image.set_shape((None, None, 3))
    return image


def _from_jpeg(content: tf.Tensor) -> tf.Tensor:
    # TensorFlow's default is a faster transform, off by a few levels.
    return tf.cast(tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"), tf.float32)


def _from_png(content: tf.Tensor) -> tf.Tensor:
    # TensorFlow's decoder of PNG files takes GIF and BMP files, too.
    known = tf.strings.substr(content, 0, len(_SIGNATURE)) == _SIGNATURE
    with tf.control_dependencies([tf.debugging.Assert(known, ["image_bytes takes JPEG and PNG files"])]):
        content = tf.identity(content)
    bits, kind = _byte(content, _BITS), _byte(content, _TYPE)
    whole = tf.logical_and(bits == 16, kind == _GREY)
    # Without transparency, the alpha of a file of few bits is 1, 3 or 15 where 255 is meant. That of 16-bit
    # RGB is left alone as Pillow does.
    opaque = tf.logical_or(
        tf.logical_and(bits < 8, tf.logical_not(_has_transparency(content))),
        tf.logical_and(bits == 16, kind == _RGB),
    )
    return tf.case(
        [
            (whole, lambda: _on_white(tf.io.decode_png(content, channels=4, dtype=tf.uint16))),
            (opaque, lambda: tf.cast(tf.io.decode_png(content, channels=3), tf.float32)),
        ],
        default=lambda: _on_white(tf.io.decode_png(content, channels=4)),
    )


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """RGB of RGBA, as float32 in 0…255; 16 bits become 8 by rounding."""
    if image.dtype == tf.uint16:
        image = (tf.cast(image, tf.int32) + 128) // 257
    image = tf.cast(image, tf.float32)
    return tf.round(255 + (image[..., :3] - 255) * (image[..., 3:] / 255))


def _has_transparency(content: tf.Tensor) -> tf.Tensor:
    """Whether a chunk ``tRNS`` stands before the pixels."""

    def name(start):
        return tf.strings.substr(content, tf.minimum(start + 4, length - 4), 4)

    def goes_on(start):
        searched = tf.logical_and(name(start) != b"tRNS", name(start) != b"IDAT")
        return tf.logical_and(start + 8 < length, searched)

    def following(start):
        sizes = tf.cast(tf.io.decode_raw(tf.strings.substr(content, start, 4), tf.uint8), tf.int32)
        size = tf.reduce_sum(sizes * tf.constant([1 << 24, 1 << 16, 1 << 8, 1]))
        return start + _AROUND_CHUNK + tf.clip_by_value(size, 0, length)

    length = tf.strings.length(content)
    (start,) = tf.while_loop(goes_on, lambda start: (following(start),), (tf.constant(len(_SIGNATURE)),))
    return name(start) == b"tRNS"


def _byte(content: tf.Tensor, position: int) -> tf.Tensor:
    position = tf.minimum(position, tf.strings.length(content) - 1)
    return tf.cast(tf.io.decode_raw(tf.strings.substr(content, position, 1), tf.uint8)[0], tf.int32)
