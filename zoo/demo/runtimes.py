"""The runtimes of the page: npm packages that ``runtimes.json`` pins by version and digests."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import DownloadError, FormatError, InputError
from zoo.weights.fetch import fetch

LOCK = Path(__file__).with_name("runtimes.json")
# Of each format: the folder of its runtime in the page, and the packages.
PACKAGES = {
    "tflite": ("litert", ("@litertjs/core", "@litertjs/wasm-utils")),
    "onnx": ("ort", ("onnxruntime-web",)),
}
# The page has no map of bare names, which a content security policy would have to allow.
_BARE, _RELATIVE = b'from "@litertjs/wasm-utils"', b'from "./wasm-utils.js"'
_LARGEST = 1 << 26


@dataclass(frozen=True, kw_only=True)
class Package:
    """An npm package, in the form that `zoo.weights.fetch` takes.

    Attributes:
        key: Its name.
        version: Pinned.
        licence: Under which its files are passed on.
        url: Of its archive.
        bytes: Of its archive.
        sha256: Of its archive.
        files: Digest of each file that the page needs, by path in the package and place in the page.
    """

    key: str
    version: str
    licence: str
    url: str
    bytes: int
    sha256: str
    files: dict[str, tuple[str, str]]
    sha256_start: None = None
    bundled: bool = False

    @property
    def file(self) -> str:
        """Name of the archive in the cache."""
        return f"{self.key.strip('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses of the archive."""
        return (self.url,)


def packages(format: str) -> tuple[Package, ...]:
    """Those that run files of a format."""
    lock = json.loads(LOCK.read_text("utf-8"))
    found = []
    for name in PACKAGES[format][1]:
        entry = dict(lock[name])
        files = {path: (file["to"], file["sha256"]) for path, file in entry.pop("files").items()}
        found.append(Package(key=name, files=files, **entry))
    return tuple(found)


def folder_of(format: str) -> str:
    """Where the runtime of a format stands in the page; the name changes with the version."""
    return f"runtime/{PACKAGES[format][0]}-{packages(format)[0].version}/"


def files(format: str, *, folder: Path | None) -> Iterator[tuple[str, bytes]]:
    """Place in the page and content of every file of a format's runtime.

    Args:
        format: ``"tflite"`` or ``"onnx"``.
        folder: Where the packages are: one with ``node_modules``, or with the packages themselves. `None` for
            a ``node_modules`` at hand, else the cache, else the npm registry.

    Raises:
        InputError: `folder` has no such package, or not in the pinned version.
        DownloadError: They are not at hand and cannot be fetched.
    """
    for package in packages(format):
        yield from _placed(package, _contents(package, folder), folder_of(format))


def _placed(package: Package, contents: dict[str, bytes], folder: str) -> Iterator[tuple[str, bytes]]:
    for path, content in contents.items():
        name = package.files[path][0].partition("/")[2]
        yield folder + name, content.replace(_BARE, _RELATIVE) if name == "index.js" else content


def _contents(package: Package, folder: Path | None) -> dict[str, bytes]:
    if folder is not None:
        for place in (folder / "node_modules" / package.key, folder / package.key):
            if place.is_dir():
                return _checked(package, place)
        raise InputError(f"{folder} holds no {package.key}: run npm install {_pinned(package)} there")
    for place in _at_hand(package):
        try:
            return _checked(package, place)
        except InputError:  # another version of another project
            continue
    return _unpacked(package)


def _pinned(package: Package) -> str:
    return f"{package.key}@{package.version}"


def _at_hand(package: Package) -> Iterable[Path]:
    here = Path.cwd()
    return (
        place for parent in (here, *here.parents) if (place := parent / "node_modules" / package.key).is_dir()
    )


def _checked(package: Package, place: Path) -> dict[str, bytes]:
    """The files of an installed package.

    Raises:
        InputError: One is missing or differs.
    """
    contents = {}
    for path, (_, digest) in package.files.items():
        try:
            contents[path] = (place / path).read_bytes()
        except OSError as error:
            raise InputError(f"{place / path}: {error.strerror}; needed is {_pinned(package)}") from error
        if hashlib.sha256(contents[path]).hexdigest() != digest:
            raise InputError(f"{place / path} is not that of {_pinned(package)}, by its SHA-256")
    return contents


def _unpacked(package: Package) -> dict[str, bytes]:
    try:
        archive = fetch(package)
    except DownloadError as error:
        raise DownloadError(f"{error}; or npm install {_pinned(package)} and pass --runtime DIR") from error
    contents = {}
    with tarfile.open(archive, "r:gz") as packed:
        for path, (_, digest) in package.files.items():
            member = packed.getmember(f"package/{path}")
            file = packed.extractfile(member) if member.isfile() and member.size <= _LARGEST else None
            content = b"" if file is None else file.read()
            if hashlib.sha256(content).hexdigest() != digest:
                raise FormatError(f"{archive}: {path} is not the pinned one")
            contents[path] = content
    return contents
