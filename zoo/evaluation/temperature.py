"""One temperature by which a network's confidence becomes that with which it is right.

Guo et al. 2017, section 4.2: logits are divided by one number, fitted on data that was not trained on. The
number goes into the weights of the classifier, so that every copy and export of the model has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np

from zoo.datasets.dataset import Dataset
from zoo.errors import InputError
from zoo.inference import segment
from zoo.labels import class_order
from zoo.layers.resize import label_set_of
from zoo.models.heads.classifier import AUXILIARY, is_classifier

EVERY = 4  # rows and columns from one pixel that counts to the next
RANGE = (0.05, 20.0)
_STEPS = 60
_FLOOR = 1e-30
_SEED = 0


def fitted_temperature(parts: Sequence[tuple[keras.Model, Dataset]]) -> float:
    """The temperature with the least cross-entropy on data that each model was not trained on.

    Args:
        parts: Models, each with the data that was held out from it; one number is fitted for all together.

    Raises:
        InputError: Classes that differ, or no pixel that counts.
    """
    rows, truths = [], []
    for model, data in parts:
        order = class_order(label_set_of(model), data.label_set)
        classes = len(data.label_set)
        for index in range(len(data)):
            image, true = data.read(index)
            found = segment(model, image).probabilities[::EVERY, ::EVERY]
            true = true[::EVERY, ::EVERY]
            known = true < classes
            arranged = np.zeros((int(known.sum()), classes), np.float32)
            arranged[:, order] = found[known]
            rows.append(np.log(np.maximum(arranged, _FLOOR)))
            truths.append(true[known])
    logits, labels = np.concatenate(rows), np.concatenate(truths)
    if not len(labels):
        raise InputError("no pixel counts, so there is nothing to fit a temperature to")
    return _least(lambda temperature: _cross_entropy(logits, labels, temperature))


def _cross_entropy(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    scaled = logits / temperature
    largest = scaled.max(axis=1)
    normalizer = np.log(np.exp(scaled - largest[:, np.newaxis]).sum(axis=1)) + largest
    return float((normalizer - scaled[np.arange(len(labels)), labels]).mean(dtype=np.float64))


def _least(loss) -> float:
    """Where a function with one valley is least, by golden sections of the logarithm."""
    low, high = map(math.log, RANGE)
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(math.exp(left)) < loss(math.exp(right)):
            high = right
        else:
            low = left
        if high - low < 1e-4:
            break
    return math.exp((low + high) / 2)


def with_temperature(model: keras.Model, temperature: float) -> keras.Model:
    """Divide a model's logits by a temperature, within the weights of its classifier; gives the model itself.

    Raises:
        InputError: A number that is not above 0, or a model whose logits do not follow from its classifier by
            sums and enlargement alone; its weights are as they were then.
    """
    number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not number or not math.isfinite(temperature) or temperature <= 0:
        raise InputError(f"a temperature is a number above 0, not {temperature!r}")
    fixed = model.input_shape[1:3]
    shape = (1, *(side or 65 for side in fixed), 3)
    image = np.random.default_rng(_SEED).uniform(0, 255, shape).astype(np.float32)
    before = np.asarray(model(image, training=False))
    layers = [x for x in model.layers if is_classifier(x.name) and not x.name.startswith(f"{AUXILIARY}.")]
    kept = [layer.get_weights() for layer in layers]
    for layer, weights in zip(layers, kept, strict=True):
        layer.set_weights([array / temperature for array in weights])
    after = np.asarray(model(image, training=False))
    if not np.allclose(after * temperature, before, rtol=1e-3, atol=1e-3 * float(np.abs(before).max())):
        for layer, weights in zip(layers, kept, strict=True):
            layer.set_weights(weights)
        raise InputError(
            f"the logits of {model.name} are more than its classifier's, so they cannot be scaled"
        )
    return model
