"""Whether a ``.keras`` file has the weights of the model it asks for, before Keras makes a variable."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras

from zoo.errors import FormatError
from zoo.weights.readers import archive
from zoo.weights.readers.hdf5 import CONFIG, check_keras

# What a model may hold that is not in its file, such as the seeds of its dropout.
_UNSAVED = 1 << 16


def check_size(path: Path) -> None:
    """Refuse a crafted archive, crafted weights, or a description that needs more numbers than there are.

    Raises:
        FormatError: In one line.
        Exception: Whatever Keras raises for a description that it cannot follow.
    """
    stored = check_keras(path)
    with archive.opened(path, kind=".keras") as file:
        config = json.loads(file.read(CONFIG))
    config.pop("compile_config", None)  # as in loading: an optimizer is no part of the model
    # Keras keeps a list of variables to be made by thread: with this one it is forgotten.
    with ThreadPoolExecutor(1) as thread:
        needed = thread.submit(_numbers, config).result()
    if needed > stored + _UNSAVED:
        raise FormatError(f"{path.name}: describes a model of {needed:,} numbers and holds {stored:,}")


def _numbers(config: dict) -> int:
    """Numbers in the variables of a model; none of them is made."""
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    return sum(math.prod(variable.shape) for variable in getattr(model, "variables", ()))
