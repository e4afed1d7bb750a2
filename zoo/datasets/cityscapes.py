"""Cityscapes: ``leftImg8bit`` and ``gtFine``, label ids mapped to the 19 trainIds, or files of trainIds."""

from __future__ import annotations

from pathlib import Path

from zoo.datasets.dataset import INVALID, Dataset
from zoo.datasets.listing import Listing, check_split
from zoo.datasets.names import folders, normal, visible
from zoo.labels import CITYSCAPES19

# The ids of the 19 evaluated classes, in the order of their trainIds (cityscapesScripts, helpers/labels.py).
IDS = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
LAST_ID = 33

_SPLIT_PARTS = "folders leftImg8bit/SPLIT and gtFine/SPLIT, SPLIT being train, val or test"
_IMAGE_ENDING = "_leftImg8bit.png"
_ID_ENDING = "_gtFine_labelIds.png"
_TRAIN_ID_ENDING = "_gtFine_labelTrainIds.png"


def train_id_table() -> tuple[int, ...]:
    """The trainId of each value in a file of label ids: 255 for ids that are not evaluated.

    Above 33 only 255 can be meant: the licence plate's -1 in a byte.
    """
    table = [INVALID] * 256
    table[: LAST_ID + 1] = [255] * (LAST_ID + 1)
    table[255] = 255
    for train_id, value in enumerate(IDS):
        table[value] = train_id
    return tuple(table)


def matches(root: Path) -> bool:
    """Whether a folder has this layout."""
    return (root / "leftImg8bit").is_dir() and (root / "gtFine").is_dir()


def splits(root: Path) -> tuple[str, ...]:
    """Splits that have images and a folder of labels."""
    names = ("train", "val", "test")
    return tuple(s for s in names if (root / "leftImg8bit" / s).is_dir() and (root / "gtFine" / s).is_dir())


def list_split(root: Path, split: str) -> Listing:
    """The pairs of a split over all cities, by name; label ids are preferred to files of trainIds."""
    check_split(split, splits(root), root, made_of=_SPLIT_PARTS)
    images = _by_stem(root / "leftImg8bit" / split, _IMAGE_ENDING)
    labels = _by_stem(root / "gtFine" / split, _ID_ENDING)
    ids = bool(labels)
    if not ids:
        labels = _by_stem(root / "gtFine" / split, _TRAIN_ID_ENDING)
    pairs = tuple((images[stem], labels[stem]) for stem in images if stem in labels)
    ending = _ID_ENDING if ids else _TRAIN_ID_ENDING
    unpaired = [(path, f"no label file (*{ending})") for stem, path in images.items() if stem not in labels]
    unpaired += [(path, "no image") for stem, path in labels.items() if stem not in images]
    table = train_id_table() if ids else None
    return Listing(Dataset("cityscapes", split, CITYSCAPES19, pairs, table, ids), tuple(unpaired))


def _by_stem(folder: Path, ending: str) -> dict[str, Path]:
    """Files of all cities, or of the folder itself: ``aachen/aachen_000000_000019`` → path."""
    paths = sorted(path for place in (folder, *folders(folder)) for path in visible(place, (".png",)))
    names = {normal(path.relative_to(folder).as_posix()): path for path in paths}
    return {name[: -len(ending)]: p for name, p in names.items() if name.lower().endswith(ending.lower())}
