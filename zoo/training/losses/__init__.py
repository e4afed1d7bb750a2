"""Losses of logits against masks of class indices.

All of them take logits ``(batch, height, width, classes)`` of any float type and class indices
``(batch, height, width)``, with a last axis of 1 or one-hot as well, compute in float32, leave out the pixels
with the ignore label, and are 0 with gradients of 0 where every pixel is ignored. They are Keras losses:
`compile`, `fit` and saving know them. Keras' own ``class_weight`` is for one label an image: cross-entropy
takes ``class_weights``.

Each is a sum over what counts (pixels, images) divided by how much counts *in the whole batch*, over all
replicas of a `tf.distribute` strategy, and, as every Keras loss, comes scaled so that the sum over the
replicas is the loss of the batch. How the batch is cut does not change it.

A true value that is no class raises InputError eagerly and InvalidArgumentError in a graph; a graph compiled
by XLA, which knows no such checks, gives NaN.
"""

from __future__ import annotations

from zoo.training.losses.base import SegmentationLoss
from zoo.training.losses.combined import WeightedSum, WithAuxiliary
from zoo.training.losses.pixels import OnlineHardExamples, SparseCrossEntropy
from zoo.training.losses.regions import Dice, LovaszSoftmax

__all__ = [
    "Dice",
    "LovaszSoftmax",
    "OnlineHardExamples",
    "SegmentationLoss",
    "SparseCrossEntropy",
    "WeightedSum",
    "WithAuxiliary",
]
