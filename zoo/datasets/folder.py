"""Any folder of images and masks, paired by name; `zoo.datasets.arrangement` tells how it is arranged."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from zoo import labels
from zoo.datasets.arrangement import Arrangement, Part, arrangements, chosen, inside
from zoo.datasets.cityscapes import train_id_table
from zoo.datasets.dataset import Dataset, Pair
from zoo.datasets.listing import Listing, Unpaired, check_split, has_list, read_lines
from zoo.datasets.names import MASK_SUFFIXES, listed, normal, stem_of, visible, with_slashes
from zoo.datasets.pairing import Paired, pair
from zoo.errors import InputError
from zoo.labels import CITYSCAPES19, LabelSet

CLASS_FILE = "classes.txt"
_RANGE = f"{labels.FEWEST_CLASSES} to {labels.MOST_IN_FILES} classes"
_COUNT = f"{_RANGE} (for one thing to find: background and your class)"
_LISTS = ("train", "val", "test")
_ALL = "all"
_IDS, _TRAIN_IDS = "_labelids", "_labeltrainids"


@dataclass(frozen=True)
class Place:
    """A folder, and what the caller says of it.

    Attributes:
        root: The folder.
        masks: Folder of the masks, where `root` is that of the images.
        layout: Key of `zoo.datasets.arrangement.LAYOUTS`, where several fit.
    """

    root: Path
    masks: Path | None = None
    layout: str | None = None

    def arranged(self) -> Arrangement:
        """How it is arranged; `InputError` where no layout fits, or several."""
        found = chosen(self.root, self.layout) if self.masks is None else self._beside(self.masks)
        if found.divided and self.layout is None and _listed(self.root):
            name = f"{_listed(self.root)[0]}.txt"
            raise InputError(
                f"{self.root}: both {name} and {found.shown(self.root)} say what a split is; "
                f"--arrangement {found.layout} takes the folders, or remove the list"
            )
        return found

    def _beside(self, masks: Path) -> Arrangement:
        for folder in (self.root, masks):
            if not folder.is_dir():
                raise InputError(f"{folder}: no such folder; the kind 'folder' has images and masks")
        divided = inside(self.root, masks)
        flat = bool(visible(self.root)) or divided is None
        if divided is not None and flat and self.layout not in ("flat", "inside"):
            raise InputError(
                f"{self.root}: holds images itself and in folders of splits; "
                "--arrangement flat or inside decides"
            )
        if divided is not None and self.layout != "flat":
            return divided
        return Arrangement("flat", {"": Part(self.root, masks)})

    def splits(self) -> tuple[str, ...]:
        """Those that can be opened: by folders, by lists, or by a seeded choice; ``all`` is everything."""
        found = self.arranged()
        named = tuple(found.parts) if found.divided else _listed(self.root) or ("train", "val")
        return (*named, _ALL)

    def is_divided(self) -> bool:
        """Whether folders or lists tell the splits."""
        return self.arranged().divided or bool(_listed(self.root))


def matches(root: Path) -> bool:
    """Whether a folder has one of the layouts, or leaves open which."""
    try:
        return bool(arrangements(root))
    except InputError:
        return True


def splits(root: Path) -> tuple[str, ...]:
    """``train`` and ``val``, or those that have a folder or a list; ``all`` is everything."""
    return Place(root).splits()


def list_split(
    root: Path,
    split: str,
    *,
    classes: int | str | os.PathLike | Sequence[str] | LabelSet | None = None,
    masks: Path | None = None,
    arrangement: str | None = None,
    validation_share: float = 0.2,
    seed: int = 0,
    suffixes: Sequence[str] = MASK_SUFFIXES,
) -> Listing:
    """The pairs of a split, and the files of the whole folder that lack a partner."""
    place = Place(root, masks, arrangement)
    found = place.arranged()
    check_split(split, place.splits(), root)
    problems: list[Unpaired] = []
    if found.divided:
        parts = found.parts.values() if split == _ALL else [found.parts[split]]
        pairs = [one for part in parts for one in _whole(pair(part.images, part.masks, suffixes), problems)]
    else:
        part = found.parts[""]
        paired = pair(part.images, part.masks, suffixes)
        if split != _ALL and _listed(root):
            pairs = _of_list(paired, root / f"{split}.txt", part.images, problems)
        else:
            pairs = _whole(paired, problems)
            if split != _ALL:
                pairs = _chosen(pairs, split, share=validation_share, seed=seed)
    ids = _named_ids(pairs) if classes is None and not (root / CLASS_FILE).is_file() else None
    known = CITYSCAPES19 if ids else label_set(root, classes)
    table = train_id_table() if ids == _IDS else None
    dataset = Dataset("folder", split, known, tuple(pairs), table, ids == _IDS)
    return Listing(dataset, tuple(problems))


def names_classes(place: Place) -> bool:
    """Whether a folder's files say which classes there are: ``classes.txt``, or Cityscapes' names."""
    if (place.root / CLASS_FILE).is_file():
        return True
    parts = place.arranged().parts.values()
    return (
        _named_ids([one for part in parts for one in _whole(pair(part.images, part.masks), [])]) is not None
    )


def _whole(paired: Paired, problems: list[Unpaired]) -> list[Pair]:
    """All pairs by stem; what has no partner is a problem."""
    problems += [*paired.problems, *paired.beside, *paired.unpaired()]
    return _matched(paired, sorted(paired.images), problems)


def _of_list(paired: Paired, path: Path, folder: Path, problems: list[Unpaired]) -> list[Pair]:
    """The pairs in a list of stems. A listed sample must exist; what no list names is nobody's business."""
    problems += paired.problems
    stems = []
    for line in listed(read_lines(path)):
        name = normal(line)
        if name not in paired.images:
            name = normal(PurePosixPath(with_slashes(line)).name)
        stems.append(name if name in paired.images else stem_of(name))
    absent = [stem for stem in stems if stem not in paired.images]
    problems += [(folder / stem, "no image of this stem, which is listed") for stem in absent]
    return _matched(paired, stems, problems)


def _matched(paired: Paired, stems: list[str], problems: list[Unpaired]) -> list[Pair]:
    images, masks = paired.images, paired.masks
    problems += [(images[s], "no mask of this stem") for s in stems if s in images and s not in masks]
    return [(images[stem], masks[stem]) for stem in stems if stem in images and stem in masks]


def _named_ids(pairs: Sequence[Pair]) -> str | None:
    """The ending of Cityscapes that all masks have: they hold its label ids or trainIds."""
    stems = [mask.stem.lower() for _, mask in pairs]
    for ending in (_IDS, _TRAIN_IDS):
        if stems and all(stem.endswith(ending) for stem in stems):
            return ending
    return None


def label_set(root: Path, classes: int | str | os.PathLike | Sequence[str] | LabelSet | None) -> LabelSet:
    """The classes as given, by number, by names, or in a text file; see `zoo.datasets.open_dataset`."""
    if isinstance(classes, LabelSet):
        _checked_count(len(classes))
        return classes
    if classes is None:
        classes = root / CLASS_FILE
        if not classes.is_file():
            raise InputError(
                f"{root}: the classes are not known; give names, a number, or {CLASS_FILE} there"
            )
    if isinstance(classes, int | np.integer):
        return labels.numbered(_checked_count(classes))
    source = "classes"
    if isinstance(classes, str | os.PathLike):
        source, classes = os.fspath(classes), read_lines(Path(classes))
    names = [str(name) for name in classes]
    _checked_count(len(names), source=f"{source}: ")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{source}: class names occur twice: {', '.join(repeated)}")
    return labels.named(names)


def _checked_count(count: object, *, source: str = "") -> int:
    message = f"{source}there can be {_COUNT}, not {count}"
    return labels.checked_count(count, message=message, most=labels.MOST_IN_FILES)


def _listed(root: Path) -> tuple[str, ...]:
    return tuple(split for split in _LISTS if has_list(root / f"{split}.txt"))


def _chosen(pairs: list[Pair], split: str, *, share: float, seed: int) -> list[Pair]:
    """The seeded split; the two parts together are all pairs, and neither is empty if there are two."""
    if not 0 < share < 1:
        raise InputError(f"the validation share lies between 0 and 1, not {share}")
    if len(pairs) < 2:
        raise InputError(f"a split needs two samples or more, there are {len(pairs)}; use the split 'all'")
    count = min(max(1, round(share * len(pairs))), len(pairs) - 1)
    # `random` promises the same sequence for a seed in every version of Python.
    ranks = random.Random(seed)
    held_out = set(sorted(range(len(pairs)), key=lambda _: ranks.random())[:count])
    return [one for index, one in enumerate(pairs) if (index in held_out) == (split == "val")]
