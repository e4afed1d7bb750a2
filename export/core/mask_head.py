"""What follows the network in an artifact whose output is a mask: class indices instead of logits.

The head ``mask`` is the arg-max of the logits at the size of the image, in the form that was measured to be
the fastest for each runtime (``benchmarks/mask_head.py``): TensorFlow and LiteRT interpolate and search along
the last axis fast by themselves, ONNX Runtime multiplies matrices faster than it resizes. The head
``small_mask`` decides at the network's stride and repeats the nearest cell's class.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.graph import maker_of
from zoo.labels import MOST_IN_A_BYTE, MOST_IN_A_MASK
from zoo.layers import DepthToSpace
from zoo.layers.resize import Resize, SegmentationLogits

# Of the head's operations in the artifact.
SCOPE = "mask_head"


@dataclass(frozen=True, kw_only=True)
class MaskHead:
    """From the scores of the network's cells to the mask of an image.

    Attributes:
        convention: How the model enlarges its scores, see `zoo.layers.resize.resize_bilinear`.
        factor: By how much exactly, see `zoo.layers.resize.Resize`; `None` for the image's size.
        probabilities: Whether probabilities are interpolated instead of logits.
        cell: Side of the square that each position predicts; its channels are the scores of one pixel after
            the other. The labels are laid out in space, not the scores, which are as many times more.
        small: Whether the nearest cell decides.
    """

    convention: str
    factor: int | None
    probabilities: bool
    cell: int
    small: bool

    def __call__(self, x: tf.Tensor, image: tf.Tensor, *, products: bool = False) -> tf.Tensor:
        """Class indices ``(batch, height, width)``, uint8, or uint16 of more than 256 classes.

        Args:
            x: Scores ``(batch, rows, columns, cell² · classes)``.
            image: What the network was given, ``(batch, height, width, 3)``; only its size counts.
            products: Interpolate by two matrix products instead of a resize operation.
        """
        with tf.name_scope(SCOPE):
            mask = self._mask(tf.cast(x, tf.float32), image, products=products)
            # Two bytes only at the end: LiteRT gathers and moves none.
            return mask if mask.dtype == tf.uint8 else tf.cast(mask, tf.uint16)

    def _mask(self, x: tf.Tensor, image: tf.Tensor, *, products: bool) -> tf.Tensor:
        if self.small or self.factor == 1:
            return self._nearest(self._labels(x), image)
        # The logarithm and its floor change no winner.
        x = tf.nn.softmax(x) if self.probabilities else x
        if products:
            return _winners(self._product(x, image))
        resize = Resize(convention=self.convention, factor=self.factor, name="resize")
        return _winners(resize([x, image]))

    def _labels(self, x: tf.Tensor) -> tf.Tensor:
        """Winners of the cells, ``(batch, cell · rows, cell · columns)``."""
        if self.cell == 1:
            return _winners(x)
        _, rows, columns = _sizes(x)
        classes = x.shape[-1] // self.cell**2
        labels = _winners(tf.reshape(x, (-1, rows, columns, self.cell**2, classes)))
        if labels.dtype != tf.uint8:
            # ONNX Runtime spreads bytes and floats; these hold the labels exactly.
            spread = tf.nn.depth_to_space(tf.cast(labels, tf.float32), self.cell)
            return tf.cast(spread[..., 0], labels.dtype)
        return tf.nn.depth_to_space(labels, self.cell)[..., 0]

    def _nearest(self, labels: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        _, height, width = _sizes(image)
        if self.factor == 1:
            return labels[:, :height, :width]
        _, rows, columns = _sizes(labels)
        # Columns first, while there are few rows of them.
        for axis, cells, pixels in ((2, columns, width), (1, rows, height)):
            labels = tf.gather(labels, _constant(self._nearest_cells, cells, pixels), axis=axis)
        return labels

    def _product(self, x: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        _, rows, columns = _sizes(x)
        _, height, width = _sizes(image)
        channels = x.shape[-1]
        x = tf.linalg.matmul(_constant(self._weights, columns, width), x)
        x = tf.reshape(x, (-1, rows, width * channels))
        x = tf.linalg.matmul(_constant(self._weights, rows, height), x)
        return tf.reshape(x, (-1, height, width, channels))

    def _weights(self, cells, pixels) -> tf.Tensor:
        """Bilinear interpolation along one axis as a matrix ``(pixels, cells)``."""
        distance = self._positions(cells, pixels)[:, tf.newaxis] - tf.cast(tf.range(cells), tf.float32)
        return tf.nn.relu(1 - tf.abs(distance))

    def _nearest_cells(self, cells, pixels) -> tf.Tensor:
        return tf.cast(tf.floor(self._positions(cells, pixels) + 0.5), tf.int32)

    def _positions(self, cells, pixels) -> tf.Tensor:
        """Where the centres of the pixels lie among those of the cells, with TensorFlow's roundings."""
        aligned = self.convention == "align_corners"
        steps = cells - 1 if aligned else cells
        total = pixels if self.factor is None else self.factor * steps + int(aligned)
        # A single pixel has one corner, which is no distance.
        over = tf.maximum(total - 1, 1) if aligned else total
        scale = tf.cast(steps, tf.float32) / tf.cast(over, tf.float32)
        half = 0.5 if self.convention == "half_pixel" else 0.0
        positions = (tf.cast(tf.range(pixels), tf.float32) + half) * scale - half
        return tf.clip_by_value(positions, 0.0, tf.cast(cells, tf.float32) - 1)


def _winners(x: tf.Tensor) -> tf.Tensor:
    """The first of the largest along the last axis, uint8 where that tells them all, else int32."""
    winners = tf.argmax(x, -1, output_type=tf.int32)
    return tf.cast(winners, tf.uint8) if x.shape[-1] <= MOST_IN_A_BYTE else winners


def _sizes(x: tf.Tensor) -> list:
    """Batch, height and width: integers where they are known."""
    dynamic = tf.shape(x)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(x.shape[:3])]


def _constant(function, cells, pixels):
    """What `function` gives, computed here and now where both sizes are known."""
    if isinstance(cells, int) and isinstance(pixels, int):
        with tf.init_scope():
            return function(cells, pixels).numpy()
    return function(cells, pixels)


def split(model: keras.Model, *, small: bool) -> tuple[keras.Model, MaskHead]:
    """The network up to what a mask is made from, and what makes it.

    Args:
        model: A zoo model with logits as its output.
        small: For the head ``small_mask``.

    Raises:
        InputError: More classes than two bytes can tell.
    """
    last = next(x for x in reversed(model.layers) if isinstance(x, SegmentationLogits))
    if len(last.label_set) > MOST_IN_A_MASK:
        raise InputError(f"a mask tells {MOST_IN_A_MASK} classes, not {len(last.label_set)}")
    scores, cell = last.input[0], 1
    maker = maker_of(scores)
    if isinstance(maker, DepthToSpace) and (small or last.factor == 1):
        scores, cell = maker.input, maker.cell
    head = MaskHead(
        convention=last.convention,
        factor=last.factor,
        probabilities=last.domain == "probabilities",
        cell=cell,
        small=small,
    )
    return keras.Model(model.input, scores, name=f"{model.name}_small"), head
