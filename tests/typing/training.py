"""Training and compression as a type checker sees them in an installed package. Checked and never run."""

import keras
import numpy as np
import tensorflow as tf
from typing_extensions import assert_type

import zoo
from zoo import compression, training
from zoo.compression import Bridge, ClusteringConfig, Compressed, Distillation, FineTuning, PruningConfig
from zoo.datasets import Augmentation, Dataset
from zoo.export import ExportReport
from zoo.training import History, OptimizerConfig, Recipe, Settings
from zoo.training.losses import (
    Dice,
    LovaszSoftmax,
    OnlineHardExamples,
    SegmentationLoss,
    SparseCrossEntropy,
    WeightedSum,
    WithAuxiliary,
)


def loss() -> WithAuxiliary:
    parts: list[SegmentationLoss] = [
        SparseCrossEntropy(ignore_label=255),
        OnlineHardExamples(threshold=0.7),
        Dice(),
        LovaszSoftmax(),
    ]
    return WithAuxiliary(WeightedSum(parts, [1.0, 1.0, 0.5, 0.5]))


def trained(model: keras.Model, data: Dataset) -> History:
    recipe = Recipe(epochs=3, crop=(257, 257), augmentation=Augmentation(flip=True), loss={"dice": 1.0})
    history = zoo.train(model, data, recipe, validation=data, output="run")
    assert_type(history, History)
    assert_type(training.train(model, data, zoo.Recipe()), History)
    return history


def looped(model: keras.Model, batches: tf.data.Dataset) -> History:
    rate = training.Poly(learning_rate=1e-3, steps=100, power=0.9)
    training.Cosine(learning_rate=1e-3, steps=100)
    settings = Settings(steps=100, epoch_steps=50, optimizer=OptimizerConfig(learning_rate=rate))
    strategy = training.make_strategy("auto")
    return training.fit(
        model, batches.skip, loss=training.losses.Dice(), settings=settings, strategy=strategy
    )


def smaller(model: keras.Model, batches: tf.data.Dataset, settings: Settings) -> Compressed:
    teacher = Distillation(model)
    tuning = FineTuning(batches=batches.skip, loss=Dice(), settings=settings, distillation=teacher)
    assert_type(compression.prune(model, PruningConfig(sparsity=0.5), tuning), Compressed)
    assert_type(compression.cluster(model, ClusteringConfig(clusters=32), tuning), Compressed)
    found = compression.quantize(model, tuning, calibration=[np.zeros((1, 65, 65, 3), np.float32)])
    assert_type(compression.to_tflite(found.model, "q.tflite", input_size=(65, 65)), ExportReport)
    compression.sparsity(found.model)
    return found


def rebuilt(model: keras.Model) -> Bridge:
    compression.register_translation(keras.layers.Layer, lambda layer: layer)
    bridge = compression.to_tf_keras(model)
    assert_type(bridge, Bridge)
    return bridge
