"""Models of the registry as files for the page, exported once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from zoo._version import __version__
from zoo.errors import InputError
from zoo.files import cache_dir

DEFAULT_SIZE = (360, 480)
_SUFFIXES = {"tflite": ".tflite", "onnx": ".onnx"}


def place_of(name: str, *, weights: str | None, format: str, size: tuple[int, int]) -> Path:
    """Where the file of a model is kept; the name changes with all that it depends on.

    Raises:
        InputError: No such model.
    """
    from zoo.models import registry

    spec = registry.resolve(name)
    facts = [__version__, spec.name, weights or "default", _digest(weights), format, list(size)]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return cache_dir() / "demo" / f"{spec.name}-{digest}{_SUFFIXES[format]}"


def _digest(weights: str | None) -> str | None:
    """Of a file of weights, which may change under its name."""
    if weights is None or not os.path.isfile(weights):
        return None
    return hashlib.sha256(Path(weights).read_bytes()).hexdigest()


def export_to(path: Path, model, *, format: str, size: tuple[int, int]) -> None:
    """Export a Keras model: TFLite with half-precision weights, which are half the download; ONNX in float32.

    Raises:
        InputError: The cache cannot be written.
        ParityError: The file does not compute what the model computes.
    """
    from zoo import export

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    if format == "tflite":
        export.to_tflite(model, path, input_size=size, quantize="float16")
    else:
        export.to_onnx(model, path, input_size=size, layout="nchw")
