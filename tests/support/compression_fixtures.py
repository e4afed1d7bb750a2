"""A tiny network with every kind of layer that the methods meet, and how it is trained."""

import keras
import numpy as np
import tensorflow as tf
from support.training_fixtures import CLASSES, IGNORE, make_batches, pixel_accuracy, pixel_loss

from zoo.compression import FineTuning
from zoo.labels import numbered
from zoo.layers.preprocessing import Normalize
from zoo.models.blocks import Norm, conv_bn_act, depthwise_bn_act, max_pool
from zoo.models.heads.aspp import aspp
from zoo.models.heads.classifier import classify
from zoo.training import OptimizerConfig, Settings

SIZE = 33
BLOCK = 11
NORM = Norm(1e-3)


def tiny(dropout=0.1) -> keras.Model:
    """Stem, pooling, a residual block with dilated depthwise convolution, separable ASPP, classifier."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3), name="image")
    x = Normalize(mean=(120.0, 115.0, 105.0), scale=(58.0, 57.0, 57.0), name="normalize")(image)
    stem = {"strides": 2, "padding": "symmetric", "act": "relu6", "norm": NORM}
    x = conv_bn_act(x, 8, 3, name="backbone.stem", **stem)
    x = max_pool(x, padding="symmetric", name="backbone.pool")
    y = depthwise_bn_act(x, rate=2, act="relu6", norm=NORM, name="backbone.block.depthwise")
    y = conv_bn_act(y, 8, act=None, norm=NORM, name="backbone.block.project")
    x = keras.layers.Add(name="backbone.block.add")([x, y])
    x = conv_bn_act(x, 16, 3, norm=NORM, rate=2, name="backbone.last")
    x = aspp(x, rates=(2, 3), channels=8, separable=True, dropout=dropout, norm=NORM)
    ends = {"label_set": numbered(CLASSES), "convention": "half_pixel"}
    return keras.Model(image, classify(x, image, **ends), name="tiny")


def mini() -> keras.Model:
    """Stem, one dilated convolution, classifier: quick to train where depth does not matter."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3), name="image")
    x = Normalize(mean=(120.0,) * 3, scale=(58.0,) * 3, name="normalize")(image)
    x = conv_bn_act(x, 8, 3, strides=2, norm=NORM, name="backbone.stem")
    x = conv_bn_act(x, 8, 3, rate=2, norm=NORM, name="aspp.project")
    ends = {"label_set": numbered(CLASSES), "convention": "half_pixel"}
    return keras.Model(image, classify(x, image, **ends), name="mini")


def settings(steps=6, **changes) -> Settings:
    fixed = {
        "epoch_steps": 3,
        "optimizer": OptimizerConfig(learning_rate=3e-3, weight_decay=1e-3, backbone_factor=0.5),
        "ignore_label": IGNORE,
        "progress": False,
    }
    return Settings(**{"steps": steps, **fixed, **changes})


def tuning(steps=6, *, output=None, validate=pixel_accuracy, batches=None, **changes) -> FineTuning:
    batches = batches or make_batches(size=SIZE, batch=2)
    parts = {name: changes.pop(name) for name in ("distillation", "report") if name in changes}
    options = {"loss": pixel_loss, "settings": settings(steps, **changes), "validate": validate}
    return FineTuning(batches=batches, output=output, **options, **parts)


def block_batches(*, batch):
    """Endless batches of `block_images` that a network of stride 4 can learn: the block's red decides."""

    def one(index):
        image = tf.random.stateless_uniform((batch, SIZE // BLOCK, SIZE // BLOCK, 3), (7, index)) * 255
        image = tf.repeat(tf.repeat(image, BLOCK, axis=1), BLOCK, axis=2)
        return image, tf.cast(image[..., 0] * CLASSES / 256, tf.int32)

    return lambda start: tf.data.Dataset.counter(start).map(one)


def block_images(count=3):
    return [image.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1) for image in images(count, SIZE // BLOCK)]


def images(count=3, size=SIZE):
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(count)]
