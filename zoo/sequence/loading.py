"""`zoo.load` for models of sequences."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import keras

from zoo.errors import InputError
from zoo.files import check_local
from zoo.sequence.bundled import BUNDLED
from zoo.sequence.nam.network import amplifier, network_of
from zoo.sequence.nam.reader import read_nam
from zoo.sequence.stored import read_wavenet
from zoo.sequence.table import SEQUENCE_MODELS, SequenceSpec
from zoo.sequence.wavenet import config_of
from zoo.weights.fetch import fetch

log = logging.getLogger("zoo")


def load_sequence(
    name: str, weights: str | Path | None, *, settings: Mapping[str, object] | None = None
) -> keras.Model:
    """A model of sequences with its weights.

    Args:
        name: Of `SEQUENCE_MODELS`.
        weights: Path of a file of the kinds that the model takes; ``"default"`` for weights that the package
            brings along.
        settings: For amplifiers, ``{"submodel": 0}`` takes another size of a file that holds several,
            smallest first.

    Returns:
        A Keras model; see `zoo.sequence.nam.amplifier` and `zoo.sequence.build_wavenet`.

    Raises:
        InputError: No file, or an unknown setting.
        FormatError: A file that is damaged, or a variant that is not supported.
    """
    spec = SEQUENCE_MODELS[name]
    if weights is None or (weights == "default" and not spec.bundled):
        said = "is not built with random weights" if spec.bundled else "has no published weights"
        raise InputError(f"{name} {said}: give the path of a {spec.files[0]} file as weights")
    return _LOADERS[name](spec, weights, dict(settings or {}))


def checked(name: str, model: keras.Model) -> keras.Model:
    """A saved model, if it is one of this name; `InputError` otherwise."""
    _CHECKS[name](model)
    return model


def _amplifier(spec: SequenceSpec, weights: str | Path, settings: dict) -> keras.Model:
    submodel = settings.pop("submodel", None)
    _refuse_settings(spec, settings, "submodel")
    if submodel is not None and (not isinstance(submodel, int) or isinstance(submodel, bool)):
        raise InputError(f"submodel must be a whole number, not {submodel!r}")
    path = check_local(weights).expanduser()
    found = read_nam(path, submodel=submodel)
    if submodel is None and found.sizes > 1:
        said = "%s holds %d sizes, of which the largest is taken; submodel=0 is the smallest"
        log.info(said, path.name, found.sizes)
    if not found.states_rate:
        log.info("%s does not state its sample rate: taken for %g Hz", path.name, found.sample_rate)
    return amplifier(found, name=spec.name)


def _digits(spec: SequenceSpec, weights: str | Path, settings: dict) -> keras.Model:
    _refuse_settings(spec, settings, "none")
    if weights == "default":
        path = fetch(BUNDLED[spec.name])
    else:
        path = check_local(weights).expanduser()
        if not path.is_file():
            raise InputError(f"no such weights file: {path}")
    return read_wavenet(path, name=spec.name)


def _refuse_settings(spec: SequenceSpec, settings: Mapping[str, object], known: str) -> None:
    if settings:
        raise InputError(f"{spec.name} has no setting {', '.join(settings)}; it has {known}")


_LOADERS = {"wavenet_nam": _amplifier, "wavenet_digits": _digits}
# What raises for a saved model of another kind.
_CHECKS = {"wavenet_nam": network_of, "wavenet_digits": config_of}
