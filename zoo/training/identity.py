"""What a run was begun with, kept beside it, so that it never goes on with another meaning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import keras

from zoo.datasets.dataset import Dataset
from zoo.errors import InputError
from zoo.files import write_text
from zoo.layers.resize import label_set_of
from zoo.training.recipe import Recipe
from zoo.training.values import shown

RUN = "run.json"
_CHECKPOINT = Path("checkpoints") / "checkpoint"
# Settings that may change on the way: what was learned keeps its meaning.
HARMLESS = (
    "epochs",
    "learning_rate",
    "schedule",
    "warmup",
    "weight_decay",
    "backbone_factor",
    "clip_norm",
    "validate_every",
    "patience",
)
# Of a file's path; the folders above may move.
_PARTS = 2
_MISSING = object()


def identity_of(model: keras.Model, data: Dataset, validation: Dataset | None, recipe: Recipe) -> dict:
    """Data, model and recipe of a run as plain data.

    Args:
        model: To be trained.
        data: To train on, as it was opened.
        validation: To score on, or `None`.
        recipe: How.
    """
    return {
        "model": _model(model),
        "data": _data(data),
        "validation": None if validation is None else _data(validation),
        "recipe": recipe.to_dict(),
    }


def _model(model: keras.Model) -> dict:
    weights = [[variable.path.split("/")[-1], list(variable.shape)] for variable in model.variables]
    layers = [[type(layer).__name__, _settings(layer)] for layer in model.layers]
    return {
        "name": model.name,
        "classes": list(label_set_of(model).names),
        "weights": _digest(weights),
        "layers": _digest(layers),
    }


def _settings(layer: keras.layers.Layer) -> dict:
    """A layer's settings but for what loading, naming and modes of computing add to them."""
    try:
        config = layer.get_config()
    except NotImplementedError:
        return {}
    passing = ("name", "dtype", "source", "trainable", "synchronized")
    return {key: value for key, value in config.items() if key not in passing}


def _data(data: Dataset) -> dict:
    files = [[list(path.parts[-_PARTS:]) for path in pair] for pair in data.pairs]
    return {
        "kind": data.name,
        "split": data.split,
        "classes": list(data.label_set.names),
        "ignore_label": data.label_set.ignore_label,
        "labels": _digest(data.values().tolist()),
        "colors": _digest([data.colors, data.distance]),
        "reading": {key: value for key, value in vars(data.reading).items() if value is not None},
        "images": len(data),
        "files": _digest(files),
        "order": data.order,
        "bytes": [sum(path.stat().st_size for path in pair) for pair in data.pairs],
    }


def _digest(document: object) -> str:
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def check_identity(folder: Path, identity: Mapping, *, note: Callable[[str], None]) -> None:
    """Compare a run with the one whose checkpoints stand in its folder, if any do.

    Args:
        folder: Of the run.
        identity: From `identity_of`.
        note: Called with a line that lists harmless changes.

    Raises:
        InputError: The folder holds the run of another model, data set or recipe; says what differs, or a
            file ``run.json`` that is damaged.
    """
    path = folder / RUN
    if not (folder / _CHECKPOINT).is_file() or not path.is_file():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        found = list(_differences(before, json.loads(json.dumps(identity))))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}); start in an empty folder") from None
    serious = [text for text, harmless in found if not harmless]
    if serious:
        raise InputError(
            f"{folder} holds another run: {'; '.join(serious)}; go on as it was begun, or start in an empty "
            "folder"
        )
    if found:
        note(f"{folder} goes on with {'; '.join(text for text, _ in found)}")


def write_identity(folder: Path, identity: Mapping) -> None:
    """Keep it beside the run."""
    write_text(folder / RUN, json.dumps(identity) + "\n")


def _differences(before: Mapping, now: Mapping) -> Iterator[tuple[str, bool]]:
    """What differs, in words, and whether that is harmless."""
    for group in ("model", "data", "validation"):
        old, new = before[group], now[group]
        if old is None or new is None:
            if old is not new:
                yield f"{'a' if old is None else 'no'} {group}", True
            continue
        yield from _changes(group, {**old, "bytes": None}, {**new, "bytes": None})
        sizes = old.get("bytes", []), new.get("bytes", [])
        if len(sizes[0]) == len(sizes[1]):
            yield from _changed_files(group, *sizes)
    yield from _changes("recipe", before["recipe"], now["recipe"])


def _changes(group: str, old: Mapping, new: Mapping) -> Iterator[tuple[str, bool]]:
    for key in dict.fromkeys((*old, *new)):
        was, is_now = old.get(key, _MISSING), new.get(key, _MISSING)
        if was == is_now or _MISSING in (was, is_now):  # a setting that one of the versions does not know
            continue
        text = f"{key} of the {group} was {_shown(was, is_now)}, now is {_shown(is_now, was)}"
        yield text, group == "recipe" and key in HARMLESS


def _shown(value: object, other: object) -> str:
    """A value in short; of lists the part from the first difference on."""
    if isinstance(value, list) and isinstance(other, list):
        pairs = enumerate(zip(value, other, strict=False))
        same = next((place for place, (one, two) in pairs if one != two), 0)
        return f"{'… ' if same else ''}{shown(value[same:])}"
    return shown(value)


def _changed_files(group: str, old: list[int], new: list[int]) -> Iterator[tuple[str, bool]]:
    changed = sum(a != b for a, b in zip(old, new, strict=True))
    if changed:
        # A file or two are mended on the way; most of them are another data set under the same names.
        yield (
            f"{changed} of {len(old)} samples of the {group} have files of another size",
            2 * changed <= len(old),
        )
