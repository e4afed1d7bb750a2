"""Losses and compression as a type checker sees them in an installed package. It is checked and never run."""

import keras
from typing_extensions import assert_type

from zoo import compression
from zoo.compression import Bridge
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


def smaller(model: keras.Model) -> Bridge:
    compression.sparsity(model)
    bridge = compression.to_tf_keras(model)
    assert_type(bridge, Bridge)
    return bridge
