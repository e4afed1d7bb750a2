"""What a model computes, as a digest: by its arrays, or by the bytes of an exported file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.export.core.artifact import Artifact

if TYPE_CHECKING:
    import keras


def model_identity(model: keras.Model | Artifact) -> dict[str, object]:
    """Name, classes, input size and SHA-256 of a model, as plain data that is equal for equal models."""
    if isinstance(model, Artifact):
        name, labels, size = model.metadata.model, model.label_set, model.input_size
        return {**_common(name, labels.names, size), "digest": _digest_of_files(Path(str(model.path)))}
    from zoo.layers.resize import label_set_of, logits_layer_of
    from zoo.models.loading import arrays_of

    digest = hashlib.sha256()
    for path, array in sorted(arrays_of(model).items()):
        array = np.ascontiguousarray(array)
        digest.update(f"{path} {array.dtype} {array.shape}\n".encode())
        digest.update(array.data)
    found = _common(model.name, label_set_of(model).names, model.input_shape[1:3])
    settings = sorted((logits_layer_of(model).settings or {}).items())
    return {**found, "settings": repr(settings), "digest": digest.hexdigest()}


def _common(name: str, classes: tuple[str, ...], size: tuple[int | None, int | None] | None) -> dict:
    return {"name": name, "classes": list(classes), "input_size": list(size or (None, None))}


def _digest_of_files(path: Path) -> str:
    """SHA-256 of a file, or of all files in a folder with their names."""
    digest = hashlib.sha256()
    inner = sorted(place for place in path.rglob("*") if place.is_file()) if path.is_dir() else [path]
    for place in inner:
        digest.update(f"{place.relative_to(path.parent).as_posix() if path.is_dir() else ''}\n".encode())
        with open(place, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()
