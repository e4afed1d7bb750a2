"""One image of a job: where it is, and by what it is known again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Item:
    """An image of a job.

    Attributes:
        key: What it is known by in the record: an absolute path, an address, or ``FILE#ROW``.
        path: As it was given, for messages and tables.
        stem: From which the names of its results are made.
        stamp: Bytes and time of its file; where they differ, it is another image.
        row: Of a Parquet file.
        column: Of a Parquet file.
    """

    key: str
    path: str
    stem: str
    stamp: tuple[int, int]
    row: int | None = None
    column: str | None = None


def item_of(path: Path) -> Item:
    """The item of an image file; one that is not there is a failure of its own later on."""
    return Item(key=str(path.resolve()), path=str(path), stem=path.stem, stamp=stamp_of(path))


def stamp_of(path: Path) -> tuple[int, int]:
    """Bytes and time of a file."""
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns
