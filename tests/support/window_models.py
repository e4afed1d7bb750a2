"""Small models of the zoo's kind whose receptive field is known."""

from __future__ import annotations

import keras

from zoo.labels import numbered
from zoo.layers.resize import SegmentationLogits


def convolution(*, kernel: int, stride: int = 1, classes: int = 5, layers: int = 1) -> keras.Model:
    """Convolutions with ReLU, one of which has the stride, and logits resized to the image."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(image)
    for index in range(layers):
        step = stride if index == 0 else 1
        x = keras.layers.Conv2D(8, kernel, strides=step, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(classes, 1)(x)
    logits = SegmentationLogits(convention="half_pixel", label_set=numbered(classes))([x, image])
    return keras.Model(image, logits, name="convolution")
