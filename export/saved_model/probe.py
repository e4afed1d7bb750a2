"""Intermediate tensors of a SavedModel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from zoo.export.core.artifact import Artifact
from zoo.export.core.metadata import SIGNATURE
from zoo.files import literal_path


def tensors(artifact: Artifact, image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values of the maps that operations give, for ``(1, height, width, 3)`` in 0…255."""
    with literal_path(artifact.path) as folder:
        loaded = tf.saved_model.load(folder)
    # Flattens the functions that the signature calls; their tensors cannot be asked for.
    function = convert_variables_to_constants_v2(loaded.signatures[SIGNATURE])
    maps = [
        tensor
        for operation in function.graph.get_operations()
        if operation.type not in ("Const", "Placeholder", "Identity")
        for tensor in operation.outputs
        if tensor.dtype == tf.float32 and tensor.shape.rank == 4
    ]
    pruned = function.prune(function.inputs[0].name, [tensor.name for tensor in maps])
    for tensor, value in zip(maps, pruned(tf.constant(image)), strict=True):
        yield tensor.name, value.numpy()
