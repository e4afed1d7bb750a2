"""`zoo.load` for models of sequences."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import keras

from zoo.errors import InputError
from zoo.files import check_local
from zoo.sequence.nam.network import amplifier
from zoo.sequence.nam.reader import read_nam
from zoo.sequence.table import SEQUENCE_MODELS

log = logging.getLogger("zoo")


def load_sequence(
    name: str, weights: str | Path | None, *, settings: Mapping[str, object] | None = None
) -> keras.Model:
    """A model of sequences with its weights.

    Args:
        name: Of `SEQUENCE_MODELS`.
        weights: Path of a file of the kinds that the model takes.
        settings: ``{"submodel": 0}`` takes another size of a file that holds several, smallest first.

    Returns:
        A Keras model; see `zoo.sequence.nam.amplifier`.

    Raises:
        InputError: No file, or an unknown setting.
        FormatError: A file that is damaged, or a variant that is not supported.
    """
    spec = SEQUENCE_MODELS[name]
    if weights is None or weights == "default":
        raise InputError(
            f"{name} has no published weights: give the path of a {spec.files[0]} file as weights"
        )
    settings = dict(settings or {})
    submodel = settings.pop("submodel", None)
    if settings:
        raise InputError(f"{name} has no setting {', '.join(settings)}; it has submodel")
    if submodel is not None and (not isinstance(submodel, int) or isinstance(submodel, bool)):
        raise InputError(f"submodel must be a whole number, not {submodel!r}")
    path = check_local(weights).expanduser()
    found = read_nam(path, submodel=submodel)
    if submodel is None and found.sizes > 1:
        said = "%s holds %d sizes, of which the largest is taken; submodel=0 is the smallest"
        log.info(said, path.name, found.sizes)
    if not found.states_rate:
        log.info("%s does not state its sample rate: taken for %g Hz", path.name, found.sample_rate)
    return amplifier(found, name=name)
