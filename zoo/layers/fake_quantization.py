"""Keras 3 layers of a quantized model. Importing this module needs none of the optional packages."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.layers.common import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class FakeQuantize(keras.layers.Layer):
    """Rounds a tensor to the 256 values that 8 bits give it, as float32.

    The range ``low … high`` is part of the weights; it is moved a little so that 0 is one of the values
    (Jacob et al. 2018, section 3.1).

    Args:
        fixed: Whether the range stays as it is in training.
        **kwargs: ``name`` of a Keras layer.
    """

    def __init__(self, *, fixed: bool = False, **kwargs):
        super().__init__(**{**kwargs, "trainable": False})
        self.fixed = bool(fixed)

    def build(self, input_shape):
        self.low = self.add_weight(name="low", shape=(), initializer="zeros", trainable=False)
        self.high = self.add_weight(name="high", shape=(), initializer="ones", trainable=False)

    def call(self, x):
        low, high = (tf.convert_to_tensor(keras.ops.convert_to_tensor(v)) for v in (self.low, self.high))
        return tf.quantization.fake_quant_with_min_max_vars(x, low, high)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "fixed": self.fixed}


@keras.saving.register_keras_serializable(PACKAGE)
class Shift(keras.layers.Layer):
    """Adds a constant."""

    def __init__(self, *, amount: float, **kwargs):
        super().__init__(**kwargs)
        self.amount = float(amount)

    def call(self, x):
        return x + self.amount

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "amount": self.amount}


@keras.saving.register_keras_serializable(PACKAGE)
class Scale(keras.layers.Layer):
    """Multiplies by a constant."""

    def __init__(self, *, factor: float, **kwargs):
        super().__init__(**kwargs)
        self.factor = float(factor)

    def call(self, x):
        return x * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
