"""The classes of the result, and which of them each label of the source becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zoo.datasets.convert.model import (
    BACKGROUND_NAMES,
    IGNORED,
    NO_CLASS,
    UNLABELLED,
    Settings,
    Source,
    is_background,
    is_ignored,
)
from zoo.errors import InputError
from zoo.labels import FEWEST_CLASSES, MOST_IN_FILES, checked_count


@dataclass(frozen=True)
class Classes:
    """Names in the order of their indices, and what becomes of each label.

    Attributes:
        names: Of the classes.
        index: By label: the class, `IGNORED`, or `UNLABELLED` for a label that is none of the classes.
        unlabelled: Class of the pixels that no region covers, or `IGNORED`.
    """

    names: tuple[str, ...]
    index: Mapping[str, int]
    unlabelled: int


def classes_of(source: Source, settings: Settings) -> Classes:
    """The classes of a source.

    The background is the first class, unless pixels without a label are ignored. Then follow the source's
    classes in its order, or those that the settings name in theirs.

    Raises:
        InputError: Labels that differ in upper case only, no label that is one of the named classes, or a
        number
            of classes that is none.
    """
    labels = list(dict.fromkeys(source.names))
    fold = settings.ignore_case
    if settings.classes is None:
        _check_case(labels, fold)
        named = _joined([label for label in labels if not is_ignored(label)], fold)
    else:
        named = list(settings.classes)
    wanted = settings.unlabelled or source.unlabelled
    background = next((name for name in named if is_background(name)), None)
    if wanted == "background":
        if settings.classes is None:
            named = [background or BACKGROUND_NAMES[0], *(name for name in named if name != background)]
        elif background is None:
            named = [BACKGROUND_NAMES[0], *named]
    index = {
        label: _index(label, named, explicit=settings.classes is not None, fold=fold) for label in labels
    }
    index[NO_CLASS] = IGNORED
    _check(named, index, labels, settings)
    position = IGNORED
    if wanted == "background":
        position = next(i for i, name in enumerate(named) if is_background(name))
    return Classes(tuple(named), index, position)


def _index(label: str, named: list[str], *, explicit: bool, fold: bool) -> int:
    if label in named:
        return named.index(label)
    alike = [i for i, name in enumerate(named) if name.casefold() == label.casefold()]
    if len(alike) == 1 and (fold or explicit):
        return alike[0]
    if is_ignored(label):
        return IGNORED
    if is_background(label):
        return next((i for i, name in enumerate(named) if is_background(name)), UNLABELLED)
    return UNLABELLED


def _check_case(labels: Iterable[str], fold: bool) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label.casefold(), label)
        if other != label and not fold:
            raise InputError(
                f"the labels {other!r} and {label!r} differ in upper case only: --ignore-case makes them one "
                "class, --classes FILE names those that are meant"
            )


def _joined(labels: Iterable[str], fold: bool) -> list[str]:
    seen: dict[str, str] = {}
    for label in labels:
        seen.setdefault(label.casefold() if fold else label, label)
    return list(seen.values())


def _check(named: list[str], index: Mapping[str, int], labels: list[str], settings: Settings) -> None:
    if labels and settings.classes is not None and all(index[label] == UNLABELLED for label in labels):
        raise InputError(
            f"none of the classes {', '.join(settings.classes[:8])} is a label of the data, which has "
            f"{', '.join(labels[:8])}"
        )
    counts = f"{FEWEST_CLASSES} to {MOST_IN_FILES} classes"
    message = f"there can be {counts}, the data have {len(named)}: {', '.join(named[:8])}"
    checked_count(len(named), message=message, most=MOST_IN_FILES)
