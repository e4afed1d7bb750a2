"""`zoo.load`: a named model with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras

from zoo.errors import InputError, MismatchError
from zoo.files import check_local
from zoo.labels import LabelSet
from zoo.layers.resize import set_source
from zoo.models import registry
from zoo.models.assemble import ANY_SIZE, Wishes, assemble, build, wishes_for
from zoo.models.hub_files import fetched_weights, model_named_in
from zoo.models.keras_files import (
    arrays_of,
    from_model,
    from_unstated,
    from_variables,
    read_keras,
    settings_of,
)
from zoo.models.registry import ModelSpec
from zoo.remote import is_remote, local_file
from zoo.sequence.table import SEQUENCE_MODELS
from zoo.weights import catalog, containers
from zoo.weights.checkpoint import of_entry, of_file
from zoo.weights.folders import meant_in
from zoo.weights.hub import is_hub_address
from zoo.weights.readers.keras_shards import whole_of

__all__ = ["arrays_of", "load", "read_keras", "settings_of"]


def load(
    name: str,
    weights: str | Path | None = "default",
    *,
    classes: int | LabelSet | None = None,
    fresh_classifier: bool | None = None,
    input_shape: tuple[int | None, int | None, int] = ANY_SIZE,
    output_stride: int | None = None,
    auxiliary: bool = False,
    settings: Mapping[str, object] | None = None,
    allow_unverified: bool = False,
    checkpoint_key: str | None = None,
) -> keras.Model:
    """Build a model and give it weights.

    Args:
        name: A name of `zoo.list_models`, or the bare name of an architecture; or one of
            `zoo.sequence.SEQUENCE_MODELS`, which take `weights` and `settings` alone (see `zoo.process`); or
            ``"hf://owner/name"``, with ``@revision`` and ``/file`` behind where wanted, a repository of a
            model that says its name (extra ``hub``; see `zoo.hub.push`).
        weights: A tag of the catalog, ``"default"``, `None` for random ones, or the path of a file:
            one that ``zoo.info(name).files`` lists, also in a repository (``"hf://owner/name/file"``), or
            ``.keras`` of another one on the same backbone, whose head is then fresh.
            `zoo.weights.register_container` adds kinds of file.
        classes: Number of classes, or the label set; `None` keeps those of the weights. As many as the
            weights have keep their classifier, under the given names where the weights have none of their
            own. Another number, or other names than the weights', make a fresh one; what was kept is logged
            in one line. A file without its classifier, or without all of its head, needs them.
        fresh_classifier: `True` makes a fresh classifier in any case; `False` keeps the weights', under the
            names of `classes`, or raises.
        input_shape: ``(height, width, 3)``, `None` where any size may come.
        output_stride: 8, 16 or 32 instead of what the weights were trained at. Variables of Keras alone
            (``.weights.h5``) may need it, where the file does not say.
        auxiliary: Give the model a second output for training, where its architecture has one: the model
            then returns ``{"logits", "auxiliary"}``. `zoo.models.surgery.without_auxiliary` drops it.
        settings: Arguments of the model's builder instead of the weights' own, such as
            ``{"separable": True}``; the weights must fit the model that they make.
        allow_unverified: Accept a download whose SHA-256 was never published; the digest is recorded.
        checkpoint_key: Where in a file the weights are, such as ``"model_ema"`` or ``"state/model"``; `None`
            for the one set of tensors that fits, or of several the plain one.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits
        ``(batch, height, width, classes)``.

    Raises:
        InputError: An unknown name or tag, or an impossible argument.
        DownloadError: The weights could not be fetched or verified.
        FormatError: A file that is damaged, refused or not understood, or weights that are not finite.
        MismatchError: Weights that do not fit the model, with the difference, or that fit several settings.
    """
    pinned = None
    if is_hub_address(name) or is_hub_address(weights):
        name, weights, pinned = _from_hub(name, weights)
    if name in SEQUENCE_MODELS:
        usual = (classes, fresh_classifier, output_stride) == (None,) * 3 and input_shape == ANY_SIZE
        return _sequence(name, weights, settings, is_plain=usual and not auxiliary)
    spec = registry.resolve(name)
    wishes = wishes_for(
        spec,
        classes=classes,
        fresh_classifier=fresh_classifier,
        input_shape=input_shape,
        output_stride=output_stride,
        auxiliary=auxiliary,
        settings=settings,
    )
    if weights == "default":
        weights = spec.default_weights
        if weights is None:
            raise InputError(f"{spec.name} has no published weights; weights=None gives random ones")
    path = None if weights is None else _as_path(spec, weights)
    if path is not None:
        return _remember(_from_path(spec, path, wishes, key=checkpoint_key), spec, pinned or path.name)
    if checkpoint_key is not None:
        raise InputError(f"checkpoint_key says where in a file weights are; weights={weights!r} is no file")
    if weights is None:
        return _remember(build(spec, wishes), spec, None)
    entry = catalog.find(spec.name, str(weights))
    model = assemble(spec, of_entry(entry, allow_unverified=allow_unverified), wishes)
    return _remember(model, spec, entry.tag)


def _from_hub(name: str, weights: str | Path | None) -> tuple[str, Path, str]:
    """Name of a model, its weights file, and the address of that with its commit."""
    if not is_hub_address(name):
        path, address = fetched_weights(str(weights))
        return name, path, str(address)
    if weights != "default":
        raise InputError(f"{name} has weights of its own; weights={str(weights)!r} cannot change them")
    path, address = fetched_weights(name)
    return model_named_in(path, address), path, str(address)


def _sequence(name: str, weights: str | Path | None, settings, *, is_plain: bool) -> keras.Model:
    """A model of sequences; see `zoo.sequence.loading`."""
    from zoo.sequence.loading import check_sequence, load_sequence

    if not is_plain:
        raise InputError(
            f"{name} is a model of sequences: it takes weights and settings, and nothing of images"
        )
    if weights is None or Path(weights).suffix.lower() != ".keras":
        return load_sequence(name, weights, settings=settings)
    if settings:
        raise InputError(f"{weights} is a saved model with settings of its own: it takes no others")
    path = check_local(weights).expanduser()
    if not path.is_file():
        raise InputError(f"no such weights file: {path}")
    model = read_keras(path)
    check_sequence(name, model)
    return model


def _as_path(spec: ModelSpec, weights: str | Path) -> Path | None:
    """`weights` as a path when it is one: a Path, text with a separator or a known suffix, or a file."""
    text = str(weights)
    known = containers.suffixes()
    is_path = isinstance(weights, Path) or "/" in text or "\\" in text or text.lower().endswith(known)
    is_tag = text in [entry.tag for entry in spec.weights]
    if not is_path and (is_tag or not Path(text).is_file()):
        return None
    path = local_file(weights) if is_remote(weights) else check_local(weights).expanduser()
    index = path.with_name(f"{path.name}.index")
    if not path.exists() and index.is_file():  # TensorFlow calls a checkpoint by what its files share
        return index
    if path.is_dir():
        raise InputError(meant_in(path))
    if not path.is_file():
        raise InputError(f"no such weights file: {path}")
    return path


def _remember(model: keras.Model, spec: ModelSpec, weights: str | None) -> keras.Model:
    """Note where the model came from, for reports."""
    return set_source(model, name=spec.name, weights=weights)


def _from_path(spec: ModelSpec, path: Path, wishes: Wishes, *, key: str | None) -> keras.Model:
    """A file of the user's own: of the forms that its names fit, the first whose shapes fit too."""
    container = containers.recognize(path)
    if key is not None and container.holds != containers.TENSORS:
        raise InputError(f"{path.name}: checkpoint_key is for files of several sets of tensors")
    if container.holds == containers.MODEL:
        return from_model(spec, path, wishes)
    if container.holds == containers.VARIABLES:
        return from_variables(spec, whole_of(path), wishes)
    failures = []
    partial = wishes.classes is not None and wishes.fresh is not False
    forms = of_file(path, model=spec.name, entries=spec.weights, partial=partial, key=key)
    for checkpoint in sorted(forms, key=lambda form: not form.is_published):
        if checkpoint.model not in (None, spec.name):
            raise InputError(f"{path.name} holds weights of {checkpoint.model!r}, not of {spec.name!r}")
        try:
            if checkpoint.is_stated:
                return assemble(spec, checkpoint, wishes)
            return from_unstated(spec, checkpoint, wishes)
        except MismatchError as error:
            failures.append(error)
    raise failures[0]
