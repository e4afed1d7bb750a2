"""The layer of `zoo.sequence.gating`."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.layers.common import PACKAGE
from zoo.sequence.gating import Activation

_FUNCTIONS = {
    "Tanh": tf.tanh,
    "Hardtanh": lambda x: tf.clip_by_value(x, -1.0, 1.0),
    "ReLU": tf.nn.relu,
    "Sigmoid": tf.sigmoid,
    "SiLU": lambda x: x * tf.sigmoid(x),
    "Hardswish": lambda x: x * tf.nn.relu6(x + 3) * (1 / 6),
    "Softsign": tf.nn.softsign,
}


def _apply(function: Activation, x):
    if function.name == "LeakyReLU":
        return tf.nn.leaky_relu(x, alpha=function.slope)
    return _FUNCTIONS[function.name](x)


@keras.saving.register_keras_serializable(PACKAGE)
class GatedActivation(keras.layers.Layer):
    """An activation, or that of the first half of the channels times a gate of the second half.

    Args:
        activation: Name and slope, as `zoo.sequence.gating.Activation` has them.
        gate: The same; `None` for no gate.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, activation, gate=None, **kwargs):
        super().__init__(**kwargs)
        self.activation = Activation(*activation)
        self.gate = None if gate is None else Activation(*gate)

    def call(self, x):
        if self.gate is None:
            return _apply(self.activation, x)
        first, second = tf.split(x, 2, axis=-1)
        return _apply(self.activation, first) * _apply(self.gate, second)

    def compute_output_shape(self, input_shape):
        halves = 1 if self.gate is None else 2
        return (*input_shape[:-1], input_shape[-1] // halves)

    def get_config(self):
        gate = None if self.gate is None else self.gate.plain
        return {**super().get_config(), "activation": self.activation.plain, "gate": gate}
