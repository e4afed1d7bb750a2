"""Download, resume, verify and keep published weight files.

Environment, read at each call:

- ``ZOO_CACHE``: cache folder (default: the platform's cache folder of the user).
- ``ZOO_OFFLINE``: ``1`` forbids any network access; the cache and folder mirrors still work.
- ``ZOO_MIRROR``: tried before the official address; a folder (the file may also be in one of its
  direct sub-folders) or a base URL to which the file name is appended; several separated by ``;``.

Nothing half-written stays behind: a file appears under its final name only when complete and
verified, and a corrupt ``.part`` is deleted. The one thing that may stay is a ``.part`` of a killed
process or a cut connection, for the next fetch to resume; ``zoo weights clear`` removes it.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from zoo.errors import DownloadError
from zoo.weights import cache
from zoo.weights.entry import WeightsEntry

Progress = Callable[[int, int | None], None]

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces of an answer
ATTEMPTS = 4  # per address, as long as each one brings the file further
CHUNK = 1 << 16
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _SourceError(Exception):
    """One address cannot deliver the file; the next one may."""


class _CutOffError(_SourceError):
    """The connection broke; what arrived is kept and the transfer can be resumed."""


class _CannotResumeError(Exception):
    """The server's answer does not continue the partial file."""


@dataclass(frozen=True)
class _Wanted:
    """What the file must be; `sha256` is ``None`` on the first sight of an unverified file."""

    file: str
    bytes: int | None
    sha256: str | None

    def mismatch(self, path: Path) -> str | None:
        """Why `path` is not the wanted file, or ``None`` if it is."""
        size = path.stat().st_size
        if self.bytes is not None and size != self.bytes:
            return f"size is {size} bytes, expected {self.bytes}"
        if self.sha256 is None:
            return None
        digest = sha256_of(path)
        return None if digest == self.sha256 else f"SHA-256 is {digest}, expected {self.sha256}"


def fetch(entry: WeightsEntry, *, allow_unverified: bool = False, progress: Progress | None = None) -> Path:
    """The verified local file of an entry, downloaded if it is not in the cache.

    The size and the full SHA-256 are checked at every call, so a cached file that was damaged
    is noticed and fetched again. Several processes may call at once; one downloads.

    Args:
        entry: The checkpoint.
        allow_unverified: Accept a file without a published digest. The digest seen first is
            recorded, and any other one is an error from then on.
        progress: Called with ``(done_bytes, total_bytes or None)``. By default a bar on stderr
            if that is a terminal.

    Returns:
        Path of the complete file. Do not write to it.

    Raises:
        DownloadError: No address delivered the right file, or it cannot be stored. One line.
    """
    if entry.bundled:
        return _bundled(entry)
    wanted = _wanted(entry, allow_unverified=allow_unverified)
    target = cache.files_dir() / entry.file
    if not _is_intact(target, wanted):
        with _locked(target):
            if not _is_intact(target, wanted):
                _obtain(entry, wanted, target, progress)
    if entry.sha256 is None:
        _record_seen(entry, target)
    return target


def cached(entry: WeightsEntry) -> Path | None:
    """Local file of an entry if one is present; neither downloaded nor verified."""
    path = bundled_path(entry) if entry.bundled else cache.files_dir() / entry.file
    return path if path.is_file() else None


def verify(entry: WeightsEntry) -> str:
    """State of the local file: ``"ok"``, ``"damaged"``, ``"absent"`` or ``"unverified"``.

    ``"unverified"`` is a file with neither a published nor a recorded digest.

    Raises:
        DownloadError: The file cannot be read.
    """
    path = cached(entry)
    if path is None:
        return "absent"
    wanted = _Wanted(entry.file, entry.bytes, entry.sha256 or seen_digest(entry))
    if not _is_intact(path, wanted):
        return "damaged"
    return "ok" if wanted.sha256 else "unverified"


def clear(entries: Iterable[WeightsEntry] | None = None) -> dict[Path, int]:
    """Remove downloads, partial downloads and converted weights from the cache.

    Recorded digests stay, so that clearing does not make a changed file acceptable.

    Args:
        entries: Only what belongs to these; ``None`` for everything, also files of older catalogs.

    Returns:
        Removed files and the bytes each one held.

    Raises:
        DownloadError: Another process is downloading one of them, or it cannot be removed.
    """
    if entries is None:
        names = {re.sub(r"\.(part|lock)$", "", p.name) for p in _files_in(cache.files_dir())}
        converted = set(_files_in(cache.converted_dir()))
    else:
        chosen = [entry for entry in entries if not entry.bundled]
        names = {entry.file for entry in chosen}
        converted = {path for entry in chosen for path in _converted_of(entry)}
    removed: dict[Path, int] = {}
    for name in sorted(names):
        removed |= _clear_file(cache.files_dir() / name)
    return removed | _remove(sorted(converted))


def bundled_path(entry: WeightsEntry) -> Path:
    """Where a bundled file lies inside the package."""
    return Path(__file__).parent / "bundled" / entry.file


def seen_digest(entry: WeightsEntry) -> str | None:
    """SHA-256 recorded when a file without a published digest was first fetched."""
    try:
        digest = json.loads(_seen_path(entry).read_text("utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return digest if isinstance(digest, str) else None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, 64 lower-case hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# --- what is wanted, and whether it is here ---------------------------------------------------


def _wanted(entry: WeightsEntry, *, allow_unverified: bool) -> _Wanted:
    if entry.sha256 is None and not allow_unverified:
        raise DownloadError(
            f"{entry.key}: no digest was ever published for {entry.file}, so it cannot be verified;"
            " to accept what the server sends, pass allow_unverified=True (--allow-unverified)"
        )
    return _Wanted(entry.file, entry.bytes, entry.sha256 or seen_digest(entry))


def _is_intact(path: Path, wanted: _Wanted) -> bool:
    try:
        return wanted.mismatch(path) is None
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DownloadError(f"{path} cannot be read: {_why(error)}; see ZOO_CACHE") from error


def _bundled(entry: WeightsEntry) -> Path:
    path = bundled_path(entry)
    if not _is_intact(path, _Wanted(entry.file, entry.bytes, entry.sha256)):
        raise DownloadError(
            f"{entry.key}: the bundled file {path} is missing or damaged; reinstall atrous-zoo"
        )
    return path


def _seen_path(entry: WeightsEntry) -> Path:
    return cache.seen_dir() / f"{entry.file}.json"


def _record_seen(entry: WeightsEntry, target: Path) -> None:
    if seen_digest(entry) is not None:
        return  # the file was compared with it
    path = _seen_path(entry)
    record = {"file": entry.file, "sha256": sha256_of(target), "bytes": target.stat().st_size}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with _disk(temporary, needed=1024):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(record, indent=1), "utf-8")
        os.replace(temporary, path)


@contextlib.contextmanager
def _locked(target: Path, *, timeout: float = -1) -> Iterator[None]:
    """Hold the lock beside `target`; it is released even if the process is killed."""
    import filelock

    lock = filelock.FileLock(f"{target}.lock", timeout=timeout)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise DownloadError(f"{target} is in use by another process; try again later") from error
    except (OSError, NotImplementedError) as error:
        raise DownloadError(
            f"the cache folder {target.parent} cannot be written: {_why(error)};"
            " set ZOO_CACHE to a folder that can"
        ) from error
    try:
        yield
    finally:
        lock.release()


# --- trying one address after the other --------------------------------------------------------


def _obtain(entry: WeightsEntry, wanted: _Wanted, target: Path, progress: Progress | None) -> None:
    part = target.with_name(f"{target.name}.part")
    with _disk(part, needed=0):
        target.unlink(missing_ok=True)
        if wanted.sha256 is None:
            part.unlink(missing_ok=True)  # nothing would tell that its halves do not fit
    failures = []
    with _reporting(entry, progress) as report:
        for address in [*_mirrors(entry.file), *entry.urls]:
            try:
                _obtain_from(address, part, wanted, report)
            except _SourceError as error:
                failures.append(f"{_shown(address)}: {error}")
                continue
            with _disk(part, needed=0):
                os.replace(part, target)
            return
    raise DownloadError(_failure(entry, failures, part))


def _obtain_from(address: str, part: Path, wanted: _Wanted, report: Progress) -> None:
    if _is_url(address) and _offline():
        raise _SourceError("not tried, ZOO_OFFLINE is set")
    if _is_url(address):
        _download(address, part, wanted, report)
    else:
        _copy(_find(Path(address), wanted.file), part, wanted, report)


def _mirrors(file: str) -> list[str]:
    """Folders of ``ZOO_MIRROR`` and URLs of the file below its base URLs."""
    mirrors = []
    for part in filter(None, map(str.strip, os.environ.get("ZOO_MIRROR", "").split(";"))):
        scheme = urlsplit(part).scheme if "://" in part else ""
        if scheme == "file":
            mirrors.append(url2pathname(urlsplit(part).path))
        elif scheme in ("", "http", "https"):
            url = f"{part.rstrip('/')}/{quote(file)}"
            mirrors.append(url if scheme else str(Path(part).expanduser()))
        else:
            raise DownloadError(f"ZOO_MIRROR: {part!r} is not a folder, http:// or https:// URL")
    return mirrors


def _offline() -> bool:
    return os.environ.get("ZOO_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def _is_url(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _shown(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)  # no passwords in messages


def _failure(entry: WeightsEntry, failures: list[str], part: Path) -> str:
    kept = _size(part)
    again = f" ({kept} bytes are kept, the next try resumes)" if kept else ""
    advice = f"put {entry.file} into a folder and set ZOO_MIRROR to that folder"
    if _offline():
        advice += f", or store it as {cache.files_dir() / entry.file}, or unset ZOO_OFFLINE"
    if entry.sha256 is None and seen_digest(entry):
        advice += f"; to accept a new digest, delete {_seen_path(entry)}"
    tried = "; ".join(failures) or "no address is known"
    line = f"{entry.key}: {entry.file} could not be fetched{again}: {tried}. To help: {advice}"
    return " ".join(line.split())


# --- folders ------------------------------------------------------------------------------------


def _find(folder: Path, file: str) -> Path:
    """The file in a folder mirror or in one of its direct sub-folders."""
    try:
        places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
        found = next((place / file for place in places if (place / file).is_file()), None)
    except OSError as error:
        raise _SourceError(_why(error)) from error
    if found is None:
        raise _SourceError("no such file in this folder or its direct sub-folders")
    return found


def _copy(source: Path, part: Path, wanted: _Wanted, report: Progress) -> None:
    """Copy from a folder mirror; a wrong file there does not touch a download to be resumed."""
    try:
        problem = wanted.mismatch(source)
        file = open(source, "rb")  # noqa: SIM115 (closed below; reading and writing fail apart)
    except OSError as error:
        raise _SourceError(_why(error)) from error
    if problem:
        file.close()
        raise _SourceError(problem)
    with file:
        total = source.stat().st_size
        _check_space(part, total)
        _write(iter(lambda: file.read(1 << 20), b""), part, start=0, total=total, report=report)
    problem = wanted.mismatch(part)
    if problem:
        part.unlink()
        raise _SourceError(problem)


# --- downloads ----------------------------------------------------------------------------------


def _download(url: str, part: Path, wanted: _Wanted, report: Progress) -> None:
    """Complete `part` from `url` and verify it; a bad resumed file gets one fresh start."""
    problem = ""
    for _ in range(2):
        resumed = _transfer_with_retries(url, part, wanted, report)
        problem = wanted.mismatch(part)
        if problem is None:
            return
        part.unlink()
        if not resumed:
            break
    raise _SourceError(problem)


def _transfer_with_retries(url: str, part: Path, wanted: _Wanted, report: Progress) -> bool:
    """Complete `part`; returns whether any of it came from before the last fresh start."""
    resumed = False
    for attempt in range(ATTEMPTS):
        before = _size(part)
        try:
            return _transfer(url, part, wanted, report) or resumed
        except _CannotResumeError:
            part.unlink(missing_ok=True)
            resumed = False
        except _CutOffError:
            if _size(part) <= before or attempt == ATTEMPTS - 1:
                raise
            resumed = True
    raise _SourceError("the server's answers to resumed requests do not fit the file")


def _transfer(url: str, part: Path, wanted: _Wanted, report: Progress) -> bool:
    """One request, from where `part` ends; returns whether the file was resumed."""
    offset = _size(part)
    if offset and wanted.bytes is not None and offset >= wanted.bytes:
        return True  # complete or too long: the caller verifies
    with _get(url, offset) as response:
        start, total = _position(response, offset)
        if total is not None and wanted.bytes is not None and total != wanted.bytes:
            raise _SourceError(f"the server's file has {total} bytes, expected {wanted.bytes}")
        total = total if total is not None else wanted.bytes
        _check_space(part, (total or 0) - start)
        _write(_pieces(response), part, start=start, total=total, report=report)
    if total is not None and _size(part) < total:
        raise _CutOffError(f"the connection closed after {_size(part)} of {total} bytes")
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
        raise _SourceError(_why(error)) from error
    with response:
        yield response


def _position(response, offset: int) -> tuple[int, int | None]:
    """First byte of the answer and size of the whole file, if the server tells it."""
    status, headers = response.status_code, response.headers
    if status == 416 and offset:
        raise _CannotResumeError
    if status not in (200, 206):
        raise _SourceError(" ".join(f"HTTP {status} {response.reason or ''}".split()))
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _SourceError(f"unexpected Content-Encoding {headers['Content-Encoding']!r}")
    if status == 200:
        length = headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
    if not span or int(span[1]) != offset:
        if offset:
            raise _CannotResumeError
        raise _SourceError("HTTP 206 for a request of the whole file")
    return offset, None if span[2] == "*" else int(span[2])


def _pieces(response) -> Iterator[bytes]:
    import requests

    try:
        yield from response.iter_content(CHUNK)
    except (requests.RequestException, OSError) as error:
        raise _CutOffError(_why(error)) from error


# --- disk ---------------------------------------------------------------------------------------


def _write(pieces: Iterable[bytes], part: Path, *, start: int, total: int | None, report: Progress) -> None:
    """Append pieces after the first `start` bytes of `part`; stops after `total` bytes."""
    done = start
    source = iter(pieces)
    with _disk(part, needed=(total or 0) - start), open(part, "r+b" if start else "wb") as file:
        file.seek(start)
        report(done, total)
        while piece := _next(source):
            done += len(piece)
            if total is not None and done > total:
                break
            _write_piece(file, piece)
            report(done, total)
        os.fsync(file.fileno())
    if total is not None and done > total:
        part.unlink()
        raise _SourceError(f"the server sent more than {total} bytes")


def _next(source: Iterator[bytes]) -> bytes:
    """The next piece; an error of the source is told apart from one of the disk."""
    try:
        return next(source, b"")
    except OSError as error:
        raise _CutOffError(_why(error)) from error


def _write_piece(file, piece: bytes) -> None:
    file.write(piece)
    file.flush()  # so that a killed process leaves as much as possible to resume


@contextlib.contextmanager
def _disk(part: Path, *, needed: int) -> Iterator[None]:
    """Turn a failing disk into one line, leaving no `part` behind."""
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if error.errno in _FULL:
            raise DownloadError(_no_space(part, needed, _why(error))) from error
        raise DownloadError(f"{part} cannot be written: {_why(error)}; see ZOO_CACHE") from error


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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _converted_of(entry: WeightsEntry) -> list[Path]:
    digest = entry.sha256 or seen_digest(entry)
    return list(cache.converted_dir().glob(f"{digest[:16]}-*")) if digest else []


def _clear_file(target: Path) -> dict[Path, int]:
    if not any(Path(f"{target}{suffix}").exists() for suffix in ("", ".part", ".lock")):
        return {}
    with _locked(target, timeout=0):
        removed = _remove([target, Path(f"{target}.part")])
    _remove([Path(f"{target}.lock")])
    return removed


def _remove(paths: Iterable[Path]) -> dict[Path, int]:
    removed = {}
    for path in paths:
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DownloadError(f"{path} cannot be removed: {_why(error)}") from error
        removed[path] = size
    return removed


# --- messages -----------------------------------------------------------------------------------

_REASONS = (
    (r"NameResolution|getaddrinfo|Name or service|name resolution", "host name not found"),
    (r"refused", "connection refused"),
    (r"unreachable", "network is unreachable"),
    (r"[Tt]imed? ?out", "timed out"),
    (r"certificate|SSL", "the TLS connection failed"),
    (r"IncompleteRead|InvalidChunkLength|reset|aborted|RemoteDisconnected", "connection lost"),
)


def _why(error: BaseException) -> str:
    """A short reason: network errors nest four exceptions deep and span lines."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return next((words for pattern, words in _REASONS if re.search(pattern, text)), text[:160])


@contextlib.contextmanager
def _reporting(entry: WeightsEntry, progress: Progress | None) -> Iterator[Progress]:
    """The caller's hook, or a bar on stderr if that is a terminal."""
    if progress is not None or not sys.stderr.isatty():
        yield progress or (lambda done, total: None)
        return
    from tqdm import tqdm

    with tqdm(desc=entry.file, unit="B", unit_scale=True, file=sys.stderr) as bar:

        def report(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report
