"""Lines of JSON that are only ever appended, so that a killed process loses the last of them at most."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import InputError

_PARTS = "part-*.jsonl"
_WAIT = 60.0  # seconds for processes of a killed job to end


class Journal:
    """A file of rows, each found again by its offset."""

    def __init__(self, path: Path):
        self._path = path
        _cut_torn_line(path)
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by `close`)

    def add(self, row: dict) -> int:
        """Append; its offset."""
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(row).encode() + b"\n")
        return offset

    def at(self, offset: int) -> dict:
        """The row there."""
        self._file.seek(offset)
        text = bytearray()
        while not text.endswith(b"\n"):
            piece = self._file.read(1 << 12)
            if not piece:
                break
            text += piece[: piece.find(b"\n") + 1 or len(piece)]
        return json.loads(text)

    def __iter__(self) -> Iterator[tuple[int, dict]]:
        """Offset and row of all lines.

        Raises:
            InputError: A line that is damaged.
        """
        offset = 0
        with open(self._path, "rb") as file:
            for line in file:
                row = _parsed(line)
                if row is None:
                    raise InputError(f"{self._path} is damaged at byte {offset:,}; --redo all begins anew")
                yield offset, row
                offset += len(line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class Part:
    """The journal of one process among several, which others read once it has ended."""

    def __init__(self, folder: Path):
        import filelock

        path = folder / f"part-{uuid.uuid4().hex[:16]}.jsonl"
        self._lock = filelock.FileLock(_lock_of(path))
        with contextlib.suppress(OSError, NotImplementedError):  # a file system without locks
            self._lock.acquire(timeout=0)
        self._journal = Journal(path)

    def add(self, row: dict) -> None:
        """Append."""
        self._journal.add(row)

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()
        self._lock.release()


def taken_parts(folder: Path) -> Iterator[dict]:
    """Rows of all parts in a folder; each part is removed after its last row was taken.

    Raises:
        InputError: A process that still writes one, after a minute.
    """
    import filelock

    for path in sorted(folder.glob(_PARTS)):
        lock = filelock.FileLock(_lock_of(path))
        try:
            with contextlib.suppress(NotImplementedError):
                lock.acquire(timeout=_WAIT)
        except filelock.Timeout:
            raise InputError(f"{path} is still written by another process; try again later") from None
        with open(path, "rb") as file:
            yield from filter(None, map(_parsed, file))
        path.unlink()
        lock.release()
        Path(_lock_of(path)).unlink(missing_ok=True)


def _lock_of(path: Path) -> str:
    return f"{path}.lock"


def _parsed(line: bytes) -> dict | None:
    """The row of a line, `None` where it is cut off or no row."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("key"), str):
        return None
    # A name becomes that of a file, in the folder and nowhere else.
    name = row.get("name")
    return row if isinstance(name, str) and Path(name).name == name else None


def _cut_torn_line(path: Path) -> None:
    """What a killed process left after the last whole line."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    with open(path, "r+b") as file:
        end = size
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        file.truncate(end)
