"""Pooling to a fixed number of bins, and pooled features back over a map."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.layers.common import PACKAGE, whole, whole_steps


@keras.saving.register_keras_serializable(PACKAGE)
class BroadcastLike(keras.layers.Layer):
    """Repeats a ``(batch, 1, 1, channels)`` feature over the map of a second tensor (image pooling).

    Resizing a single cell bilinearly, by either convention, is this.
    """

    def call(self, inputs):
        x, like = inputs
        shape = tf.shape(like)
        return tf.broadcast_to(x, tf.stack([shape[0], shape[1], shape[2], x.shape[-1]]))

    def compute_output_shape(self, input_shape):
        x, like = input_shape
        return (*like[:3], x[-1])


def pooling_matrix(length: int | tf.Tensor, bins: int, dtype) -> tf.Tensor:
    """``(bins, length)`` matrix whose product with a signal is its mean in each bin.

    Bin i covers the indices from ⌊i·length/bins⌋ up to, and without, ⌈(i + 1)·length/bins⌉: neighbours share
    an index where the division leaves a rest, and a signal shorter than `bins` is repeated.
    """
    index, position = tf.range(bins)[:, None], tf.range(length)[None]
    start, stop = index * length // bins, whole_steps((index + 1) * length, bins)
    inside = tf.logical_and(position >= start, position < stop)
    return tf.cast(inside, dtype) / tf.cast(stop - start, dtype)


@keras.saving.register_keras_serializable(PACKAGE)
class AdaptiveAveragePooling2D(keras.layers.Layer):
    """Means over a grid of ``bins × bins`` cells, for a map of any size.

    ``(batch, height, width, channels)`` → ``(batch, bins, bins, channels)``. The cells are those of PyTorch's
    ``AdaptiveAvgPool2d``. Two matrix products, because they are differentiable, take any size at run time,
    and exist in every format of deployment.

    Args:
        bins: Cells in each direction.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.

    Raises:
        InputError: `bins` that is no positive integer.
    """

    def __init__(self, bins: int, **kwargs):
        super().__init__(**kwargs)
        self.bins = whole(bins, "bins")

    def call(self, x):
        batch, height, width = tf.unstack(tf.shape(x)[:3])
        # A static length makes the matrix a constant of the graph.
        height, width = x.shape[1] or height, x.shape[2] or width
        channels = x.shape[-1]
        x = tf.reshape(x, tf.stack([batch, height, width * channels]))
        x = tf.matmul(pooling_matrix(height, self.bins, x.dtype), x)
        x = tf.reshape(x, tf.stack([batch * self.bins, width, channels]))
        x = tf.matmul(pooling_matrix(width, self.bins, x.dtype), x)
        return tf.reshape(x, tf.stack([batch, self.bins, self.bins, channels]))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.bins, self.bins, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "bins": self.bins}
