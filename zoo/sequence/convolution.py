"""1-D convolutions that dilate natively: causal, symmetric or valid, with any kernel size."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, shaped, whole
from zoo.layers.operations import dilated_valid_conv2d

PADDINGS = ("causal", "symmetric", "valid")


def padding_of(padding: str, *, kernel: int, rate: int) -> tuple[int, int]:
    """Zeros in front of and behind the samples, so that as many come out as go in; none for ``"valid"``.

    Where the span of a symmetric layer is odd, the longer part is behind, as in TensorFlow and PyTorch.
    """
    span = rate * (kernel - 1)
    return {"causal": (span, 0), "symmetric": (span // 2, span - span // 2), "valid": (0, 0)}[padding]


@keras.saving.register_keras_serializable(PACKAGE)
class DilatedConv1D(keras.layers.Layer):
    """1-D convolution whose dilation runs in the native kernel, in training and in inference.

    ``(batch, samples, channels)`` → ``(batch, samples', filters)``; a cross-correlation, as in Keras and
    PyTorch. ``keras.layers.Conv1D`` lowers a dilation to SpaceToBatchND instead.

    Args:
        filters: Channels of the output.
        kernel_size: Taps, any positive integer.
        rate: Samples from tap to tap.
        padding: ``"causal"`` reads a sample and earlier ones (zeros in front), ``"symmetric"`` both sides
            (see `padding_of`), ``"valid"`` pads nothing and gives ``rate * (kernel_size - 1)`` samples fewer.
        use_bias: Whether to add a bias for each filter.
        kernel_initializer: Keras initializer of the kernel ``(taps, channels, filters)``.
        bias_initializer: Keras initializer of the bias.
        kernel_regularizer: Keras regularizer of the kernel, or `None`.
        **kwargs: ``name``, ``dtype`` and ``trainable`` of a Keras layer.

    Raises:
        InputError: A size, rate or padding outside of the above.
    """

    def __init__(
        self,
        filters: int,
        *,
        kernel_size: int,
        rate: int = 1,
        padding: str = "causal",
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = whole(filters, "filters")
        self.kernel_size = whole(kernel_size, "kernel_size")
        self.rate = whole(rate, "rate")
        if padding not in PADDINGS:
            raise InputError(f"padding must be one of {', '.join(PADDINGS)}, not {padding!r}")
        self.padding = padding
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    @property
    def span(self) -> int:
        """Samples from the first tap to the last, less one."""
        return self.rate * (self.kernel_size - 1)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer=self.bias_initializer)

    def call(self, x):
        shape = self.compute_output_shape(x.shape)
        front, behind = padding_of(self.padding, kernel=self.kernel_size, rate=self.rate)
        if front or behind:
            x = tf.pad(x, [[0, 0], [front, behind], [0, 0]])
        kernel = tf.convert_to_tensor(self.kernel)
        # Samples as the columns of an image of one row, whose kernels are the ones with a native dilation.
        x = tf.expand_dims(x, 1)
        x = tf.squeeze(dilated_valid_conv2d(x, tf.expand_dims(kernel, 0), rate=self.rate), 1)
        return shaped(x if self.bias is None else x + self.bias, shape)

    def compute_output_shape(self, input_shape):
        samples = input_shape[1]
        if samples is not None and self.padding == "valid":
            samples -= self.span
        return (input_shape[0], samples, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "rate": self.rate,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
