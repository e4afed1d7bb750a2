"""A model to its repository: whole, read back before it goes, in one commit."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import InputError
from zoo.hub.card import Card, Score
from zoo.images import write_png
from zoo.inference import ImageLike, segment
from zoo.layers.resize import label_set_of, logits_layer_of
from zoo.models import registry
from zoo.models.loading import arrays_of, read_keras
from zoo.weights import catalog
from zoo.weights.entry import WeightsEntry
from zoo.weights.hub import SCHEME, client, endpoint, parse_address, told
from zoo.weights.transfer import sha256_of

if TYPE_CHECKING:
    import keras

_MODEL, _CARD, _SAMPLE = "model.keras", "README.md", "sample.png"


def push(
    model: keras.Model,
    address: str,
    *,
    licence: str | None = None,
    scores: Sequence[Score] = (),
    sample: ImageLike | None = None,
    private: bool = False,
    message: str | None = None,
) -> str:
    """Write a model to a repository of a hub, with a card.

    The repository is made if it is not there. It receives ``model.keras``, ``README.md`` and, where there is
    one, ``sample.png``, in one commit. Who may write is the matter of the hub's client (``hf auth login``, or
    ``HF_TOKEN``); ``HF_ENDPOINT`` is another server.

    Args:
        model: Of the zoo.
        address: ``"hf://owner/name"``, with ``@branch`` for another branch than the main one.
        licence: Of the weights, by the name of SPDX where there is one, and the terms of their data; `None`
            for that of the catalog, where the model has weights of it.
        scores: With the protocol of their measurement; without any, that of the catalog.
        sample: Image whose overlay the card shows.
        private: Whether a repository that is made is private.
        message: Of the commit.

    Returns:
        The address with the hash of the commit, for `zoo.load`.

    Raises:
        InputError: Not such an address, a model that is none of the zoo, or no licence.
        DownloadError: The hub refused, or could not be reached.
    """
    where = parse_address(address)
    if where.file is not None:
        raise InputError(f"a model is pushed to {SCHEME}owner/name, not to a file in it: {address!r}")
    hub = client()
    entry = _entry_of(model)
    licence = licence or (entry.licence if entry else None)
    if not licence:
        raise InputError(
            "these weights have no licence that is known; give one, such as licence='Apache-2.0'"
        )
    with tempfile.TemporaryDirectory() as folder:
        files = _written(model, Path(folder), sample)
        card = Card(
            repository=where.repository,
            model=model.name,
            labels=label_set_of(model),
            licence=licence,
            parameters=model.count_params(),
            digest=sha256_of(files[_MODEL]),
            file=_MODEL,
            origin=entry.source if entry else None,
            scores=tuple(scores) or _scores_of(entry),
            sample=_SAMPLE if _SAMPLE in files else None,
        )
        files[_CARD] = Path(folder) / _CARD
        files[_CARD].write_text(card.text(), "utf-8")
        with told(where):
            commit = _committed(hub, where, files, private=private, message=message or f"{model.name}")
    return f"{SCHEME}{where.repository}@{commit}"


def _committed(hub: Any, where, files: dict[str, Path], *, private: bool, message: str) -> str:
    """Hash of the commit that has the files."""
    api = hub.HfApi(endpoint=endpoint(), library_name="atrous-zoo")
    api.create_repo(where.repository, private=private, exist_ok=True)
    operations = [hub.CommitOperationAdd(name, str(path)) for name, path in sorted(files.items())]
    branch = {"revision": where.revision} if where.revision else {}
    if where.revision:
        api.create_branch(where.repository, branch=where.revision, exist_ok=True)
    return api.create_commit(where.repository, operations, commit_message=message, **branch).oid


def _written(model: keras.Model, folder: Path, sample: ImageLike | None) -> dict[str, Path]:
    """The files of a model, which a loader takes; by their names."""
    if model.name not in registry.list_models():
        raise InputError(f"{model.name!r} is no model of the zoo: {', '.join(registry.list_models())}")
    files = {_MODEL: folder / _MODEL}
    model.save(files[_MODEL])
    again = arrays_of(read_keras(files[_MODEL]))
    for path, array in arrays_of(model).items():
        if not np.array_equal(array, again[path]):
            raise InputError(f"{path} is not read back as it was")
    if sample is not None:
        files[_SAMPLE] = write_png(folder / _SAMPLE, segment(model, sample).overlay())
    return files


def _entry_of(model: keras.Model) -> WeightsEntry | None:
    """What the catalog says of a model's weights."""
    source = logits_layer_of(model).source or {}
    found = [entry for entry in catalog.ENTRIES if entry.model == model.name]
    return next((entry for entry in found if entry.tag == source.get("weights")), None)


def _scores_of(entry: WeightsEntry | None) -> tuple[Score, ...]:
    if entry is None or entry.score is None or not entry.protocol:
        return ()
    return (Score(metric=str(entry.metric), value=entry.score, protocol=entry.protocol),)
