"""An image or a mask in a shard, as a path that is read like any other."""

from __future__ import annotations

import threading
from pathlib import Path

from zoo.datasets.records.example import Sample, decoded
from zoo.datasets.records.framing import read_at
from zoo.datasets.records.index import Entry
from zoo.files import InnerFile


class _Latest(threading.local):
    """The sample that a thread has read last: its mask is mostly asked for after its image."""

    key: tuple[str, int] | None = None
    sample: Sample | None = None


_LATEST = _Latest()


class RecordFile(InnerFile):
    """``SHARD/NAME``, made by `pair_of`."""

    entry: Entry
    is_mask: bool

    def __reduce__(self) -> tuple:
        return (_made, (self.holder, self.entry, self.is_mask)) if self.holder else (Path, (str(self),))

    def length(self) -> int:
        return self.entry.mask_bytes if self.is_mask else self.entry.image_bytes

    def content(self) -> bytes:
        key = str(self.holder), self.entry.offset
        if _LATEST.key != key or _LATEST.sample is None:
            assert self.holder is not None  # `pair_of` sets it
            _LATEST.sample = decoded(read_at(self.holder, self.entry.offset, self.entry.length))
            _LATEST.key = key
        return _LATEST.sample.mask if self.is_mask else _LATEST.sample.image


def pair_of(shard: Path, entry: Entry) -> tuple[RecordFile, RecordFile]:
    """Image and mask of a record.

    Args:
        shard: Path of the shard.
        entry: Of its index.
    """
    return _made(shard, entry, False), _made(shard, entry, True)


def _made(shard: Path, entry: Entry, is_mask: bool) -> RecordFile:
    made = RecordFile(shard, entry.mask_name if is_mask else entry.image_name)
    made.holder, made.entry, made.is_mask = shard, entry, is_mask
    return made
