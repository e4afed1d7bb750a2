"""Any folder of images and one of masks, paired by stem."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

from zoo import labels
from zoo.datasets.dataset import Dataset
from zoo.datasets.listing import Listing, Unpaired, check_split, read_lines
from zoo.errors import InputError
from zoo.images import SUFFIXES
from zoo.labels import LabelSet

MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
CLASS_FILE = "classes.txt"
_COUNT = "2 to 255 classes (for one thing to find: background and your class)"
_LISTS = ("train", "val", "test")


def matches(root: Path) -> bool:
    """Whether a folder has this layout."""
    return (root / "images").is_dir() and (root / "masks").is_dir()


def splits(root: Path) -> tuple[str, ...]:
    """``train`` and ``val``, or those that have a list; ``all`` is everything."""
    return (*(_listed(root) or ("train", "val")), "all")


def list_split(
    root: Path,
    split: str,
    *,
    classes: int | str | os.PathLike | Sequence[str] | LabelSet | None = None,
    masks: Path | None = None,
    validation_share: float = 0.2,
    seed: int = 0,
    suffixes: Sequence[str] = MASK_SUFFIXES,
) -> Listing:
    """The pairs of a split, and the files of the whole folder that lack a partner."""
    check_split(split, splits(root), root)
    image_folder, mask_folder = (root / "images", root / "masks") if masks is None else (root, masks)
    problems: list[Unpaired] = []
    images = _by_stem(image_folder, SUFFIXES, problems)
    truth = _by_stem(mask_folder, suffixes, problems)
    if split != "all" and _listed(root):
        # A listed sample must exist; what no list names is nobody's business.
        stems = [Path(line).name for line in read_lines(root / f"{split}.txt")]
        stems = [stem if stem in images else Path(stem).stem for stem in stems]
        problems += [
            (image_folder / s, "no image of this stem, which is listed") for s in stems if s not in images
        ]
    else:
        stems = sorted(images)
        problems += [(truth[stem], "no image of this stem") for stem in truth if stem not in images]
    problems += [(images[s], "no mask of this stem") for s in stems if s in images and s not in truth]
    stems = [stem for stem in stems if stem in images and stem in truth]
    if split != "all" and not _listed(root):
        stems = _chosen(stems, split, share=validation_share, seed=seed)
    pairs = tuple((images[stem], truth[stem]) for stem in stems)
    return Listing(Dataset("folder", split, label_set(root, classes), pairs), tuple(problems))


def label_set(root: Path, classes: int | str | os.PathLike | Sequence[str] | LabelSet | None) -> LabelSet:
    """The classes as given, by number, by names, or in a text file; see `zoo.datasets.open_dataset`."""
    if isinstance(classes, LabelSet):
        return classes
    if classes is None:
        classes = root / CLASS_FILE
        if not classes.is_file():
            raise InputError(
                f"{root}: the classes are not known; give names, a number, or {CLASS_FILE} there"
            )
    if isinstance(classes, int):
        if isinstance(classes, bool) or not 2 <= classes <= 255:
            raise InputError(f"there can be {_COUNT}, not {classes}")
        return labels.numbered(classes)
    source = "classes"
    if isinstance(classes, str | os.PathLike):
        source, classes = os.fspath(classes), read_lines(Path(classes))
    names = [str(name) for name in classes]
    if not 2 <= len(names) <= 255:
        raise InputError(f"{source}: there can be {_COUNT}, not {len(names)}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{source}: class names occur twice: {', '.join(repeated)}")
    return labels.named(names)


def _listed(root: Path) -> tuple[str, ...]:
    return tuple(split for split in _LISTS if (root / f"{split}.txt").is_file())


def _by_stem(folder: Path, suffixes: Sequence[str], problems: list[Unpaired]) -> dict[str, Path]:
    """Visible files with one of the suffixes; a second one of the same stem is a problem."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; the kind 'folder' has images/ and masks/")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith(".") or path.is_dir():
            continue
        if path.stem in found:
            problems.append((path, f"the same stem as {found[path.stem].name}"))
        else:
            found[path.stem] = path
    return found


def _chosen(stems: list[str], split: str, *, share: float, seed: int) -> list[str]:
    """The seeded split; the two parts together are all stems, and neither is empty if there are two."""
    if not 0 < share < 1:
        raise InputError(f"the validation share lies between 0 and 1, not {share}")
    if len(stems) < 2:
        raise InputError(f"a split needs two samples or more, there are {len(stems)}; use the split 'all'")
    count = min(max(1, round(share * len(stems))), len(stems) - 1)
    # `random` promises the same sequence for a seed in every version of Python.
    order = sorted(stems)
    ranks = random.Random(seed)
    held_out = set(sorted(order, key=lambda _: ranks.random())[:count])
    return [stem for stem in order if (stem in held_out) == (split == "val")]
