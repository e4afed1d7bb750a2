"""Normalization of images, as a layer inside the model: it belongs to the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE


@dataclass(frozen=True)
class Normalization:
    """``(image − mean) / scale`` for each channel, on RGB in 0…255; `order` is what the network sees."""

    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    order: str = "rgb"


def _torchvision() -> Normalization:
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Normalization(tuple(255 * m for m in mean), tuple(255 * s for s in deviation))


# Stated by each source for images in 0…1 (torchvision's model documentation) or 0…255.
TORCHVISION = _torchvision()
# The input quantization of the published TFLite files: scale 1/128, zero point 128.
TF_DEEPLAB = Normalization((128.0,) * 3, (128.0,) * 3)
# TF-DeepLab's own preprocessing of float networks, 2 / 255 · x − 1.
TF_FLOAT = Normalization((127.5,) * 3, (127.5,) * 3)
# The ImageNet means of the Caffe models, whose networks see BGR.
CAFFE = Normalization((123.68, 116.779, 103.939), (1.0,) * 3, order="bgr")
# TuSimple-DUC subtracts these from RGB in 0…255 and leaves the scale.
TUSIMPLE_DUC = Normalization((122.675, 116.669, 104.008), (1.0,) * 3)

NORMALIZATIONS = {
    "torchvision": TORCHVISION,
    "tf_deeplab": TF_DEEPLAB,
    "tf_float": TF_FLOAT,
    "caffe": CAFFE,
    "tusimple_duc": TUSIMPLE_DUC,
}


@keras.saving.register_keras_serializable(PACKAGE)
class Normalize(keras.layers.Layer):
    """``(image − mean) / scale`` on ``(batch, height, width, 3)`` RGB images in 0…255.

    Args:
        mean: One value for each of R, G, B, in 0…255.
        scale: One divisor for each of R, G, B.
        order: ``"rgb"``, or ``"bgr"`` to reverse the channels afterwards (Caffe).
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, mean: Sequence[float], scale: Sequence[float], order: str = "rgb", **kwargs):
        super().__init__(**kwargs, autocast=False)
        if len(mean) != 3 or len(scale) != 3 or not all(scale):
            raise InputError(f"mean and scale take three numbers, scale not 0: {mean}, {scale}")
        if order not in ("rgb", "bgr"):
            raise InputError(f"order must be 'rgb' or 'bgr', not {order!r}")
        self.mean = tuple(float(m) for m in mean)
        self.scale = tuple(float(s) for s in scale)
        self.order = order

    def call(self, image):
        # In float32 even under a half-precision policy: 16 bits would round the mean away.
        factor = tf.constant([1.0 / s for s in self.scale])
        x = (tf.cast(image, tf.float32) - tf.constant(self.mean)) * factor
        x = x if self.order == "rgb" else x[..., ::-1]
        return tf.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = {"mean": self.mean, "scale": self.scale, "order": self.order}
        return {**super().get_config(), **config}
