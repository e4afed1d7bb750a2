"""CamVid in the layout of the SegNet tutorial: 11 classes, void is 11, lists of pairs of paths."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from zoo.datasets.dataset import Dataset, Pair
from zoo.datasets.listing import Listing, check_split, has_list, read_lines
from zoo.datasets.names import in_either_form, listed, with_slashes
from zoo.errors import InputError
from zoo.images import SUFFIXES
from zoo.labels import CAMVID11

_SPLITS = ("train", "val", "test")
_SPLIT_PARTS = "a list train.txt, val.txt or test.txt, with the paths of an image and its mask in each line"


def matches(root: Path) -> bool:
    """Whether a folder has this layout."""
    return any((root / f"{split}annot").is_dir() for split in splits(root))


def splits(root: Path) -> tuple[str, ...]:
    """Splits that have a list."""
    return tuple(split for split in _SPLITS if has_list(root / f"{split}.txt"))


def list_split(root: Path, split: str) -> Listing:
    """The pairs in the list of a split."""
    check_split(split, splits(root), root, made_of=_SPLIT_PARTS)
    path = root / f"{split}.txt"
    rows = [_row(with_slashes(line)) for line in listed(read_lines(path))]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise InputError(f"{path}: row {number} is not an image path and an annotation path")
    # The tutorial's own lists start with the folder of its container: /SegNet/CamVid/train/….png
    dropped = _prefix(root, rows[0][0]) if rows else 0
    pairs: list[Pair] = [(_below(root, a, dropped), _below(root, b, dropped)) for a, b in rows]
    return Listing(Dataset("camvid", split, CAMVID11, tuple(pairs)))


def _row(line: str) -> list[str]:
    """The words of a line; where names have blanks, its two paths."""
    words = line.split()
    half = len(words) // 2
    halves = [" ".join(words[:half]), " ".join(words[half:])]
    paths = half > 1 and len(words) % 2 == 0 and all(path.lower().endswith(SUFFIXES) for path in halves)
    return halves if paths else words


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(name).parts if part != "/")


def _prefix(root: Path, name: str) -> int:
    """Number of leading folders to drop from the paths of a list: as few as lead to a file."""
    count = len(_parts(name))
    found = (n for n in range(count - 1) if root.joinpath(*_parts(name)[n:]).is_file())
    return next(found, max(0, count - 2))


def _below(root: Path, name: str, dropped: int) -> Path:
    return in_either_form(root.joinpath(*_parts(name)[dropped:]))
