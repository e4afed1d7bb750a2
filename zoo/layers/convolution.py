"""Convolution layers that dilate natively (`zoo.layers.operations`)."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, pair, whole
from zoo.layers.operations import dilated_conv2d, dilated_depthwise_conv2d, dilated_valid_conv2d
from zoo.layers.strided import strided_depthwise_conv2d

PADDINGS = ("same", "symmetric", "valid")


def _output_length(length: int | None, *, kernel: int, stride: int, rate: int, padding: str):
    if length is None:
        return None
    reach = rate * (kernel - 1)
    if padding == "same":
        return -(-length // stride)
    if padding == "symmetric":
        length += 2 * (reach // 2)
    return (length - reach - 1) // stride + 1


class _Convolution(keras.layers.Layer):
    """What the dense and the depthwise convolution share: geometry, weights' settings, serialization."""

    def __init__(
        self,
        *,
        kernel_size,
        strides=1,
        rate=1,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_size = pair(kernel_size, "kernel_size")
        strides, rate = whole(strides, "strides"), whole(rate, "rate")
        if padding not in PADDINGS:
            raise InputError(f"padding must be one of {', '.join(PADDINGS)}, not {padding!r}")
        if strides > 1 and rate > 1:
            raise InputError(f"a convolution has a stride or a rate, not both: {strides}, {rate}")
        if rate > 1 and any(k % 2 == 0 for k in self.kernel_size):
            raise InputError(f"a dilated kernel must have odd sizes, not {self.kernel_size}")
        self.strides = strides
        self.rate = rate
        self.padding = padding
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias = None

    def _add_weights(self, kernel_shape, filters):
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(filters,), initializer=self.bias_initializer)

    def call(self, x):
        # Keras casts a variable to the compute type; TensorFlow then reads it, so that the custom gradient
        # receives a tensor and not a variable.
        x = self._convolve(x, tf.convert_to_tensor(keras.ops.convert_to_tensor(self.kernel)))
        return x if self.bias is None else tf.nn.bias_add(x, keras.ops.convert_to_tensor(self.bias))

    def _convolve(self, x, kernel):
        if self.strides == 1 and self.padding != "valid":
            return self._dilated(x, kernel)  # symmetric and SAME are one at stride 1
        if self.rate > 1:
            return self._dilated_valid(x, kernel)
        if self.padding == "symmetric":
            # PyTorch pads both sides alike; TF SAME pads an even input at stride 2 only at its end,
            # which shifts every later feature by a pixel.
            rows, columns = ((k - 1) // 2 for k in self.kernel_size)
            x = tf.pad(x, [[0, 0], [rows] * 2, [columns] * 2, [0, 0]])
        return self._strided(x, kernel, "SAME" if self.padding == "same" else "VALID")

    def _spatial_output(self, shape):
        return tuple(
            _output_length(n, kernel=k, stride=self.strides, rate=self.rate, padding=self.padding)
            for n, k in zip(shape[1:3], self.kernel_size, strict=True)
        )

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "rate": self.rate,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(PACKAGE)
class DilatedConv2D(_Convolution):
    """2-D convolution whose dilation runs in the native kernel, in training and in inference.

    ``(batch, height, width, channels)`` → ``(batch, height', width', filters)``.

    Args:
        filters: Channels of the output.
        kernel_size: Odd integer, or (rows, columns).
        strides: Step in both directions; 1 where `rate` is above 1.
        rate: Dilation: distance between neighbouring taps. 1 is an ordinary convolution.
        padding: ``"same"`` is TensorFlow's SAME; ``"symmetric"`` pads ``rate * (k - 1) // 2`` zeros on both
            sides as PyTorch and Caffe do (the two differ only at a stride); ``"valid"`` pads nothing.
        use_bias: Whether to add a bias for each filter.
        kernel_initializer: Keras initializer of the kernel ``(rows, columns, channels, filters)``.
        bias_initializer: Keras initializer of the bias.
        kernel_regularizer: Keras regularizer of the kernel, or `None`.
        **kwargs: ``name``, ``dtype`` and ``trainable`` of a Keras layer.

    Raises:
        InputError: A size, stride, rate or padding outside of the above.
    """

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = whole(filters, "filters")

    def build(self, input_shape):
        self._add_weights((*self.kernel_size, input_shape[-1], self.filters), self.filters)

    def _dilated(self, x, kernel):
        return dilated_conv2d(x, kernel, rate=self.rate)

    def _dilated_valid(self, x, kernel):
        return dilated_valid_conv2d(x, kernel, rate=self.rate)

    def _strided(self, x, kernel, padding):
        return tf.nn.conv2d(x, kernel, self.strides, padding)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._spatial_output(input_shape), self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(PACKAGE)
class DilatedDepthwiseConv2D(_Convolution):
    """Depthwise 2-D convolution (one kernel per channel) whose dilation has the right gradient.

    ``(batch, height, width, channels)`` → ``(batch, height', width', channels)``. Arguments as in
    `DilatedConv2D`, without `filters`; the kernel is ``(rows, columns, channels, 1)``. The default
    initializer counts one channel as the fan-in: Keras' own would count all of them, and each layer would
    shrink its signal by the square root of the channels.
    """

    def __init__(self, *, kernel_size, kernel_initializer=None, **kwargs):
        if kernel_initializer is None:
            taps = math.prod(pair(kernel_size, "kernel_size"))
            kernel_initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2 / taps))
        super().__init__(kernel_size=kernel_size, kernel_initializer=kernel_initializer, **kwargs)

    def build(self, input_shape):
        self._add_weights((*self.kernel_size, input_shape[-1], 1), input_shape[-1])

    def _dilated(self, x, kernel):
        return dilated_depthwise_conv2d(x, kernel, rate=self.rate)

    def _dilated_valid(self, x, kernel):
        """Drop the border of a SAME result that saw padding: what remains is the VALID one."""
        x = self._dilated(x, kernel)
        rows, columns = (self.rate * (k - 1) // 2 for k in self.kernel_size)
        return x[:, rows : tf.shape(x)[1] - rows, columns : tf.shape(x)[2] - columns]

    def _strided(self, x, kernel, padding):
        return strided_depthwise_conv2d(x, kernel, stride=self.strides, padding=padding)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._spatial_output(input_shape), input_shape[-1])
