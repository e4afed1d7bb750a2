"""Arrays to the layers of a model of sequences: strict in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from zoo.errors import FormatError, MismatchError


def assign_layers(model: keras.Model, arrays: Mapping[str, Sequence[np.ndarray]], *, file: str) -> None:
    """Set every weight of every layer once, or raise and set none.

    Args:
        model: Whose layers have weights.
        arrays: Of each such layer by its name, in the layer's order.
        file: Name of the source, for messages.

    Raises:
        MismatchError: Layers or shapes that differ.
        FormatError: Values that are not finite.
    """
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    wrong = sorted(layers.keys() ^ arrays.keys())
    for name in layers.keys() & arrays.keys():
        shapes = [tuple(w.shape) for w in layers[name].weights]
        if shapes != [np.shape(a) for a in arrays[name]]:
            wrong.append(name)
        elif not all(np.isfinite(a).all() for a in arrays[name]):
            raise FormatError(f"{file}: {name} has values that are not finite")
    if wrong:
        raise MismatchError(f"{file}: {len(wrong)} layers do not fit the network, such as {wrong[0]}")
    for name, layer in layers.items():
        layer.set_weights(arrays[name])
