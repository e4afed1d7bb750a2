"""What is done of a job, kept beside its results.

A folder ``record`` in the folder of the results holds ``job.json`` (model and settings, written whole) and
``done.jsonl``, to which a line is appended once the files of an image stand under their names. A line costs
the same however many there are, which a document that is written anew for every image would not.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from zoo.errors import InputError
from zoo.files import write_text
from zoo.inference.jobs.items import Item
from zoo.inference.jobs.journal import Journal, taken_parts

FOLDER, JOB = "record", "job.json"
REDO = ("failed", "all")
_FILES = ("overlay", "mask")
_UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.(png|tif)")  # of `zoo.files.written_whole`


def has_record(folder: Path) -> bool:
    """Whether a job was begun in a folder of results."""
    return (folder / FOLDER / JOB).is_file()


class Record:
    """See `recorded`."""

    def __init__(self, folder: Path, *, redo: str | None):
        self.folder = folder / FOLDER
        self._results = folder
        self._redo_failed = redo == "failed"
        self._journal = Journal(self.folder / "done.jsonl")
        self._places: dict[str, tuple[int, str]] = {}
        for offset, row in self._journal:
            self._places[row["key"]] = offset, row["name"]
        self.take_parts()

    def take_parts(self) -> None:
        """Take over what other processes of the job wrote down.

        Raises:
            InputError: One of them still writes.
        """
        for row in taken_parts(self.folder):
            known = self._places.get(row["key"])
            if known is None or self._journal.at(known[0]) != row:
                self.add(row)

    def names(self) -> dict[str, str]:
        """Names in the folder of results by the keys of images, also of images that are not asked for now."""
        return {key: name for key, (_, name) in self._places.items()}

    def row_of(self, item: Item) -> dict | None:
        """What was written down of an image, done or failed, if that still holds.

        It does not where the image has changed since, or where a file of the result is gone.
        """
        place = self._places.get(item.key)
        if place is None:
            return None
        row = self._journal.at(place[0])
        if row.get("stamp") != list(item.stamp):
            return None
        if "error" in row or all((self._results / row[kind]).is_file() for kind in _FILES):
            return row
        return None

    def is_done(self, item: Item) -> bool:
        """Whether this run has nothing to do for an image."""
        row = self.row_of(item)
        return row is not None and not (self._redo_failed and "error" in row)

    def add(self, row: dict) -> None:
        """Write down what became of an image: a row of `zoo.inference.jobs.work`."""
        self._places[row["key"]] = self._journal.add(row), row["name"]

    def close(self) -> None:
        """Let go of the files."""
        self._journal.close()

    def discard(self) -> None:
        """Remove it, where nothing came of the job."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def recorded(folder: Path, identity: Mapping[str, Mapping], *, redo: str | None = None) -> Iterator[Record]:
    """The record of the job in a folder, held by one process at a time.

    Args:
        folder: Of the results; it exists.
        identity: ``{"model": …, "settings": …}``: on what the results depend besides the images.
        redo: ``"failed"``: what could not be read is tried again; ``"all"``: nothing counts as done.

    Raises:
        InputError: The folder holds results of another model or of other settings, another process works on
            it, or its record is damaged.
    """
    import filelock  # a folder without a record needs none

    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    lock = filelock.FileLock(place / "lock")
    try:
        with contextlib.suppress(NotImplementedError):
            lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{folder} is worked on by another process") from None
    try:
        if redo == "all":
            for path in (*place.glob("*.jsonl"), place / JOB):
                path.unlink(missing_ok=True)
        _check(folder, identity)
        for path in folder.iterdir():
            if _UNFINISHED.fullmatch(path.name):
                path.unlink(missing_ok=True)
        record = Record(folder, redo=redo)
        try:
            yield record
        finally:
            record.close()
    finally:
        lock.release()


def _check(folder: Path, identity: Mapping[str, Mapping]) -> None:
    """Compare the identity with the one in the folder, or write it there."""
    path = folder / FOLDER / JOB
    now = json.loads(json.dumps(identity))
    if not path.is_file():
        write_text(path, json.dumps(now, indent=1) + "\n")
        return
    try:
        before = json.loads(path.read_text("utf-8"))
        changes = list(_changes(before, now))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise InputError(f"{path} is damaged; --redo all begins anew") from None
    if changes:
        raise InputError(
            f"{folder} holds results of other settings: {'; '.join(changes)}; go on as they were begun, give"
            " another --output, or begin anew with --redo all"
        )


def _changes(before: Mapping, now: Mapping) -> Iterable[str]:
    for group in ("model", "settings"):
        for key in dict.fromkeys((*before[group], *now[group])):
            was, is_now = before[group].get(key), now[group].get(key)
            if was != is_now:
                yield f"{key} of the {group} was {_shown(was)}, now is {_shown(is_now)}"


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:16]}…"
