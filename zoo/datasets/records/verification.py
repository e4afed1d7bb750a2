"""Shards against their index: digests, checksums, and what the records hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from zoo.datasets.records.example import decoded
from zoo.datasets.records.framing import read_all
from zoo.datasets.records.index import Shard, digest_of
from zoo.datasets.records.layout import index_of, list_split
from zoo.datasets.scan import Problem
from zoo.errors import ZooError
from zoo.files import InnerFile


def verify(data: Path, split: str, *, progress: Callable[[Iterable], Iterable] = iter) -> tuple[Problem, ...]:
    """What is wrong with the files of a split, by their digests; every record of a wrong one is read.

    Args:
        data: Folder of the shards, or a pattern.
        split: To look at.
        progress: Wraps the iteration over the shards.

    Raises:
        InputError: No such split.
        FormatError: A damaged index.
    """
    listing, index = list_split(data, split), index_of(data, split)
    folder = data if data.is_dir() else data.parent
    files = [image for image, _ in listing.dataset.pairs if isinstance(image, InnerFile)]
    named = {image.holder.name for image in files if image.holder is not None}
    shards = [shard for shard in index.shards if shard.file in named]
    problems = [Problem(path, "missing", message) for path, message in listing.unpaired]
    for shard in progress(shards):
        problems += _problems(folder / shard.file, shard)
    return tuple(problems)


def _problems(path: Path, shard: Shard) -> Iterator[Problem]:
    if digest_of(path) == shard.sha256:
        return
    what, read = "its digest is not that of the index", 0
    names = {entry.offset: entry.image_name for entry in shard.entries}
    try:
        for offset, record in read_all(path):
            read = offset
            decoded(record)
    except ZooError as error:
        after = names.get(read, "the beginning")
        what += f"; after {after}: {error}"
    yield Problem(path, "unreadable", what)
