"""`zoo.load` for models of sequences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from zoo.errors import InputError
from zoo.files import check_local
from zoo.sequence import bytenet, bytenet_tokens, wavenet
from zoo.sequence.bytenet_files import read_bytenet
from zoo.sequence.carp.loading import read_carp
from zoo.sequence.nam.network import amplifier, network_of
from zoo.sequence.nam.reader import read_nam
from zoo.sequence.stored import read_wavenet
from zoo.sequence.table import SEQUENCE_MODELS
from zoo.weights import catalog
from zoo.weights.fetch import fetch

log = logging.getLogger("zoo")

# What tells whether a saved model is one of the name.
_CHECKS: Mapping[str, Callable[[keras.Model], object]] = {
    "wavenet_nam": network_of,
    "bytenet_g2p": bytenet.config_of,
    "bytenet_carp": bytenet_tokens.token_net_of,
    "wavenet_digits": wavenet.config_of,
}
_READERS = {"bytenet_g2p": read_bytenet, "bytenet_carp": read_carp, "wavenet_digits": read_wavenet}


def load_sequence(
    name: str, weights: str | Path | None, *, settings: Mapping[str, object] | None = None
) -> keras.Model:
    """A model of sequences with its weights.

    Args:
        name: Of `SEQUENCE_MODELS`.
        weights: A tag of its published weights, ``"default"`` where it has a default one, or the path of a
            file of the kinds that the model takes.
        settings: Of ``wavenet_nam``: ``{"submodel": 0}`` takes another size of a file that holds several,
            smallest first. The others have none.

    Returns:
        A Keras model; see `zoo.sequence.nam.amplifier`, `zoo.sequence.build_bytenet`,
        `zoo.sequence.build_token_net` and `zoo.sequence.build_wavenet`.

    Raises:
        InputError: No such weights, or an unknown setting.
        DownloadError: The weights could not be fetched or verified.
        FormatError: A file that is damaged, or a variant that is not supported.
        MismatchError: Weights that do not fit the network.
    """
    spec = SEQUENCE_MODELS[name]
    settings = dict(settings or {})
    if weights == "default":
        weights = spec.default
    if weights is None and spec.weights:
        raise InputError(f"{name} needs weights: one of {', '.join(spec.weights)}, or a {spec.files[0]} file")
    if weights is None:
        raise InputError(
            f"{name} has no published weights: give the path of a {spec.files[0]} file as weights"
        )
    if name == "wavenet_nam":
        return _amplifier(name, weights, settings)
    if settings:
        raise InputError(f"{name} has no settings, and no {', '.join(settings)}")
    is_tag = weights in spec.weights
    path = fetch(catalog.find(name, str(weights))) if is_tag else _existing(name, weights)
    return _READERS[name](path, name=name)


def check_sequence(name: str, model: keras.Model) -> None:
    """`InputError` unless a saved model is one of the name."""
    _CHECKS[name](model)


def _existing(name: str, weights: str | Path) -> Path:
    """The path of a file that is there, of a kind that the model takes."""
    spec = SEQUENCE_MODELS[name]
    path = check_local(weights).expanduser()
    if not path.is_file():
        tags = ", ".join(spec.weights)
        raise InputError(f"{name} has no weights {str(weights)!r}, and no such file is there; tags: {tags}")
    if path.suffix not in spec.files:
        raise InputError(f"{name} takes files named {' or '.join(spec.files)}, not {path.name!r}")
    return path


def _amplifier(name: str, weights: str | Path, settings: dict[str, object]) -> keras.Model:
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
