"""Bringing a file from one address, a folder or a URL, into a partial file beside its target.

A download goes on where the partial file ends. A file that is not what was wanted does not stay.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import DownloadError
from zoo.weights.partial import DisturbedError, begun, is_named
from zoo.weights.progress import Progress
from zoo.weights.reasons import of_status, why

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces of an answer
ATTEMPTS = 4  # per address, as long as each one brings the file further
CHUNK = 1 << 16
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SourceError(Exception):
    """One address cannot deliver the file; the next one may."""


class _CutOffError(SourceError):
    """The connection broke; what arrived is kept and the transfer can be resumed."""


class _CannotResumeError(Exception):
    """The server's answer does not continue the partial file."""


@dataclass(frozen=True)
class Wanted:
    """What the file must be; `sha256` is ``None`` on the first sight of an unverified file.

    `start` are the first digits of a digest of which no more was published.
    """

    file: str
    bytes: int | None
    sha256: str | None
    start: str | None = None

    def mismatch(self, path: Path) -> str | None:
        """Why `path` is not the wanted file, or ``None`` if it is."""
        size = path.stat().st_size
        if self.bytes is not None and size != self.bytes:
            return f"size is {size} bytes, expected {self.bytes}"
        expected = self.sha256 or self.start
        if expected is None:
            return None
        digest = sha256_of(path)
        if digest.startswith(expected):
            return None
        return f"SHA-256 is {digest}, expected {expected}{'' if self.sha256 else '…'}"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, 64 lower-case hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# --- folders ------------------------------------------------------------------------------------


def find(folder: Path, file: str) -> Path:
    """The file in a folder mirror or in one of its direct sub-folders."""
    try:
        places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
        found = next((place / file for place in places if (place / file).is_file()), None)
    except OSError as error:
        raise SourceError(why(error)) from error
    if found is None:
        raise SourceError("no such file in this folder or its direct sub-folders")
    return found


def copy(source: Path, part: Path, wanted: Wanted, report: Progress) -> None:
    """Copy from a folder mirror; a wrong file there does not touch a download to be resumed."""
    try:
        problem = wanted.mismatch(source)
        file = open(source, "rb")  # noqa: SIM115 (closed below; reading and writing fail apart)
    except OSError as error:
        raise SourceError(why(error)) from error
    if problem:
        file.close()
        raise SourceError(problem)
    with file:
        total = source.stat().st_size
        _check_space(part, total)
        _write(iter(lambda: file.read(1 << 20), b""), part, start=0, total=total, report=report)
    problem = _mismatch(part, wanted)
    if problem:
        part.unlink(missing_ok=True)
        raise SourceError(problem)


# --- downloads ----------------------------------------------------------------------------------


def download(url: str, part: Path, wanted: Wanted, report: Progress) -> None:
    """Complete `part` from `url` and verify it; a bad resumed file gets one fresh start."""
    problem = ""
    for _ in range(2):
        resumed = _transfer_with_retries(url, part, wanted, report)
        problem = _mismatch(part, wanted)
        if problem is None:
            return
        part.unlink(missing_ok=True)
        if not resumed:
            break
    raise SourceError(problem)


def _mismatch(part: Path, wanted: Wanted) -> str | None:
    try:
        return wanted.mismatch(part)
    except FileNotFoundError as error:
        raise DisturbedError from error


def _transfer_with_retries(url: str, part: Path, wanted: Wanted, report: Progress) -> bool:
    """Complete `part`; returns whether any of it came from before the last fresh start."""
    resumed = False
    for attempt in range(ATTEMPTS):
        before = size_of(part)
        try:
            return _transfer(url, part, wanted, report) or resumed
        except _CannotResumeError:
            part.unlink(missing_ok=True)
            resumed = False
        except _CutOffError:
            if size_of(part) <= before or attempt == ATTEMPTS - 1:
                raise
            resumed = True
    raise SourceError("the server's answers to resumed requests do not fit the file")


def _transfer(url: str, part: Path, wanted: Wanted, report: Progress) -> bool:
    """One request, from where `part` ends; returns whether the file was resumed."""
    offset = size_of(part)
    if offset and wanted.bytes is not None and offset >= wanted.bytes:
        return True  # complete or too long: the caller verifies
    with _get(url, offset) as response:
        start, total = _position(response, offset)
        if total is not None and wanted.bytes is not None and total != wanted.bytes:
            raise SourceError(f"the server's file has {total} bytes, expected {wanted.bytes}")
        total = total if total is not None else wanted.bytes
        _check_space(part, (total or 0) - start)
        _write(_pieces(response), part, start=start, total=total, report=report)
    if total is not None and size_of(part) < total:
        raise _CutOffError(f"the connection closed after {size_of(part)} of {total} bytes")
    return start > 0


@contextlib.contextmanager
def _get(url: str, offset: int):
    import requests

    headers = {"Accept-Encoding": "identity", "User-Agent": "atrous-zoo"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except (requests.RequestException, OSError, ValueError) as error:
        raise SourceError(why(error, url=url)) from error
    with response:
        yield response


def _position(response, offset: int) -> tuple[int, int | None]:
    """First byte of the answer and size of the whole file, if the server tells it."""
    status, headers = response.status_code, response.headers
    if status == 416 and offset:
        raise _CannotResumeError
    if status not in (200, 206):
        raise SourceError(of_status(status, response.reason, url=response.url))
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise SourceError(f"unexpected Content-Encoding {headers['Content-Encoding']!r}")
    if status == 200:
        length = headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
    if not span or int(span[1]) != offset:
        if offset:
            raise _CannotResumeError
        raise SourceError("HTTP 206 for a request of the whole file")
    return offset, None if span[2] == "*" else int(span[2])


def _pieces(response) -> Iterator[bytes]:
    import requests

    try:
        yield from response.iter_content(CHUNK)
    except (requests.RequestException, OSError) as error:
        raise _CutOffError(why(error, url=response.url)) from error


# --- disk ---------------------------------------------------------------------------------------


def _write(pieces: Iterable[bytes], part: Path, *, start: int, total: int | None, report: Progress) -> None:
    """Append pieces after the first `start` bytes of `part`; stops after `total` bytes.

    Nothing is ever cut off a file that another process may write to: where two go on with the same one, both
    write the same bytes to the same places.
    """
    done = start
    source = iter(pieces)
    with disk(part, needed=(total or 0) - start), begun(part, start) as file:
        file.seek(start)
        report(done, total)
        while piece := _next(source):
            done += len(piece)
            if total is not None and done > total:
                break
            _write_piece(file, piece)
            report(done, total)
        os.fsync(file.fileno())
        if not is_named(file, part):
            raise DisturbedError
    if total is not None and done > total:
        part.unlink(missing_ok=True)
        raise SourceError(f"the server sent more than {total} bytes")


def _next(source: Iterator[bytes]) -> bytes:
    """The next piece; an error of the source is told apart from one of the disk."""
    try:
        return next(source, b"")
    except OSError as error:
        raise _CutOffError(why(error)) from error


def _write_piece(file, piece: bytes) -> None:
    file.write(piece)
    file.flush()  # so that a killed process leaves as much as possible to resume


@contextlib.contextmanager
def disk(part: Path, *, needed: int) -> Iterator[None]:
    """Turn a failing disk into one line, leaving no `part` behind."""
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if error.errno in _FULL:
            raise DownloadError(_no_space(part, needed, why(error))) from error
        raise DownloadError(f"{part} cannot be written: {why(error)}; see ZOO_CACHE") from error


def _check_space(part: Path, needed: int) -> None:
    if needed > shutil.disk_usage(part.parent).free:
        part.unlink(missing_ok=True)
        raise DownloadError(_no_space(part, needed, "not enough free space"))


def _no_space(part: Path, needed: int, why: str) -> str:
    free = shutil.disk_usage(part.parent).free
    return (
        f"no room for {part.name.removesuffix('.part')}: {needed} bytes are needed, {free} are free"
        f" in {part.parent} ({why}); free some or set ZOO_CACHE to a folder on another disk"
    )


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
