"""What a model says about itself: where it came from, and how it was built. Plain data, for files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.labels import LabelSet

# Under this name the layer of the logits writes it among a model's weights.
ABOUT = "about"
_LONGEST = 1 << 22


def checked_source(source: Mapping[str, object] | None) -> dict[str, str | None] | None:
    """``{"model", "weights"}`` of a source, or an `InputError`."""
    if source is None:
        return None
    valid = isinstance(source, Mapping) and set(source) - {"settings"} == {"model", "weights"}
    if not valid or not isinstance(source["model"], str) or not isinstance(source["weights"], str | None):
        raise InputError(
            f"a source is {{'model': name, 'weights': tag or file name or None}}, not {source!r}"
        )
    return {"model": source["model"], "weights": source["weights"]}


def as_tuples(value: Any) -> Any:
    """Plain data with tuples in the place of lists, as builders take them."""
    if isinstance(value, Mapping):
        return {key: as_tuples(item) for key, item in value.items()}
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple) else value


def as_lists(value: Any) -> Any:
    """The inverse of `as_tuples`: what JSON has."""
    if isinstance(value, Mapping):
        return {key: as_lists(item) for key, item in value.items()}
    return list(map(as_lists, value)) if isinstance(value, list | tuple) else value


def is_plain(value) -> bool:
    """Whether a setting can be written to a file: text, numbers, `None`, and tuples of them."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | bool | int | float)


def to_text(*, model: str, settings: Mapping[str, object], labels: LabelSet) -> str:
    """What a file of weights says of its model: its name, its builder's settings and its classes."""
    return json.dumps({"model": model, "settings": as_lists(settings), "labels": labels.to_config()})


def from_text(text: str, *, file: str) -> tuple[str, dict[str, object], LabelSet]:
    """The inverse of `to_text`: model, settings and classes.

    Raises:
        FormatError: Text of another form.
    """
    try:
        if len(text) > _LONGEST:
            raise ValueError(f"{len(text):,} characters, of {_LONGEST:,} at most")
        content = json.loads(text)
        model, settings = content["model"], as_tuples(content["settings"])
        if not isinstance(model, str) or not isinstance(settings, dict):
            raise TypeError("model and settings are text and a table")
        return model, dict(settings), LabelSet.from_config(content["labels"])
    except (ValueError, TypeError, KeyError, RecursionError, InputError) as error:
        raise FormatError(f"{file}: what it says about its model cannot be read: {error}") from error


def to_bytes(text: str) -> np.ndarray:
    """Text as an array, which is all that a file of weights holds."""
    return np.frombuffer(text.encode(), np.uint8)


def from_bytes(array, *, file: str) -> str:
    """The inverse of `to_bytes`; `FormatError` for what is no text."""
    try:
        found = np.asarray(array)
        if found.dtype != np.uint8 or found.ndim != 1:
            raise ValueError(f"{found.dtype} {found.shape}")
        return found.tobytes().decode()
    except ValueError as error:
        raise FormatError(f"{file}: what it says about its model cannot be read: {error}") from error
