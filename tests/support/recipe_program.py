"""``python recipe_program.py WORDS…`` is ``zoo WORDS…`` with a small network and deterministic operations."""

import sys

import keras
import tensorflow as tf

from zoo import cli
from zoo.layers import DilatedConv2D
from zoo.models import loading
from zoo.models.blocks import Norm
from zoo.models.heads.classifier import outputs


def small_network(name, weights="default", *, classes, auxiliary=False, **options) -> keras.Model:
    """What stands in for `zoo.load`: one convolution, batch norm, dropout, and the heads."""
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    x = DilatedConv2D(8, kernel_size=3, rate=2, use_bias=False, name="backbone.stem.conv")(x)
    x = keras.layers.BatchNormalization(name="backbone.stem.bn")(x)
    x = keras.layers.ReLU(name="backbone.stem.relu")(x)
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    ends = {"label_set": classes, "convention": "half_pixel", "norm": Norm(1e-3)}
    return keras.Model(image, outputs(x, image, auxiliary=x if auxiliary else None, **ends), name="small")


if __name__ == "__main__":
    tf.config.experimental.enable_op_determinism()
    loading.load = small_network
    sys.exit(cli.main(sys.argv[1:]))
