"""Batch normalization put back into a model whose publisher folded it into the convolutions.

A folded network gives the right masks, but trains badly: nothing keeps its activations in range, and fresh
layers behind it have no normalization either.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from zoo.errors import InputError
from zoo.layers.resize import label_set_of, set_source, source_of
from zoo.models.conventions import CONVENTIONS
from zoo.models.keras_files import settings_of
from zoo.models.loading import load

_FOLDED = "_folded"
_FLOOR = 1e-8  # of a variance: a channel that never changes


def unfold(model: keras.Model, images: Sequence[np.ndarray]) -> keras.Model:
    """The same network with batch normalization behind each convolution that lost it.

    Mean and variance are those of the images; scale and shift are chosen so that the network computes what it
    did. In training, the statistics of batches take the place of those.

    Args:
        model: Of a convention whose name ends in ``_folded``.
        images: ``(height, width, 3)``, RGB in 0…255, of the kind that the network will be trained on.

    Returns:
        A model of the convention without that ending, with the same logits but for rounding.

    Raises:
        InputError: A model that was not folded, or no images.
    """
    settings = dict(settings_of(model) or {})
    convention = str(settings.get("convention", ""))
    open_name = convention.removesuffix(_FOLDED)
    if open_name == convention or open_name not in CONVENTIONS:
        raise InputError(f"{model.name} has no folded batch norm: its convention is {convention!r}")
    if not len(images):
        raise InputError("unfolding needs images to take statistics of")
    source = source_of(model) or {"model": model.name, "weights": None}
    result = load(
        source["model"],
        None,
        classes=label_set_of(model),
        output_stride=settings.pop("output_stride", None),
        settings={**settings, "convention": open_name},
    )
    names = {layer.name for layer in result.layers}
    convolutions = [layer for layer in model.layers if layer.name.endswith(".conv") and layer.weights]
    folded = [layer for layer in convolutions if f"{layer.name.removesuffix('.conv')}.bn" in names]
    statistics = _statistics(model, folded, images)
    for layer, (mean, variance) in zip(folded, statistics, strict=True):
        kernel, bias = layer.get_weights()
        result.get_layer(layer.name).set_weights([kernel])
        norm = result.get_layer(f"{layer.name.removesuffix('.conv')}.bn")
        norm.set_weights([np.sqrt(variance + norm.epsilon), mean, mean - bias, variance])
    for layer in model.layers:
        if layer.weights and layer not in folded:
            result.get_layer(layer.name).set_weights(layer.get_weights())
    return set_source(result, name=source["model"], weights=source["weights"])


def _statistics(
    model: keras.Model, layers: Sequence[keras.layers.Layer], images: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of each channel of the layers' outputs, over all positions of all images."""
    outputs = keras.Model(model.input, [layer.output for layer in layers])
    sums, squares, counts = ([0.0] * len(layers) for _ in range(3))
    for image in images:
        found = outputs(np.asarray(image, np.float32)[np.newaxis], training=False)
        for place, tensor in enumerate(found):
            values = np.asarray(tensor, np.float64)
            sums[place] = sums[place] + values.sum((0, 1, 2))
            squares[place] = squares[place] + (values**2).sum((0, 1, 2))
            counts[place] += values[..., 0].size
    means = [total / count for total, count in zip(sums, counts, strict=True)]
    variances = [
        np.maximum(square / count - mean**2, 0.0) + _FLOOR
        for square, count, mean in zip(squares, counts, means, strict=True)
    ]
    return list(zip(means, variances, strict=True))
