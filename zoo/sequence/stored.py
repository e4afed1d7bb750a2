"""WaveNets of codes in the zoo's own files, and the ones that the package brings along."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np

from zoo.errors import FormatError, InputError, MismatchError
from zoo.sequence.wavenet import WaveNetConfig, build_wavenet, config_of
from zoo.weights.npz import ABOUT, CLASSES, read_npz, write_npz

# Of a configuration as text.
_LONGEST = 4096


def write_wavenet(path: str | Path, model: keras.Model) -> None:
    """Write a WaveNet with its configuration: kernels in 16 bits, biases in 32.

    Raises:
        InputError: Another model, or a file that cannot be written.
    """
    config = config_of(model)
    arrays = {
        f"{layer.name}/{variable.name}": np.asarray(variable)
        for layer in model.layers
        for variable in layer.weights
    }
    write_npz(Path(path), arrays, classes=config.classes, about=json.dumps(dataclasses.asdict(config)))


def read_wavenet(path: str | Path, *, name: str) -> keras.Model:
    """The WaveNet of a file that `write_wavenet` wrote.

    Args:
        path: The file.
        name: Of the Keras model.

    Raises:
        FormatError: A damaged file, or one of something else.
        MismatchError: Arrays that are not those of the file's configuration.
    """
    path = Path(path)
    arrays = read_npz(path)
    arrays.pop(CLASSES)
    model = build_wavenet(_config(str(arrays.pop(ABOUT, "")), path.name), name=name)
    wanted = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
    wrong = sorted(wanted.keys() ^ arrays.keys())
    wrong += [key for key in wanted.keys() & arrays.keys() if wanted[key].shape != arrays[key].shape]
    if wrong:
        raise MismatchError(
            f"{path.name}: {len(wrong)} arrays do not fit its configuration, such as {wrong[0]}"
        )
    for key, variable in wanted.items():
        if not np.isfinite(arrays[key]).all():
            raise FormatError(f"{path.name}: {key} has values that are not finite")
        variable.assign(arrays[key])
    return model


def _config(text: str, where: str) -> WaveNetConfig:
    try:
        found = json.loads(text) if len(text) <= _LONGEST else None
        if isinstance(found, dict):
            return WaveNetConfig(**found)
    except (ValueError, TypeError, RecursionError, InputError):
        pass
    raise FormatError(f"{where} does not describe itself as a WaveNet of codes")
