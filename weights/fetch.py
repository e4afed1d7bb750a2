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

import json
import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

from zoo.errors import DownloadError
from zoo.weights import cache
from zoo.weights.addresses import is_offline, is_url, mirrors, shown
from zoo.weights.entry import WeightsEntry
from zoo.weights.locking import locked
from zoo.weights.partial import DisturbedError
from zoo.weights.progress import Progress, reporting
from zoo.weights.reasons import why
from zoo.weights.transfer import (
    SourceError,
    Wanted,
    copy,
    disk,
    download,
    find,
    sha256_of,
    size_of,
)


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
        with locked(target):
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
    wanted = _wanted(entry, allow_unverified=True)
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


# --- what is wanted, and whether it is here ---------------------------------------------------


def _wanted(entry: WeightsEntry, *, allow_unverified: bool) -> Wanted:
    if entry.sha256 is None and not allow_unverified:
        raise DownloadError(
            f"{entry.key}: no digest was ever published for {entry.file}, so it cannot be verified;"
            " to accept what the server sends, pass allow_unverified=True (--allow-unverified)"
        )
    return Wanted(entry.file, entry.bytes, entry.sha256 or seen_digest(entry), entry.sha256_start)


def _is_intact(path: Path, wanted: Wanted) -> bool:
    try:
        return wanted.mismatch(path) is None
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DownloadError(f"{path} cannot be read: {why(error)}; see ZOO_CACHE") from error


def _bundled(entry: WeightsEntry) -> Path:
    path = bundled_path(entry)
    if not _is_intact(path, Wanted(entry.file, entry.bytes, entry.sha256)):
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
    with disk(temporary, needed=1024):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(record, indent=1), "utf-8")
        os.replace(temporary, path)


# --- trying one address after the other --------------------------------------------------------


def _obtain(entry: WeightsEntry, wanted: Wanted, target: Path, progress: Progress | None) -> None:
    """Put the file in its place, alone where the lock holds, and beside other processes where it does not."""
    part = target.with_name(f"{target.name}.part")
    with disk(part, needed=0):
        if not _is_intact(target, wanted):
            target.unlink(missing_ok=True)
        if wanted.sha256 is None:
            part.unlink(missing_ok=True)  # nothing would tell that its halves do not fit
    try:
        _obtain_as(part, entry, wanted, target, progress)
    except DisturbedError:
        if _is_intact(target, wanted):
            return  # the other process was quicker
        own = target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}.part")
        try:
            _obtain_as(own, entry, wanted, target, progress)
        finally:
            own.unlink(missing_ok=True)


def _obtain_as(
    part: Path, entry: WeightsEntry, wanted: Wanted, target: Path, progress: Progress | None
) -> None:
    failures = []
    with reporting(entry.file, progress) as report:
        for address in [*mirrors(entry.file), *entry.urls]:
            try:
                _obtain_from(address, part, wanted, report)
            except SourceError as error:
                failures.append(f"{shown(address)}: {error}")
                continue
            _put(part, target, wanted)
            return
    raise DownloadError(_failure(entry, failures, part))


def _put(part: Path, target: Path, wanted: Wanted) -> None:
    """Give a verified file its name; what another process put there under the old one is noticed."""
    with disk(part, needed=0):
        try:
            os.replace(part, target)
        except FileNotFoundError as error:
            raise DisturbedError from error
    if not _is_intact(target, wanted):
        raise DisturbedError


def _obtain_from(address: str, part: Path, wanted: Wanted, report: Progress) -> None:
    if is_url(address) and is_offline():
        raise SourceError("not tried, ZOO_OFFLINE is set")
    if is_url(address):
        download(address, part, wanted, report)
    else:
        copy(find(Path(address), wanted.file), part, wanted, report)


def _failure(entry: WeightsEntry, failures: list[str], part: Path) -> str:
    kept = size_of(part)
    again = f" ({kept} bytes are kept, the next try resumes)" if kept else ""
    advice = f"put {entry.file} into a folder and set ZOO_MIRROR to that folder"
    if is_offline():
        advice += f", or store it as {cache.files_dir() / entry.file}, or unset ZOO_OFFLINE"
    if entry.sha256 is None and seen_digest(entry):
        advice += f"; to accept a new digest, delete {_seen_path(entry)}"
    tried = "; ".join(failures) or "no address is known"
    line = f"{entry.key}: {entry.file} could not be fetched{again}: {tried}. To help: {advice}"
    return " ".join(line.split())


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _converted_of(entry: WeightsEntry) -> list[Path]:
    digest = entry.sha256 or seen_digest(entry)
    return list(cache.converted_dir().glob(f"{digest[:16]}-*")) if digest else []


def _clear_file(target: Path) -> dict[Path, int]:
    if not any(Path(f"{target}{suffix}").exists() for suffix in ("", ".part", ".lock")):
        return {}
    with locked(target, timeout=0):
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
            raise DownloadError(f"{path} cannot be removed: {why(error)}") from error
        removed[path] = size
    return removed
