"""The published networks of context aggregation, narrow; their module alone; the kernels that enlarge."""

import keras
import numpy as np

from zoo import labels
from zoo.labels import numbered
from zoo.models.architectures.context_aggregation import context_aggregation
from zoo.models.heads.context import context_module
from zoo.weights import catalog


def small(tag="voc2012", *, classes=None, **options):
    """A published network with its front end at 1/32 of the width."""
    entry = catalog.find("context_aggregation_vgg16", tag)
    label_set = labels.resolve(entry.labels) if classes is None else numbered(classes)
    settings = {"backbone": "vgg16", "label_set": label_set, "width": 1 / 32}
    return context_aggregation(**{**entry.settings, **settings, **options})


def tents(channels=19, size=16):
    line = 1 - np.abs((np.arange(size) + 0.5) / (size / 2) - 1)
    return np.broadcast_to(np.outer(line, line), (channels, 1, size, size)).astype(np.float32)


def context(classes=4, **options):
    scores = keras.Input((None, None, classes))
    return keras.Model(scores, context_module(scores, classes=classes, **options))
