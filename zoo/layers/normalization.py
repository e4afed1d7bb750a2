"""Batch normalization by TensorFlow's fused kernel; it keeps its statistics where a batch says too little."""

from __future__ import annotations

import math
import warnings

import keras
import tensorflow as tf

from zoo.layers.common import PACKAGE
from zoo.layers.replicas import replica_sums

# Below so many images a batch's own statistics are too noisy to replace those that a network came with.
SMALL_BATCH = 4
SMALL_BATCH_NOTE = (
    f"batches of fewer than {SMALL_BATCH} images: batch normalization keeps the statistics that the model "
    "came with (batch_statistics='auto')"
)


@keras.saving.register_keras_serializable(PACKAGE)
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalization; while training on one device, statistics and scaling are one operation.

    Keras 3 computes moments, difference, square and scaling as operations of their own, which cost more than
    the convolutions of a mobile network. Outputs, gradients and moving statistics are the same: the variance
    that is remembered is the biased one, as in Keras, where the fused kernel reports the unbiased one.
    Synchronized statistics, masks, renormalization, axes other than the last and tensors without four
    dimensions take Keras' way, and so does inference, whose scaling folds into the convolution before.

    In training, too, the moving statistics are used, and stay as they are to the bit, where

    - a channel has one value, over all replicas if synchronized: its variance says nothing, and Keras would
      put 0 into the moving one (image pooling, one image a batch);
    - a batch has fewer than `SMALL_BATCH` images and the layer came with statistics, that is, they were not
      the initial ones when it was first trained. Scale and shift are trained all the same.

    Attributes:
        batch_statistics: ``"auto"``, as above; ``"always"``: the second rule does not hold; ``"never"``: the
            moving statistics are always used. No part of a saved layer.
    """

    batch_statistics = "auto"
    _came_with_statistics: bool | None = None

    def call(self, inputs, training=None, mask=None):
        kept = self._keeps_statistics(inputs) if training and self.trainable else True
        if kept is True:
            return super().call(inputs, training=False, mask=mask)
        special = mask is not None or self.renorm
        if special or (kept is False and not self._fusable(inputs)):
            return super().call(inputs, training=True, mask=mask)
        wide = keras.backend.result_type(inputs.dtype, "float32")
        # The fused kernel takes 16 bits as they are, and sums in 32.
        x = inputs if kept is False and self._fusable(inputs) else tf.cast(inputs, wide)
        own = tf.cast(self.moving_mean, wide), tf.cast(self.moving_variance, wide)
        if not self._fusable(inputs):
            x, mean, variance = self._chosen(x, kept, own)
        elif kept is False:
            x, mean, variance = self._normalized(x)
        else:
            x, mean, variance = tf.cond(
                kept, lambda: (self._scaled(x, *own), *own), lambda: self._normalized(x)
            )
        self._follow(mean, variance, kept, own)
        return tf.cast(x, self.compute_dtype)

    def came_with_statistics(self) -> bool:
        """Whether the moving statistics were not the initial ones when this was asked first."""
        if self._came_with_statistics is None:
            self._came_with_statistics = not are_initial(self.moving_mean.value, self.moving_variance.value)
        return self._came_with_statistics

    def _keeps_statistics(self, inputs) -> bool | tf.Tensor:
        rule = self.batch_statistics if self.came_with_statistics() else "always"
        counts = counts_of(inputs, axis=self.axis, synchronized=self.synchronized)
        return keeps_statistics(*counts, rule="never" if self.batch_statistics == "never" else rule)

    # --- normalizing ----------------------------------------------------------------------------------

    def _fusable(self, inputs) -> bool:
        plain = self.scale and self.center and not self.synchronized and not self.renorm
        wide = keras.backend.standardize_dtype(inputs.dtype) == "float64"
        return plain and not wide and len(inputs.shape) == 4 and self.axis in (-1, 3)

    def _normalized(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """`x` normalized, scaled and shifted, with the mean and the biased variance of each channel."""
        # The raw operation: the public wrapper raises a small epsilon without a word.
        fused = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), tf.float32)
        return fused.y, fused.batch_mean, fused.batch_variance * ((count - 1.0) / count)

    def _moments(self, inputs, mask):
        if mask is not None or not self.synchronized:
            return super()._moments(inputs, mask)
        return synchronized_moments(inputs, axis=self.axis)

    def _chosen(self, x: tf.Tensor, kept: tf.Tensor, own: tuple[tf.Tensor, tf.Tensor]):
        """As `_normalized` by Keras' way; replicas cannot meet within a branch, so both are computed."""
        pairs = zip(own, self._moments(x, None), strict=True)
        mean, variance = (tf.where(kept, old, tf.cast(new, x.dtype)) for old, new in pairs)
        return self._scaled(x, mean, variance), mean, variance

    def _scaled(self, x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        gamma, beta = (None if v is None else tf.cast(v, x.dtype) for v in (self.gamma, self.beta))
        return keras.ops.batch_normalization(
            x, mean, variance, axis=self.axis, offset=beta, scale=gamma, epsilon=self.epsilon
        )

    def _follow(self, mean, variance, kept: bool | tf.Tensor, own: tuple[tf.Tensor, tf.Tensor]) -> None:
        """Move the statistics towards those of the batch, unless they are kept."""
        keep = self.momentum
        for moving, new, old in ((self.moving_mean, mean, own[0]), (self.moving_variance, variance, own[1])):
            moved = old * keep + new * (1.0 - keep)
            moving.assign(moved if kept is False else tf.where(kept, old, moved))


# --- the rule -----------------------------------------------------------------------------------------


def keeps_statistics(images: int | tf.Tensor, values: int | tf.Tensor, *, rule: str) -> bool | tf.Tensor:
    """Whether moving statistics are used in training; a tensor where that depends on a shape not known yet.

    Args:
        images: Of the batch.
        values: Of a channel.
        rule: ``"auto"``, ``"always"`` or ``"never"``.
    """
    if rule == "never":
        return True
    single, small = values == 1, images < SMALL_BATCH
    if rule != "auto":
        return single
    if small is not False:
        warnings.warn(SMALL_BATCH_NOTE, stacklevel=1)
    if isinstance(small, bool):  # one value is one image, so that a number of images decides
        return small
    return tf.logical_or(single, small)


def counts_of(inputs, *, axis: int, synchronized: bool) -> tuple[int | tf.Tensor, int | tf.Tensor]:
    """Images, and values of a channel, that the statistics of a batch are taken over; ints where known."""
    axis %= len(inputs.shape)
    sides = [side for place, side in enumerate(inputs.shape) if place != axis]
    replicas = tf.distribute.get_strategy().num_replicas_in_sync if synchronized else 1
    if None not in sides:
        return sides[0] * replicas, math.prod(sides) * replicas
    shape = tf.shape(inputs)
    counts = tf.stack([shape[0], tf.reduce_prod(shape) // shape[axis]])
    if replicas > 1:
        (counts,) = replica_sums([counts])
    return counts[0] if sides[0] is None else sides[0] * replicas, counts[1]


def synchronized_moments(x: tf.Tensor, *, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and biased variance of each channel over all replicas, in the arithmetic of Keras."""
    others = [place for place in range(len(x.shape)) if place != axis % len(x.shape)]
    count = tf.cast(tf.size(x) // tf.shape(x)[axis], x.dtype)
    sums = tf.reduce_sum(x, others), tf.reduce_sum(tf.square(x), others), count
    total, squares, count = replica_sums(sums)
    mean = tf.math.divide_no_nan(total, count)
    return mean, tf.maximum(tf.math.divide_no_nan(squares, count) - tf.square(mean), 0.0)


def are_initial(mean: tf.Variable, variance: tf.Variable) -> bool:
    """Whether moving statistics are those that a layer begins with; also while a graph is traced."""
    with tf.init_scope():
        zeros = tf.reduce_all(tf.convert_to_tensor(mean) == 0.0)
        ones = tf.reduce_all(tf.convert_to_tensor(variance) == 1.0)
        return bool(zeros) and bool(ones)
