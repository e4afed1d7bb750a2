"""Folds of a data set that no drive is on both sides of.

Frames of a drive are neighbours in time: a network that was trained on one has nearly seen the next. A fold
therefore holds out whole drives, or, where there are too few of them, contiguous stretches of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.datasets.dataset import Dataset
from zoo.errors import InputError

DRIVES = "drives"
# A name up to the number of its frame, which a letter may stand before: 0016E5_07959, Seq05VD_f00000.
_BEFORE_FRAME = re.compile(r"(.*?)[_\-. ]*[A-Za-z]?\d+$")
# Cityscapes: a city is a drive of its own, whatever follows.
_CITY = re.compile(r"([^_]+)_")
_STRETCHES = re.compile(r"stretches:(\d+)")
_LARGEST_LIST = 1 << 24
_SHOWN = 8


@dataclass(frozen=True)
class Fold:
    """One part of a data set that is held out, and the rest.

    Attributes:
        name: Of the part: the drive, or the drive and the number of the stretch.
        training: All other samples.
        held_out: The samples of the part.
    """

    name: str
    training: Dataset
    held_out: Dataset


def folds(dataset: Dataset, by: str) -> tuple[Fold, ...]:
    r"""The folds of a data set, in the order of their first samples.

    Args:
        dataset: What is divided.
        by: ``"drives"``: folders and names of the images up to the number of the frame; for Cityscapes the
            city. ``"stretches:N"``: of each drive N contiguous stretches, each a fold; the frames on both
            sides of a cut remain neighbours. A regular expression with one group, which finds the drive in
            the image's path below the folder that all images share: ``"(\w+)_\d+"``. The path of a text
            file whose lines are the name of an image and that of its fold.

    Returns:
        Two or more.

    Raises:
        InputError: A way of dividing that is none of these, an image that it does not fit, or fewer than two
            parts.
    """
    stretches = _STRETCHES.fullmatch(by)
    names = _names(dataset)
    if stretches:
        groups = _cut(_drives(dataset, names), int(stretches[1]))
    elif by == DRIVES:
        groups = _drives(dataset, names)
    elif Path(by).suffix == ".txt":
        groups = _listed(dataset, Path(by))
    else:
        groups = _found(names, by)
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    if len(members) < 2:
        raise InputError(
            f"folds by {by!r}: all {len(dataset)} images belong to {next(iter(members), 'none')!r}; give a "
            "pattern with one group such as '(.+)_[0-9]+', a list *.txt, or stretches:N"
        )
    return tuple(_fold(dataset, name, places) for name, places in members.items())


def part_of(dataset: Dataset, indices: Sequence[int]) -> Dataset:
    """The data set with these samples only."""
    return replace(dataset, pairs=tuple(dataset.pairs[index] for index in indices), counted=None)


def _fold(dataset: Dataset, name: str, places: list[int]) -> Fold:
    inside = set(places)
    others = [index for index in range(len(dataset)) if index not in inside]
    return Fold(name, part_of(dataset, others), part_of(dataset, places))


def _names(dataset: Dataset) -> list[str]:
    """Paths of the images below the folder that all of them share, without the suffix."""
    paths = [image for image, _ in dataset.pairs]
    shared = Path(*_common([path.parent.parts for path in paths]))
    return [path.relative_to(shared).with_suffix("").as_posix() for path in paths]


def _common(parts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    first, last = min(parts), max(parts)
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[:same]


def _drives(dataset: Dataset, names: Sequence[str]) -> list[str]:
    drives = []
    for name in names:
        folder, _, stem = name.rpartition("/")
        found = _CITY.match(stem) if dataset.name == "cityscapes" else _BEFORE_FRAME.fullmatch(stem)
        prefix = found[1] if found else ""
        if not found and not folder:
            raise InputError(
                f"folds by drives: {name!r} does not end in the number of a frame; give a pattern with one "
                "group, or a list *.txt"
            )
        drives.append("/".join(part for part in (folder, prefix) if part))
    return drives


def _cut(drives: Sequence[str], count: int) -> list[str]:
    """Names of the stretches: the drive, and which of its `count` parts."""
    if count < 2:
        raise InputError(f"stretches:N takes a number of 2 or more, not {count}")
    sizes = {drive: drives.count(drive) for drive in drives}
    small = next((drive for drive, size in sizes.items() if size < count), None)
    if small is not None:
        raise InputError(f"stretches:{count}: drive {small!r} has {sizes[small]} images only")
    seen: dict[str, int] = {}
    groups = []
    for drive in drives:
        place = seen.get(drive, 0)
        seen[drive] = place + 1
        stretch = place * count // sizes[drive] + 1
        groups.append(f"{drive}#{stretch}" if drive else f"#{stretch}")
    return groups


def _found(names: Sequence[str], pattern: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"folds by {pattern!r}: no regular expression ({error})") from None
    if compiled.groups != 1:
        raise InputError(
            f"folds by {pattern!r}: must be drives, stretches:N, a list *.txt, or a pattern with one group, "
            f"not {compiled.groups}"
        )
    found = [compiled.search(name) for name in names]
    missing = [name for name, match in zip(names, found, strict=True) if match is None or not match[1]]
    if missing:
        raise InputError(f"folds by {pattern!r}: {_some(missing)} do not match")
    return [match[1] for match in found if match]


def _listed(dataset: Dataset, path: Path) -> list[str]:
    fold_of = _read_list(path)
    missing = [image.name for image, _ in dataset.pairs if not {image.name, image.stem} & set(fold_of)]
    if missing:
        raise InputError(f"{path} names no fold of {_some(missing)}")
    return [fold_of.get(image.name) or fold_of[image.stem] for image, _ in dataset.pairs]


def _read_list(path: Path) -> Mapping[str, str]:
    try:
        if path.stat().st_size > _LARGEST_LIST:
            raise InputError(f"{path} is too large for a list of folds")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the list of folds {path}: {error}") from None
    fold_of: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or fold_of.get(words[0], words[1]) != words[1]:
            raise InputError(f"{path}:{number}: must be an image and its one fold, not {line.strip()!r}")
        fold_of[words[0]] = words[1]
    return fold_of


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
