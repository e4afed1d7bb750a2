"""PASCAL VOC 2012 in the layout of its development kit, and SBD's additional masks (``train_aug``)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from zoo.datasets.dataset import Dataset
from zoo.datasets.listing import Listing, check_split, has_list, read_lines
from zoo.datasets.names import MASK_SUFFIXES, listed, sibling, stem_of, visible, with_slashes
from zoo.images import SUFFIXES
from zoo.labels import VOC21

_SPLITS = ("train", "val", "trainval")
_SPLIT_PARTS = "a list train.txt, val.txt or trainval.txt in ImageSets/Segmentation"
_AUGMENTED = "train_aug"
_AUGMENTED_FOLDER = "SegmentationClassAug"
# Both names are in use for the list of `train_aug`.
_AUGMENTED_LISTS = ("train_aug.txt", "trainaug.txt")


def matches(root: Path) -> bool:
    """Whether a folder has this layout."""
    return (_base(root) / "ImageSets" / "Segmentation").is_dir()


def splits(root: Path) -> tuple[str, ...]:
    """Splits that have a list, and ``train_aug`` if its masks are there."""
    base = _base(root)
    found = [split for split in _SPLITS if has_list(_lists(base) / f"{split}.txt")]
    if (base / _AUGMENTED_FOLDER).is_dir():
        found.append(_AUGMENTED)
    return tuple(found)


def list_split(root: Path, split: str) -> Listing:
    """The pairs in the list of a split."""
    check_split(split, splits(root), root, made_of=_SPLIT_PARTS)
    base = _base(root)
    stems = _augmented(base) if split == _AUGMENTED else _stems(_lists(base) / f"{split}.txt")
    masks = base / (_AUGMENTED_FOLDER if split == _AUGMENTED else "SegmentationClass")
    images = base / "JPEGImages"
    pairs = tuple(
        (sibling(images, stem, SUFFIXES, ".jpg"), sibling(masks, stem, MASK_SUFFIXES, ".png"))
        for stem in stems
    )
    return Listing(Dataset("voc2012", split, VOC21, pairs))


def _base(root: Path) -> Path:
    """The folder ``VOC2012`` in, below or at `root`."""
    candidates = (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root)
    return next((path for path in candidates if path.is_dir()), root)


def _lists(base: Path) -> Path:
    return base / "ImageSets" / "Segmentation"


def _stems(path: Path) -> list[str]:
    # Lists of `train_aug` may have paths: "/JPEGImages/2007_32.jpg /SegmentationClassAug/2007_32.png".
    return [stem_of(PurePosixPath(with_slashes(line.split()[0])).name) for line in listed(read_lines(path))]


def _augmented(base: Path) -> list[str]:
    """The stems of ``train_aug``: its list, or else every mask of the folder that is not in ``val``."""
    for name in _AUGMENTED_LISTS:
        if (_lists(base) / name).is_file():
            return _stems(_lists(base) / name)
    held_out = set(_stems(_lists(base) / "val.txt"))
    stems = [stem_of(path.name) for path in visible(base / _AUGMENTED_FOLDER, MASK_SUFFIXES)]
    return sorted(stem for stem in stems if stem not in held_out)
