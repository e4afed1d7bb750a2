"""Files that annotations name, looked for below the folder that was given and nowhere else."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

from zoo.errors import InputError
from zoo.images import SUFFIXES

_SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
_PICTURES = (*SUFFIXES, ".jfif", ".jpe")


def files_below(root: Path, suffixes: Sequence[str]) -> list[Path]:
    """Visible files with one of the suffixes, in folders below as well; links to folders are not followed."""
    found = []
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith(".") and name != "__MACOSX")
        for name in names:
            if not name.startswith(".") and name.lower().endswith(tuple(suffixes)):
                found.append(Path(folder, name))
    return sorted(found)


class Pictures:
    """The pictures below a folder, found by the paths that annotations name."""

    def __init__(self, root: Path, *, images: Path | None = None):
        self.root = images or root
        if not self.root.is_dir():
            raise InputError(f"{self.root}: no such folder")
        self.paths = files_below(self.root, _PICTURES)
        self._by_name: dict[str, list[Path]] = {}
        for path in self.paths:
            self._by_name.setdefault(_plain(path.name).casefold(), []).append(path)
        self.used: set[Path] = set()

    def find(self, text: str, near: Path, *, split: str | None = None) -> Path | None:
        r"""The picture of that path, or `None`.

        Of a path that leads elsewhere (absolute, ``..``, a drive, an address) only its end is taken: as much
        of it as names a file below the folder. Where no file is spelled so, escapes of an address (``%20``)
        are read as what they stand for, and then upper case is that of the file.

        Args:
            text: Path in an annotation file, with ``/`` or ``\\``.
            near: Folder of that file.
            split: Prefers files in a folder of this name, where several fit.

        Raises:
            InputError: Several files fit equally well.
        """
        for spelled in dict.fromkeys((text, unquote(text))):
            parts = path_parts(spelled)
            for fold in (False, True):
                found = self._near(parts, near, fold) or self._best(parts, near, split, fold)
                if found is not None:
                    self.used.add(found)
                    return found
        return None

    def unused(self) -> list[Path]:
        """Pictures that no annotation named."""
        return [path for path in self.paths if path not in self.used]

    def _candidates(self, parts: Sequence[str]) -> list[Path]:
        return self._by_name.get(_plain(parts[-1]).casefold(), []) if parts else []

    def _near(self, parts: Sequence[str], near: Path, fold: bool) -> Path | None:
        for folder in (near, self.root, self.root / "images"):
            target = _plain(os.path.normpath(folder.joinpath(*parts)), fold)
            fits = [p for p in self._candidates(parts) if _plain(os.path.normpath(p), fold) == target]
            if len(fits) == 1:
                return fits[0]
        return None

    def _best(self, parts: Sequence[str], near: Path, split: str | None, fold: bool) -> Path | None:
        parts = [part for part in parts if part != ".."]
        candidates = self._candidates(parts)
        for start in range(len(parts)):
            tail = [_plain(part, fold) for part in parts[start:]]
            fits = [p for p in candidates if [_plain(part, fold) for part in p.parts[-len(tail) :]] == tail]
            for narrower in (
                [path for path in fits if path.parent == near],
                [path for path in fits if near in path.parents],
                [path for path in fits if split and split_of_path(path, self.root) == split],
            ):
                fits = narrower or fits
            if len(fits) == 1:
                return fits[0]
            if fits:
                names = ", ".join(str(path.relative_to(self.root)) for path in fits[:3])
                raise InputError(f"{'/'.join(parts)}: several pictures fit: {names}; give --pictures DIR")
        return None


def path_parts(text: str) -> list[str]:
    """The parts of a path in an annotation file, without drive, address and query."""
    text = text.replace("\\", "/").partition("?")[0]
    text = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:/*", "", text)
    return [part for part in text.split("/") if part not in ("", ".")]


def folder_below(root: Path, text: str) -> Path | None:
    """The folder or file that a path names, below `root`: as much of its end as is there."""
    parts = [part for part in path_parts(text) if part != ".."]
    for start in range(len(parts)):
        found = root.joinpath(*parts[start:])
        if found.exists():
            return found
    return None


def split_of(words: str) -> str | None:
    """The split that a name speaks of, as in ``instances_train2017``."""
    found = {_SPLIT_OF[word] for word in re.findall("[a-z]+", words.lower()) if word in _SPLIT_OF}
    return found.pop() if len(found) == 1 else None


def split_of_path(path: Path, root: Path) -> str | None:
    """The split that a folder above a file speaks of, the nearest first."""
    try:
        folders = path.relative_to(root).parts[:-1]
    except ValueError:
        folders = ()
    return next(filter(None, (split_of(folder) for folder in reversed(folders))), None)


def common_name(path: Path, root: Path) -> str:
    """Path below a folder, with ``/``."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def first_existing(root: Path, names: Iterable[str]) -> Path | None:
    """The first of these files that is there."""
    return next((root / name for name in names if (root / name).is_file()), None)


def _plain(text: str | os.PathLike, fold: bool = False) -> str:
    plain = unicodedata.normalize("NFC", os.fspath(text))
    return plain.casefold() if fold else plain
