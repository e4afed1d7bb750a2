"""Upsampling inside a network: from channels to space, and by fixed bilinear kernels."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, sides, whole


@keras.saving.register_keras_serializable(PACKAGE)
class DepthToSpace(keras.layers.Layer):
    """Spreads each position's channels over a square of ``cell × cell`` positions.

    ``(batch, height, width, cell² · channels)`` → ``(batch, cell · height, cell · width, channels)``; channel
    ``(cell · i + j) · channels + c`` becomes channel c at row i, column j of the square.

    Args:
        cell: Side of the square.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, cell: int, **kwargs):
        super().__init__(**kwargs)
        self.cell = whole(cell, "cell")

    def build(self, input_shape):
        if input_shape[-1] % self.cell**2:
            raise InputError(f"{input_shape[-1]} channels do not divide into cells of {self.cell}²")

    def call(self, x):
        return x if self.cell == 1 else tf.nn.depth_to_space(x, self.cell)

    def compute_output_shape(self, input_shape):
        sides = (None if n is None else n * self.cell for n in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[-1] // self.cell**2)

    def get_config(self):
        return {**super().get_config(), "cell": self.cell}


@keras.saving.register_keras_serializable(PACKAGE)
class BilinearUpsampling2D(keras.layers.Layer):
    """Enlargement by the fixed, bilinear, per-channel deconvolution of Caffe, as float32.

    ``(batch, height, width, channels)`` → both sides times `factor`. The kernel has ``2 * factor`` taps at
    stride `factor`: half-pixel interpolation between the cells and zeros that stand around them.

    Args:
        factor: How many times larger.
        **kwargs: ``name`` of a Keras layer.

    Raises:
        InputError: A factor that is no positive integer.
    """

    def __init__(self, *, factor: int, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.factor = whole(factor, "factor")

    def call(self, x):
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        rows, columns = (self.factor * side for side in sides(x))
        x = tf.raw_ops.ResizeBilinear(
            images=x, size=tf.stack([rows, columns]), half_pixel_centers=True, align_corners=False
        )
        return x[:, self.factor : rows - self.factor, self.factor : columns - self.factor]

    def compute_output_shape(self, input_shape):
        sides = (None if n is None else n * self.factor for n in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
