"""A tiny model, its data, and programs that train it in processes of their own.

``python training_fixtures.py resumable FOLDER STEPS`` writes a run and its final weights to FOLDER;
``python training_fixtures.py cluster FOLDER STEPS`` does so as one of the workers that ``TF_CONFIG`` names;
``python training_fixtures.py STRATEGY FILE tiny|real|own`` writes losses and weights to FILE.
"""

import os
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from zoo.labels import numbered
from zoo.layers import DilatedConv2D
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp
from zoo.models.heads.classifier import classify
from zoo.training import OptimizerConfig, Poly, Settings, fit, losses, make_strategy

CLASSES, IGNORE = 3, 255


def tiny_model(dropout=0.2) -> keras.Model:
    """Backbone of one convolution, batch norm and dropout; classifier."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = DilatedConv2D(4, kernel_size=3, strides=2, use_bias=False, name="backbone.stem.conv")(x)
    x = keras.layers.BatchNormalization(name="backbone.stem.bn")(x)
    x = keras.layers.ReLU(name="backbone.stem.relu")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    labels = numbered(CLASSES)
    return keras.Model(image, classify(x, image, label_set=labels, convention="half_pixel"), name="tiny")


def make_batches(*, size=16, batch=4, ignored=True):
    """Endless batches; masks follow the red channel, and each image ignores another number of rows."""

    def one(index):
        image = tf.random.stateless_uniform((batch, size, size, 3), (7, index)) * 255
        mask = tf.cast(image[..., 0] * CLASSES / 256, tf.int32)
        rows = tf.range(size)[tf.newaxis, :, tf.newaxis] < tf.range(batch)[:, tf.newaxis, tf.newaxis]
        return image, tf.where(rows, IGNORE, mask) if ignored else mask

    return lambda start: tf.data.Dataset.counter(start).map(one)


def slow_batches():
    """`make_batches`, slow enough that a signal arrives between two steps of the program."""

    def wait(image, mask):
        pause = tf.py_function(lambda: time.sleep(0.03) or 0, [], tf.int32)
        pause.set_shape(())
        return image, mask + 0 * pause

    return lambda start: make_batches()(start).map(wait)


def pixel_loss(mask, logits):
    """Mean cross-entropy over the pixels that count."""
    counted = tf.cast(mask != IGNORE, tf.float32)
    labels = tf.where(mask == IGNORE, 0, mask)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * counted), tf.reduce_sum(counted))


def pixel_accuracy(model) -> dict[str, float]:
    image, mask = next(iter(make_batches(ignored=False)(1000)))
    predicted = tf.argmax(model(image, training=False), axis=-1, output_type=tf.int32)
    return {"miou": float(tf.reduce_mean(tf.cast(predicted == mask, tf.float32)))}


def tiny_settings(steps=12, **changes) -> Settings:
    schedule = Poly(learning_rate=1e-2, steps=100, warmup=3)
    config = OptimizerConfig(learning_rate=schedule, backbone_factor=0.5)
    fixed = {"epoch_steps": 5, "optimizer": config, "ignore_label": IGNORE, "progress": False}
    return Settings(**{"steps": steps, **fixed, **changes})


def weights_of(model) -> dict[str, np.ndarray]:
    """Variables by path, without the numbers that Keras gives to random generators."""
    return {v.path: v.numpy() for v in model.variables if "seed_generator" not in v.path}


def real_model() -> keras.Model:
    """DeepLabv3 on a narrow MobileNetV2, with batch norm in some fifty layers."""
    labels, head = numbered(CLASSES), {"rates": (2,), "aspp_channels": 16, "image_pooling": False}
    return deeplabv3_aspp(backbone="mobilenet_v2", label_set=labels, width=0.25, dropout=0.0, **head)


def distributed_run(strategy_name: str, build, *, own_loss: bool = False):
    """Losses of a few steps on that strategy, and the model after them."""
    devices = ["CPU:0", "CPU:1"] if strategy_name == "mirrored" else None
    if devices:
        one = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], one)
    strategy = make_strategy(strategy_name, devices=devices)
    keras.utils.set_random_seed(3)
    with strategy.scope():
        model = build()
        loss = losses.SparseCrossEntropy(ignore_label=IGNORE) if own_loss else pixel_loss
    config = OptimizerConfig(kind="sgd", learning_rate=0.001, weight_decay=1e-3)
    settings = tiny_settings(steps=3, optimizer=config, clip_norm=1.0, average=0.9)
    batches = make_batches(size=65)
    history = fit(model, batches, loss=loss, settings=settings, strategy=strategy)
    return history, model


def resumable(folder: str, steps: int) -> None:
    tf.config.experimental.enable_op_determinism()
    model = tiny_model()
    settings = tiny_settings(steps, average=0.9, checkpoint_steps=3, accumulate=2)
    options = {"loss": pixel_loss, "validate": pixel_accuracy, "output": folder}
    print("ready", flush=True)
    history = fit(model, slow_batches(), settings=settings, **options)
    print(history.stopped, history.step, flush=True)
    np.savez(os.path.join(folder, "weights.npz"), **weights_of(model))


def clustered(folder: str, steps: int) -> None:
    strategy = make_strategy("auto")
    with strategy.scope():
        model = tiny_model(dropout=0.0)
    settings = tiny_settings(steps, average=0.9, checkpoint_steps=3)
    options = {"loss": pixel_loss, "validate": pixel_accuracy, "output": folder, "strategy": strategy}
    history = fit(model, slow_batches(), settings=settings, **options)
    print(history.stopped, history.step, flush=True)
    worker = strategy.cluster_resolver.task_id if strategy.cluster_resolver else 0
    np.savez(os.path.join(folder, f"weights{worker}.npz"), **weights_of(model))


def main() -> None:
    mode, output, what = sys.argv[1:]
    if mode == "cluster":
        clustered(output, int(what))
        return
    if mode == "resumable":
        resumable(output, int(what))
        return
    build = real_model if what == "real" else lambda: tiny_model(dropout=0.0)
    history, model = distributed_run(mode, build, own_loss=what == "own")
    np.savez(output, losses=history.losses, **weights_of(model))


if __name__ == "__main__":
    main()
