"""How tfmot's wrappers round kernels and tensors to 8 bits, as a TFLite file will hold them.

Importing this module loads tf_keras and TensorFlow Model Optimization.
"""

from __future__ import annotations

import tensorflow as tf

from zoo.compression.tf_layers import DepthwiseConv2D, is_training, tf_keras, tfmot
from zoo.layers.fake_quantization import FakeQuantize

_api = tfmot.quantization.keras
# Of a range, the share that a step keeps. tfmot's own 0.999 needs thousands of steps to leave its start.
MOMENTUM = 0.99
_TINY = 1e-12


class KernelQuantizer(_api.quantizers.Quantizer):
    """int8 with a scale for each output channel, from the kernel as it is now.

    tfmot's own keeps the range of the step before, and has one scale for all channels of a depthwise kernel.

    Args:
        depthwise: Whether the kernel is ``(rows, columns, channels, 1)``.
    """

    def __init__(self, *, depthwise: bool = False):
        self.depthwise = depthwise

    def build(self, tensor_shape, name, layer):
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        kernel = tf.convert_to_tensor(inputs)
        by_channel = kernel[..., 0] if self.depthwise else kernel
        axes = list(range(by_channel.shape.rank - 1))
        high = tf.stop_gradient(tf.maximum(tf.reduce_max(tf.abs(by_channel), axis=axes), _TINY))
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            by_channel, -high, high, narrow_range=True
        )
        return rounded[..., tf.newaxis] if self.depthwise else rounded

    def get_config(self):
        return {"depthwise": self.depthwise}


class KernelConfig(_api.QuantizeConfig):
    """Rounds the kernel of a convolution; what comes out is rounded by a layer of its own behind it.

    Args:
        depthwise: As in `KernelQuantizer`.
    """

    def __init__(self, *, depthwise: bool = False):
        self.depthwise = depthwise

    def get_weights_and_quantizers(self, layer):
        return [(layer.kernel, KernelQuantizer(depthwise=self.depthwise))]

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        layer.kernel = quantize_weights[0]

    def set_quantize_activations(self, layer, quantize_activations):
        return

    def get_output_quantizers(self, layer):
        return []

    def get_config(self):
        return {"depthwise": self.depthwise}


class RangeQuantizer(_api.quantizers.Quantizer):
    """8 bits over a range that follows the tensor's extremes in training.

    Args:
        fixed: Whether the range stays what it is.
    """

    def __init__(self, *, fixed: bool = False):
        self.fixed = fixed

    def build(self, tensor_shape, name, layer):
        return {
            side: layer.add_weight(f"{name}_{side}", shape=(), trainable=False) for side in ("low", "high")
        }

    def __call__(self, inputs, training, weights, **kwargs):
        low, high = weights["low"], weights["high"]
        if is_training(training) and not self.fixed:
            # 0 is always inside: padding must be exact.
            low.assign(low * MOMENTUM + tf.minimum(tf.reduce_min(inputs), 0.0) * (1 - MOMENTUM))
            high.assign(high * MOMENTUM + tf.maximum(tf.reduce_max(inputs), 0.0) * (1 - MOMENTUM))
        return tf.quantization.fake_quant_with_min_max_vars(
            inputs, tf.convert_to_tensor(low), tf.convert_to_tensor(high)
        )

    def get_config(self):
        return {"fixed": self.fixed}


class Rounding(tf_keras.layers.Layer):
    """A `FakeQuantize` layer whose range learns, by a `RangeQuantizer`.

    Attributes:
        carried: The variables that stand for those of the `FakeQuantize` layer.
    """

    def __init__(self, *, fixed: bool, **kwargs):
        super().__init__(**kwargs)
        self.quantizer = RangeQuantizer(fixed=fixed)

    def build(self, input_shape):
        self.range = self.quantizer.build(input_shape, "range", self)
        self.carried = [self.range["low"], self.range["high"]]
        self.built = True

    def call(self, inputs, training=None):
        return self.quantizer(inputs, training, self.range)

    def get_config(self):
        return {**super().get_config(), "fixed": self.quantizer.fixed}


def rounding(layer: FakeQuantize) -> Rounding:
    """The tf_keras layer for a `FakeQuantize` layer."""
    return Rounding(fixed=layer.fixed, name=layer.name)


def quantized_kernel(layer):
    """A convolution in tfmot's wrapper that rounds its kernel at every call."""
    config = KernelConfig(depthwise=isinstance(layer, DepthwiseConv2D))
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import (
        QuantizeWrapperV2,
    )

    return QuantizeWrapperV2(layer, config)
