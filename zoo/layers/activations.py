"""The hard activations of MobileNetV3."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.layers.common import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class HardSigmoid(keras.layers.Layer):
    """``relu6(x + 3) / 6``: the gate of MobileNetV3 (Howard et al. 2019, section 5.2), as PyTorch has it."""

    def call(self, x):
        return tf.nn.relu6(x + 3.0) * (1 / 6)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(PACKAGE)
class HardSwish(keras.layers.Layer):
    """``x · relu6(x + 3) / 6`` (Howard et al. 2019, section 5.2).

    Written as the product that converters recognise as one operation.
    """

    def call(self, x):
        return x * tf.nn.relu6(x + 3.0) * (1 / 6)

    def compute_output_shape(self, input_shape):
        return input_shape
