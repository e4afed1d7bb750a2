"""The zoo's layers for tf_keras, ready for pruning and clustering.

Importing this module loads tf_keras and TensorFlow Model Optimization.
"""

from __future__ import annotations

import functools

import keras
import tensorflow as tf

from zoo.compression.requirements import require
from zoo.layers import dilated_conv2d, dilated_depthwise_conv2d, dilated_valid_conv2d
from zoo.layers.normalization import are_initial, counts_of, keeps_statistics

tf_keras = require("tf_keras")
tfmot = require("tensorflow_model_optimization")

PACKAGE = "atrous_zoo"


def is_training(training) -> bool:
    """`training` as a Python value: tf_keras passes a placeholder while it only infers shapes."""
    return isinstance(training, bool | int) and bool(training)


@tf_keras.utils.register_keras_serializable(PACKAGE)
class Operation(tf_keras.layers.Layer):
    """A Keras 3 layer without weights, called as it is.

    Args:
        layer: The layer, or its serialized form.
        **kwargs: ``name`` of the layer.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.operation = keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer

    def call(self, inputs):
        return self.operation.call(inputs)

    def compute_output_shape(self, input_shape):
        several = isinstance(input_shape, list) or hasattr(input_shape[0], "__len__")
        shapes = [tuple(s) for s in input_shape] if several else tuple(input_shape)
        return tf.TensorShape(self.operation.compute_output_shape(shapes))

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.operation)}


class _Convolution(
    tf_keras.layers.Layer, tfmot.sparsity.keras.PrunableLayer, tfmot.clustering.keras.ClusterableLayer
):
    """What the dense and the depthwise convolution share; see `zoo.layers.DilatedConv2D`."""

    def __init__(
        self, *, kernel_size, strides, rate, padding, use_bias, flat=False, kernel_regularizer=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.kernel_size = tuple(kernel_size)
        self.strides, self.rate, self.padding = strides, rate, padding
        self.use_bias, self.flat = use_bias, flat
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias = None

    def _add_weights(self, shape, filters):
        self.kernel_shape = tuple(shape)
        stored = (self.kernel_shape[0] * self.kernel_shape[1] * self.kernel_shape[2], self.kernel_shape[3])
        self.kernel = self.add_weight(
            name="kernel",
            shape=stored if self.flat else self.kernel_shape,
            regularizer=self.kernel_regularizer,
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(filters,), initializer="zeros")

    def get_prunable_weights(self):
        return [self.kernel]

    def get_clusterable_weights(self):
        return [("kernel", self.kernel)]

    def call(self, inputs):
        # While the layer is wrapped, the kernel may be a tensor: clustered, or rounded to 8 bits.
        kernel = tf.reshape(tf.convert_to_tensor(self.kernel), self.kernel_shape)
        x = self._convolve(inputs, kernel)
        return x if self.bias is None else tf.nn.bias_add(x, self.bias)

    def _convolve(self, x, kernel):
        if self.strides == 1 and self.padding != "valid":
            return self._dilated(x, kernel)
        if self.rate > 1:
            return self._dilated_valid(x, kernel)
        if self.padding == "symmetric":
            rows, columns = ((k - 1) // 2 for k in self.kernel_size)
            x = tf.pad(x, [[0, 0], [rows] * 2, [columns] * 2, [0, 0]])
        return self._strided(x, kernel, "SAME" if self.padding == "same" else "VALID")

    def get_config(self):
        names = ("kernel_size", "strides", "rate", "padding", "use_bias", "flat")
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "kernel_regularizer": regularizer}


@tf_keras.utils.register_keras_serializable(PACKAGE)
class Conv2D(_Convolution):
    """`zoo.layers.DilatedConv2D`.

    With `flat` its kernel is stored as the matrix ``(rows · columns · channels, filters)`` that block pruning
    asks for.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        self._add_weights((*self.kernel_size, int(input_shape[-1]), self.filters), self.filters)
        self.built = True

    def _dilated(self, x, kernel):
        return dilated_conv2d(x, kernel, rate=self.rate)

    def _dilated_valid(self, x, kernel):
        return dilated_valid_conv2d(x, kernel, rate=self.rate)

    def _strided(self, x, kernel, padding):
        return tf.nn.conv2d(x, kernel, self.strides, padding)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@tf_keras.utils.register_keras_serializable(PACKAGE)
class DepthwiseConv2D(_Convolution):
    """`zoo.layers.DilatedDepthwiseConv2D`."""

    def build(self, input_shape):
        channels = int(input_shape[-1])
        self._add_weights((*self.kernel_size, channels, 1), channels)
        self.built = True

    def _dilated(self, x, kernel):
        return dilated_depthwise_conv2d(x, kernel, rate=self.rate)

    def _dilated_valid(self, x, kernel):
        x = self._dilated(x, kernel)
        rows, columns = (self.rate * (k - 1) // 2 for k in self.kernel_size)
        return x[:, rows : tf.shape(x)[1] - rows, columns : tf.shape(x)[2] - columns]

    def _strided(self, x, kernel, padding):
        return tf.nn.depthwise_conv2d(x, kernel, [1, self.strides, self.strides, 1], padding)


@tf_keras.utils.register_keras_serializable(PACKAGE)
class BatchNormalization(tf_keras.layers.Layer):
    """Batch normalization of the last axis as Keras 3 computes it, fused while training.

    The moving variance is the biased one, and a small epsilon is used as it is; tf_keras' own layer differs
    in both. Where moving statistics are kept in training is as in `zoo.layers.FusedBatchNormalization`.
    """

    batch_statistics = "auto"
    _came_with_statistics: bool | None = None

    def __init__(self, *, momentum, epsilon, center=True, scale=True, **kwargs):
        super().__init__(**kwargs)
        self.momentum, self.epsilon, self.center, self.scale = momentum, epsilon, center, scale

    def build(self, input_shape):
        shape = (int(input_shape[-1]),)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones") if self.scale else None
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros") if self.center else None
        statistics = {"shape": shape, "trainable": False}
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **statistics)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **statistics)
        self.built = True

    def call(self, inputs, training=None):
        kept = self._keeps_statistics(inputs) if is_training(training) and self.trainable else True
        own = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        if kept is True:
            return tf.nn.batch_normalization(inputs, *own, self.beta, self.gamma, self.epsilon)
        if kept is False:
            x, mean, variance = self._normalized(inputs)
        else:
            scaled = functools.partial(tf.nn.batch_normalization, inputs, *own)
            x, mean, variance = tf.cond(
                kept,
                lambda: (scaled(self.beta, self.gamma, self.epsilon), *own),
                lambda: self._normalized(inputs),
            )
        for moving, new, old in ((self.moving_mean, mean, own[0]), (self.moving_variance, variance, own[1])):
            moved = old * self.momentum + new * (1.0 - self.momentum)
            moving.assign(moved if kept is False else tf.where(kept, old, moved))
        return x

    def came_with_statistics(self) -> bool:
        """Whether the moving statistics were not the initial ones when this was asked first."""
        if self._came_with_statistics is None:
            self._came_with_statistics = not are_initial(self.moving_mean, self.moving_variance)
        return self._came_with_statistics

    def _keeps_statistics(self, inputs):
        rule = self.batch_statistics if self.came_with_statistics() else "always"
        counts = counts_of(inputs, axis=-1, synchronized=False)
        return keeps_statistics(*counts, rule="never" if self.batch_statistics == "never" else rule)

    def _normalized(self, inputs):
        flat = inputs if inputs.shape.rank == 4 else inputs[:, tf.newaxis, tf.newaxis]
        channels = inputs.shape[-1]
        fused = tf.raw_ops.FusedBatchNormV3(
            x=flat,
            scale=tf.ones([channels]) if self.gamma is None else tf.convert_to_tensor(self.gamma),
            offset=tf.zeros([channels]) if self.beta is None else tf.convert_to_tensor(self.beta),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.reduce_prod(tf.shape(flat)[:3]), tf.float32)
        biased = fused.batch_variance * ((count - 1.0) / count)
        return tf.reshape(fused.y, tf.shape(inputs)), fused.batch_mean, biased

    def compute_output_shape(self, input_shape):
        return tf.TensorShape(input_shape)

    def get_config(self):
        names = ("momentum", "epsilon", "center", "scale")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
