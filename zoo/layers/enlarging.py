"""Enlargement of the image within a model, for what is thinner than its finest map can tell."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Real

import keras
import numpy as np

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, shaped, sides, whole_steps
from zoo.layers.resize import resize_bilinear

MOST = 4.0
# Factors are fractions of whole numbers, so that converters find integers in the graph.
_FINEST = 16


def enlargement(value: object, what: str = "enlarge") -> float:
    """`value` as a factor from 1 to `MOST`, rounded to a sixteenth; `InputError` names `what` otherwise."""
    is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if not is_number or not math.isfinite(value) or not 1 <= value <= MOST:
        raise InputError(f"{what} must be a number from 1 to {MOST:g}, not {value!r}")
    return float(round(float(value) * _FINEST) / _FINEST)


@keras.saving.register_keras_serializable(PACKAGE)
class Enlarge(keras.layers.Layer):
    """Enlarges images by a factor, bilinearly between half-pixel centres, as float32.

    ``(batch, height, width, channels)`` → ``(batch, ⌈factor · height⌉, ⌈factor · width⌉, channels)``.

    Args:
        factor: From 1 to 4, in sixteenths.
        **kwargs: ``name`` of a Keras layer.

    Raises:
        InputError: A factor that is no number from 1 to 4.
    """

    def __init__(self, *, factor: float, **kwargs):
        # The accuracy of the image, under any mixed-precision policy.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.factor = enlargement(factor, "factor")

    def _enlarged(self, side):
        exact = Fraction(self.factor)
        return whole_steps(side * exact.numerator, exact.denominator)

    def call(self, x):
        size = [self._enlarged(side) for side in sides(x)]
        return shaped(resize_bilinear(x, size, convention="half_pixel"), self.compute_output_shape(x.shape))

    def compute_output_shape(self, input_shape):
        rows, columns = (None if side is None else self._enlarged(side) for side in input_shape[1:3])
        return (input_shape[0], rows, columns, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
