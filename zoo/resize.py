"""Bilinear resizing, with the convention for where pixels lie stated by every caller."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers import PACKAGE

CONVENTIONS = ("half_pixel", "align_corners")


def check_convention(convention: str) -> str:
    """`convention` itself, or an `InputError` that lists the known ones."""
    if convention not in CONVENTIONS:
        raise InputError(f"convention must be one of {', '.join(CONVENTIONS)}, not {convention!r}")
    return convention


def resize_bilinear(x: tf.Tensor, size, *, convention: str) -> tf.Tensor:
    """Resize ``(batch, height, width, channels)`` to `size` = (height, width), as float32.

    Args:
        x: Float tensor.
        size: Target height and width: integers, or an int32 tensor of two.
        convention: ``"half_pixel"``: pixel centres at i + ½, source = (i + ½)·in/out − ½ (PyTorch's default,
            TensorFlow 2). ``"align_corners"``: the corner pixels' centres coincide, source = i·(in − 1)/
            (out − 1) (TF-DeepLab). The two differ by up to half a source pixel.
    """
    half_pixel = check_convention(convention) == "half_pixel"
    return tf.raw_ops.ResizeBilinear(
        images=tf.cast(x, tf.float32),
        size=size,
        half_pixel_centers=half_pixel,
        align_corners=not half_pixel,
    )


@keras.saving.register_keras_serializable(PACKAGE)
class Resize(keras.layers.Layer):
    """Bilinear resize of the first input to the height and width of the second, as float32.

    ``[(batch, h, w, channels), (batch, height, width, any)]`` → ``(batch, height, width, channels)``.

    Args:
        convention: See `resize_bilinear`; there is no default, because sources of weights differ.
        **kwargs: ``name`` of a Keras layer.
    """

    def __init__(self, *, convention: str, **kwargs):
        # Logits leave the network in float32 under any mixed-precision policy.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.convention = check_convention(convention)

    def call(self, inputs):
        x, like = inputs
        static = like.shape[1:3]
        size = static if static.is_fully_defined() else tf.shape(like)[1:3]
        return resize_bilinear(x, size, convention=self.convention)

    def compute_output_shape(self, input_shape):
        x, like = input_shape
        return (x[0], *like[1:3], x[-1])

    def get_config(self):
        return {**super().get_config(), "convention": self.convention}


@keras.saving.register_keras_serializable(PACKAGE)
class SegmentationLogits(Resize):
    """The last layer of every model: logits at the size of the image, and what their channels mean.

    Args:
        convention: See `Resize`.
        label_set: The `LabelSet` of the channels (or its config). It is part of the layer's config, so that a
            saved ``.keras`` file brings its class names and colours along.
        **kwargs: ``name`` of a Keras layer.
    """

    def __init__(self, *, convention: str, label_set, **kwargs):
        super().__init__(convention=convention, **kwargs)
        is_set = isinstance(label_set, LabelSet)
        self.label_set = label_set if is_set else LabelSet.from_config(label_set)

    def build(self, input_shape):
        channels = input_shape[0][-1]
        if channels != len(self.label_set):
            raise InputError(f"{len(self.label_set)} labels for {channels} channels of logits")

    def get_config(self):
        return {**super().get_config(), "label_set": self.label_set.to_config()}


def label_set_of(model: keras.Model) -> LabelSet:
    """The label set that a zoo model carries; `InputError` when it is not one."""
    for layer in reversed(model.layers):
        if isinstance(layer, SegmentationLogits):
            return layer.label_set
    raise InputError(f"model {model.name!r} has no SegmentationLogits layer: not a zoo model")
