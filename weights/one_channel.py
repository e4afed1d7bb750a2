"""Classifiers of one channel, whose sigmoid is the probability of the one thing they look for."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from zoo.errors import MismatchError

log = logging.getLogger("zoo")

# Single layers whose channels are the classes; other classifiers have several channels per class.
_LINEAR = ("classifier", "auxiliary.classifier")


def two_channels(arrays: Mapping[str, np.ndarray], *, file: str) -> dict[str, np.ndarray]:
    """The same classifier with two channels, 0 and x: their softmax is ``(1 − sigmoid(x), sigmoid(x))``.

    Raises:
        MismatchError: A classifier of several layers, for which that does not hold.
    """
    layers = {path.partition("/")[0] for path in arrays}
    classifiers = {layer for layer in layers if "classifier" in layer.split(".")}
    if not classifiers <= set(_LINEAR):
        raise MismatchError(
            f"{file}: a classifier of one channel; this model needs one of two channels or more, background "
            "and object"
        )
    log.warning("%s: its one channel x is read as two classes with the logits 0 and x", file)
    return {
        path: np.concatenate([np.zeros_like(array), array], axis=-1)
        if path.partition("/")[0] in classifiers
        else array
        for path, array in arrays.items()
    }
