"""The kind ``records``: a folder of shards with their indexes, or a pattern of some shards."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from zoo.datasets.dataset import Dataset
from zoo.datasets.listing import Listing, Unpaired, check_split
from zoo.datasets.orders import BY_FILE
from zoo.datasets.records.index import ENDING, SUFFIX, Index, read_index
from zoo.datasets.records.member import pair_of
from zoo.errors import FormatError, InputError

_MADE_OF = f"an index SPLIT{ENDING} beside the shards; `zoo dataset pack` writes both"


def is_pattern(data: str | os.PathLike) -> bool:
    """Whether shards are named, by a pattern or one by its name."""
    return os.fspath(data).endswith(SUFFIX)


def matches(root: Path) -> bool:
    """Whether a folder, or the folder of a pattern, has an index of records."""
    return bool(_indexes(root))


def splits(root: Path) -> tuple[str, ...]:
    """Splits that have an index; of a pattern, those of which it names a shard."""
    if not is_pattern(root):
        return tuple(path.name.removesuffix(ENDING) for path in _indexes(root))
    named = _named(root)
    found = [read_index(path) for path in _indexes(root)]
    return tuple(index.split for index in found if any(shard.file in named for shard in index.shards))


def list_split(root: Path, split: str) -> Listing:
    """Every record of a split, in the order in which it was packed."""
    known = splits(root)
    check_split(split, known, root, made_of=_MADE_OF)
    folder = _folder(root)
    path = folder / f"{split}{ENDING}"
    index = read_index(path)
    if index.split != split:
        raise FormatError(f"{path}: is the index of the split {index.split!r}")
    named = _named(root) if is_pattern(root) else None
    shards = [shard for shard in index.shards if named is None or shard.file in named]
    problems = [] if named is None else _strangers(root, known)
    for shard in shards:
        at = folder / shard.file
        size = at.stat().st_size if at.is_file() else None
        if size is None:
            problems.append((at, "no such file"))
        elif size != shard.size:
            problems.append((at, f"has {size:,} bytes, but {shard.size:,} by its index: packed again or cut"))
    absent = {path for path, _ in problems}
    pairs = tuple(
        pair_of(folder / shard.file, entry)
        for shard in shards
        if folder / shard.file not in absent
        for entry in shard.entries
    )
    counted = tuple(sum(counts) for counts in zip(*(shard.pixels for shard in shards), strict=True)) or None
    more = {"order": BY_FILE, "shards": len(shards), "reading": index.reading, "counted": counted}
    return Listing(Dataset("records", split, index.label_set, pairs, **more), tuple(problems))


def index_of(root: Path, split: str) -> Index:
    """The index of a split; errors are those of `read_index`."""
    return read_index(_folder(root) / f"{split}{ENDING}")


def _folder(root: Path) -> Path:
    return root.parent if is_pattern(root) else root


def _indexes(root: Path) -> list[Path]:
    folder = _folder(root)
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.name.endswith(ENDING) and not p.name.startswith("."))


def _named(root: Path) -> set[str]:
    """Names of the shards that a pattern finds."""
    if glob.has_magic(str(root.parent)):
        raise InputError(f"{root}: only the name of a shard can have a pattern, not its folder")
    found = {path.name for path in root.parent.glob(root.name)} if root.parent.is_dir() else set()
    if not found:
        raise InputError(f"{root}: no such file of records")
    return found


def _strangers(root: Path, known: tuple[str, ...]) -> list[Unpaired]:
    """Files that the pattern finds and no index knows."""
    ours = {shard.file for split in known for shard in index_of(root, split).shards}
    return [(root.parent / name, "stands in no index beside it") for name in sorted(_named(root) - ours)]
