"""Multiply-adds of a built model: what its convolutions cost at one input size."""

from __future__ import annotations

import math

import keras

from zoo.errors import InputError
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D


def layer_multiply_adds(layer: keras.layers.Layer) -> int:
    """Multiply-adds of one layer for one image; 0 for layers without a kernel.

    Every tap counts, also where it falls on padding, as is usual in published figures.
    """
    if not isinstance(layer, DilatedConv2D | DilatedDepthwiseConv2D):
        return 0
    _, height, width, channels = layer.output.shape
    if height is None or width is None:
        raise InputError(f"layer {layer.name!r} has no fixed size: build the model with an input_shape")
    # A depthwise output channel reads one input channel, a dense one reads all of them.
    inputs = layer.input.shape[-1] if isinstance(layer, DilatedConv2D) else 1
    return height * width * channels * inputs * math.prod(layer.kernel_size)


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of all convolutions of a model built at a fixed size, for one image.

    Args:
        model: A functional model whose input shape names height and width.

    Raises:
        InputError: The model was built for any size.
    """
    return sum(layer_multiply_adds(layer) for layer in model.layers)
