"""ByteNets of two sequences in the zoo's own files: kernels in 16 bits, and the configuration."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np

from zoo.errors import FormatError, InputError
from zoo.sequence.arrays import assign_layers
from zoo.sequence.bytenet import ByteNetConfig, build_bytenet, config_of
from zoo.weights.npz import ABOUT, CLASSES, read_npz, write_npz

_LONGEST = 4096


def write_bytenet(path: str | Path, model: keras.Model) -> None:
    """Write a ByteNet: kernels and embeddings in 16 bits, all else in 32; the same model, the same bytes.

    Raises:
        InputError: Another model, a value beyond 16 bits, or a file that cannot be written.
    """
    config = config_of(model)
    arrays = {
        f"{layer.name}/{index}": np.asarray(weight)
        for layer in model.layers
        for index, weight in enumerate(layer.weights)
    }
    write_npz(Path(path), arrays, classes=config.target, about=json.dumps(dataclasses.asdict(config)))


def read_bytenet(path: str | Path, *, name: str = "bytenet") -> keras.Model:
    """The ByteNet of a file that `write_bytenet` wrote.

    Args:
        path: The file.
        name: Of the Keras model.

    Raises:
        FormatError: A damaged file, one of something else, or values that are not finite.
        MismatchError: Arrays that are not those of the file's configuration.
    """
    path = Path(path)
    stored = read_npz(path)
    stored.pop(CLASSES)
    config = _config(str(stored.pop(ABOUT, "")), path.name)
    arrays: dict[str, list[np.ndarray]] = {}
    for key in sorted(stored):
        arrays.setdefault(key.rpartition("/")[0], []).append(stored[key])
    model = build_bytenet(config, name=name)
    assign_layers(model, arrays, file=path.name)
    return model


def _config(text: str, file: str) -> ByteNetConfig:
    try:
        found = json.loads(text) if len(text) <= _LONGEST else None
        if isinstance(found, dict):
            return ByteNetConfig(**found)
    except (ValueError, TypeError, RecursionError, InputError):
        pass
    raise FormatError(f"{file} does not describe itself as a ByteNet of two sequences")
