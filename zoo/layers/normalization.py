"""Batch normalization that trains through TensorFlow's fused kernel."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.layers.common import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalization; while training on one device, statistics and scaling are one operation.

    Keras 3 computes moments, difference, square and scaling as operations of their own, which cost more than
    the convolutions of a mobile network. Outputs, gradients and moving statistics are the same: the variance
    that is remembered is the biased one, as in Keras, where the fused kernel reports the unbiased one.
    Synchronized statistics, masks, renormalization, axes other than the last and tensors without four
    dimensions take Keras' way, and so does inference, whose scaling folds into the convolution before.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None and self._fusable(inputs)):
            return super().call(inputs, training=training, mask=mask)
        # Keras, too, normalizes 16-bit tensors in 32 bits.
        x = tf.cast(inputs, tf.float32)
        x, mean, variance = self._normalized(x)
        keep = self.momentum
        self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
        self.moving_variance.assign(self.moving_variance * keep + variance * (1.0 - keep))
        return tf.cast(x, self.compute_dtype)

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
