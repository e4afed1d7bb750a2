"""Files in object stores and on web servers, through fsspec (extra ``remote``).

What is read is copied to the cache, once for each state of the remote file. What is written appears whole or
not at all: object stores promise that of an upload, elsewhere it is renamed at its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from zoo.errors import DownloadError, FormatError, InputError
from zoo.files import address_of, cache_dir, refusal, write_text, written_whole

# The package beside fsspec that speaks to each.
PACKAGES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "memory": "fsspec",  # of this process; for tests of programs
}
_ATOMIC = ("s3", "gs")
_THREADS = 8
_TRIES, _PAUSE_SECONDS = 3, 0.5
# What tells the states of a file apart, by whatever name a store has for it.
_STATE = (
    "size",
    "ETag",
    "etag",
    "LastModified",
    "Last-Modified",
    "mtime",
    "updated",
    "generation",
    "created",
)
_STATES = ".states.json"
_DIGEST = "#sha256="
Result = TypeVar("Result")


def is_remote(path: str | os.PathLike) -> bool:
    """Whether it is an address of a kind that is read here: ``s3://``, ``gs://``, ``http://``, ``https://``."""
    address = address_of(path)
    return address is not None and address.partition("://")[0] in PACKAGES


def check_remote(path: str | os.PathLike) -> str:
    """The address, if what reads it is installed.

    Raises:
        InputError: It is not, or the address is of another kind.
    """
    address = address_of(path)
    scheme = (address or "").partition("://")[0]
    if address is None or scheme not in PACKAGES:
        raise InputError(refusal(address or os.fspath(path)))
    missing = [name for name in ("fsspec", PACKAGES[scheme]) if importlib.util.find_spec(name) is None]
    if missing:
        hint = f"without {' and '.join(dict.fromkeys(missing))}: pip install 'atrous-zoo[remote]'"
        raise InputError(refusal(address, hint=hint))
    return address


def local_file(path: str | os.PathLike) -> Path:
    """A copy of a remote file in the cache, made anew where the remote one has changed.

    Args:
        path: Its address; ``#sha256=HEX`` at the end pins what it holds.

    Raises:
        InputError: An address that is not read here, or no such file.
        DownloadError: It could not be read whole.
        FormatError: It is not what the digest says.
    """
    address, _, digest = check_remote(path).partition(_DIGEST)
    store = _Store(address)
    info = store.tried(lambda: store.system.info(store.root))
    name = PurePosixPath(store.root).name
    if info.get("type") == "directory" or not name:
        raise InputError(f"{address}: is a folder, not a file")
    folder = _folder(address)
    (found,) = store.copied({name: (store.root, info)}, folder)
    if digest and _sha256(found) != digest.lower():
        found.unlink()
        raise FormatError(f"{address}: its SHA-256 is not {digest}")
    return found


def local_folder(path: str | os.PathLike, *, patterns: Sequence[str] = ("*",)) -> Path:
    """A copy of a remote folder in the cache: files that are there and fit are not read again.

    Args:
        path: Its address.
        patterns: Names of the files that are needed, as ``*`` and ``?`` say.

    Raises:
        InputError: An address that is not read here, or nothing there.
        DownloadError: A file could not be read whole.
    """
    address = check_remote(path)
    folder = _folder(address)
    _Store(address).pull(folder, patterns=patterns)
    return folder


def _folder(address: str) -> Path:
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    return cache_dir() / "remote" / name / (PurePosixPath(address).name or "root")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _Store:
    """One place in one store."""

    def __init__(self, address: str):
        import fsspec

        self.address = address
        self.scheme = address.partition("://")[0]
        try:
            # What a listing said before must not hide what another program has written since then.
            self.system, self.root = fsspec.core.url_to_fs(address, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InputError(f"{address}: {_line(error)}") from error
        self.root = self.root.rstrip("/")

    def tried(self, call: Callable[[], Result]) -> Result:
        """What a call gives, after a few tries; errors are one line."""
        for attempt in range(1, _TRIES + 1):
            try:
                return call()
            except FileNotFoundError:
                raise InputError(f"{self.address}: nothing is there") from None
            except PermissionError as error:
                raise InputError(f"{self.address}: permission denied ({_line(error)})") from error
            except Exception as error:
                # Each store's client has errors of its own, without a common base.
                if attempt == _TRIES:
                    raise DownloadError(f"{self.address}: cannot be reached: {_line(error)}") from error
                time.sleep(_PAUSE_SECONDS * attempt)
        raise AssertionError("the last try returns or raises")

    def listed(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Path in the store and state of each file below the root, by its name from there."""
        found = self.tried(lambda: self.system.find(self.root, detail=True))
        names = {}
        for key, info in found.items():
            name = PurePosixPath(key.removeprefix(self.root).lstrip("/"))
            if key.startswith(f"{self.root}/") and ".." not in name.parts and name.parts:
                names[str(name)] = key, info
        if self.scheme not in ("http", "https"):
            return names
        # The page that lists them says neither how large they are nor when they were changed.
        with ThreadPoolExecutor(_THREADS) as pool:
            known = pool.map(lambda one: self.tried(lambda: self.system.info(one[0])), names.values())
            return {name: (at[0], info) for (name, at), info in zip(names.items(), known, strict=True)}

    def pull(self, folder: Path, *, patterns: Sequence[str] = ("*",), empty: bool = False) -> None:
        """Make a folder hold the files that fit; `empty` says whether there may be none."""
        listed = self.listed() if not empty or self.tried(lambda: self.system.exists(self.root)) else {}
        names = {n: v for n, v in listed.items() if any(fnmatchcase(n, pattern) for pattern in patterns)}
        if not names and not empty:
            raise InputError(f"{self.address}: nothing is there")
        self.copied(names, folder)
        kept = {folder / name for name in listed}
        for path in [p for p in folder.rglob("*") if p.is_file() and p.name != _STATES and p not in kept]:
            path.unlink()

    def copied(self, names: dict[str, tuple[str, dict[str, Any]]], folder: Path) -> list[Path]:
        """Local copies of files, those that are current left as they are."""
        folder.mkdir(parents=True, exist_ok=True)
        states = _read_states(folder)
        now = {name: str([info.get(key) for key in _STATE]) for name, (_, info) in names.items()}
        old = [n for n in names if not (folder / n).is_file() or states.get(n) != now[n]]

        def get(name: str) -> None:
            key, info = names[name]
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(target) as part:
                self.tried(lambda: self.system.get_file(key, str(part)))
                size = info.get("size")
                if size is not None and part.stat().st_size != size:
                    raise DownloadError(f"{self.address}: {name} has {size:,} bytes, of which not all came")

        try:
            with ThreadPoolExecutor(_THREADS) as pool:
                for name, _ in zip(old, pool.map(get, old), strict=True):
                    states[name] = now[name]
        finally:
            write_text(folder / _STATES, json.dumps(states))
        return [folder / name for name in names]

    def put(self, path: Path, name: str) -> None:
        """Write a file under a name, whole or not at all."""
        key = f"{self.root}/{name}"

        def write() -> None:
            if self.scheme in _ATOMIC:
                self.system.put_file(str(path), key)
                return
            part = f"{key}.{uuid.uuid4().hex[:16]}"
            self.system.makedirs(key.rpartition("/")[0], exist_ok=True)
            self.system.put_file(str(path), part)
            self.system.mv(part, key)

        self.tried(write)

    def remove(self, name: str) -> None:
        """Remove a file; it may be gone."""
        with contextlib.suppress(InputError):
            self.tried(lambda: self.system.rm_file(f"{self.root}/{name}"))


class RemoteFolder:
    """A folder that is written here and copied to a store.

    Args:
        address: Of the copy.
        folder: Local one.
        last: Names that are copied after all others: those that say which of them count.

    Raises:
        InputError: An address that cannot be written.
    """

    def __init__(self, address: str | os.PathLike, folder: Path, *, last: Sequence[str] = ()):
        self._store, self.folder, self._last = _Store(check_remote(address)), folder, tuple(last)
        if self._store.scheme in ("http", "https"):
            raise InputError(f"{self._store.address}: a web server takes no files; s3:// and gs:// do")
        self._copied: dict[str, tuple[int, int]] = {}

    def pull(self, *, but: Sequence[str] = ()) -> None:
        """Take over what the store has, but for names with these endings."""
        listed = self._store.listed() if self._store.tried(self._exists) else {}
        wanted = {name: at for name, at in listed.items() if not name.endswith(tuple(but) or ("\0",))}
        self._store.copied(wanted, self.folder)
        self._copied = self._state()

    def _exists(self) -> bool:
        return self._store.system.exists(self._store.root)

    def push(self) -> None:
        """Copy what has changed, and remove there what was removed here."""
        now = self._state()
        changed = [name for name, state in now.items() if self._copied.get(name) != state]
        for name in sorted(changed, key=lambda name: (name in self._last, name)):
            self._store.put(self.folder / name, name)
        for name in self._copied.keys() - now.keys():
            self._store.remove(name)
        self._copied = now

    def _state(self) -> dict[str, tuple[int, int]]:
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != _STATES]
        states = [(path.relative_to(self.folder).as_posix(), path.stat()) for path in files]
        return {name: (state.st_size, state.st_mtime_ns) for name, state in states}


def _read_states(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / _STATES).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
