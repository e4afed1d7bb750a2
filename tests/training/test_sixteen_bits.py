"""Layers of a mobile network in bfloat16: statistics and gradients as in float32, but for rounding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.layers import DilatedDepthwiseConv2D, FusedBatchNormalization

RNG = np.random.default_rng(5)


def gradients(layer, x):
    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True) if isinstance(layer, FusedBatchNormalization) else layer(x)
            weights = tf.cast(tf.reshape(tf.range(tf.size(y)) % 7, tf.shape(y)), tf.float32)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) * weights)
        return y, tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])

    return run(x)


@pytest.mark.parametrize("padding", ["same", "symmetric", "valid"])
@pytest.mark.parametrize("size", [(8, 10), (9, 13)])
def test_a_strided_depthwise_convolution(padding, size):
    x = RNG.normal(size=(2, *size, 6)).astype(np.float32)
    wide = DilatedDepthwiseConv2D(kernel_size=3, strides=2, padding=padding)
    narrow = DilatedDepthwiseConv2D(kernel_size=3, strides=2, padding=padding, dtype="mixed_bfloat16")
    wide(x), narrow(x)
    narrow.set_weights(wide.get_weights())
    y, expected = gradients(wide, tf.constant(x))
    z, found = gradients(narrow, tf.constant(x, tf.bfloat16))
    assert z.dtype == tf.bfloat16 and y.shape == z.shape
    for one, other in zip(expected, found, strict=True):
        one, other = one.numpy(), tf.cast(other, tf.float32).numpy()
        np.testing.assert_allclose(other, one, atol=0.03 * np.abs(one).max())
    eager = narrow(tf.constant(x, tf.bfloat16))
    np.testing.assert_array_equal(tf.cast(eager, tf.float32), tf.cast(z, tf.float32))


def test_batch_norm_sums_in_32_bits():
    """Sums in 16 bits of so many values would stop growing at 256."""
    x = (RNG.normal(size=(4, 40, 50, 3)) + 3).astype(np.float32)
    wide, narrow = FusedBatchNormalization(), FusedBatchNormalization(dtype="mixed_bfloat16")
    y, expected = gradients(wide, tf.constant(x))
    z, found = gradients(narrow, tf.constant(x, tf.bfloat16))
    assert z.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(z, tf.float32), y, atol=0.03)
    for name in ("moving_mean", "moving_variance"):
        one, other = (keras.ops.convert_to_numpy(getattr(layer, name)) for layer in (wide, narrow))
        assert other.dtype == np.float32
        np.testing.assert_allclose(other, one, rtol=2e-3)
    for one, other in list(zip(expected, found, strict=True))[1:]:
        np.testing.assert_allclose(tf.cast(other, tf.float32), one, rtol=0.02, atol=20)
