"""Intermediate tensors of a Core ML package."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zoo.export.core.artifact import Artifact
from zoo.export.coreml.names import decoded


def tensors(artifact: Artifact, image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values of what the operations give, for ``(1, height, width, 3)`` in 0…255."""
    for name, value in artifact.interpreter.values(artifact.as_input(image)):
        if value.dtype.kind == "f":
            yield decoded(name), value.astype(np.float32)
