"""What is in a folder that no layout fits, and which layout it is nearest to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from zoo.datasets.arrangement import IMAGES, LAYOUTS, MASKS, named_folders, split_folders
from zoo.datasets.names import folders, is_hidden, visible
from zoo.errors import InputError

_SHOWN = 6
_LOOKED_AT = 10_000  # files of a folder that are counted


def not_understood(root: Path, layout: str | None = None) -> str:
    """One line of a folder that is no data set: what was found, and the nearest layout with what it lacks."""
    if layout is not None:
        return f"{root}: is not of the layout {layout} ({LAYOUTS[layout]}); there are {found(root)}"
    missing = next(name for name in (IMAGES, MASKS, "") if not (root / name).is_dir() or not name)
    return f"{root / missing}: no such folder; the kind 'folder' has {IMAGES}/ and {MASKS}/; {nearest(root)}"


def nearest(root: Path) -> str:
    """What a folder holds, and the layout that this is nearest to."""
    near, lacking = _nearest(root)
    return f"there are {found(root)}; the nearest layout is {near}: {LAYOUTS[near]}{lacking}"


def found(root: Path) -> str:
    """Files by suffix, and folders with theirs: ``train/ (40 .jpg), notes.txt``."""
    parts = [f"{path.name}/ ({_content(path)})" for path in folders(root)]
    own = _counts(root)
    parts = ([own] if own else []) + parts
    more = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" and {more} more" if more > 0 else "") if parts else "no files"


def _content(folder: Path) -> str:
    names = [f"{path.name}/" for path in folders(folder)]
    own = _counts(folder)
    parts = ([own] if own else []) + names[:3] + (["…"] if len(names) > 3 else [])
    return ", ".join(parts) or "empty"


def _counts(folder: Path) -> str:
    counts: Counter[str] = Counter()
    for number, path in enumerate(folder.iterdir()):
        if number == _LOOKED_AT:
            break
        if not is_hidden(path.name) and not path.is_dir():
            counts[path.suffix.lower() or "without a suffix"] += 1
    return ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(3))


def _nearest(root: Path) -> tuple[str, str]:
    """Key of a layout, and what it lacks."""
    try:
        splits = split_folders(root)
    except InputError:
        splits = {}
    images, masks = named_folders(root)
    if images and any(split_folders_of(path) for path in images):
        return "inside", _lack(images, masks, "with the same splits")
    if images or masks:
        return "flat", _lack(images, masks, "with files of the same names")
    for folder in splits.values():
        if any(named_folders(folder)):
            return "outside", _lack(*named_folders(folder), "with files of the same names")
    if splits:
        return "split_suffix", "; no file is named as a mask"
    if visible(root):
        return "suffix", "; no file is named as a mask of another (--masks DIR names a folder of masks)"
    return "flat", ""


def split_folders_of(folder: Path) -> bool:
    """Whether a folder has folders of splits; twice the same one counts as well."""
    try:
        return bool(split_folders(folder))
    except InputError:
        return True


def _lack(images: list[Path], masks: list[Path], how: str) -> str:
    if not masks:
        return f"; {images[0].name}/ has no folder masks/ beside it (--masks DIR names another)"
    if not images:
        return f"; {masks[0].name}/ has no folder images/ beside it"
    empty = [path.name for path in (images[0], masks[0]) if not visible(path)]
    if empty:
        return f"; {' and '.join(f'{name}/' for name in empty)} has no image file of its own"
    return f"; {images[0].name}/ and {masks[0].name}/ are needed {how}"
