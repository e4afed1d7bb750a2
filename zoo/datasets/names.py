"""Names of files and folders as operating systems, archives and labelling tools leave them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from zoo.errors import InputError
from zoo.images import SUFFIXES

MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
# What file managers leave in folders and so in lists that were made of them.
_LEFT_BEHIND = ("thumbs.db", "desktop.ini")

_MASK_ENDING = re.compile(
    r"[-_. ](masks?|labels?|seg|segm|segmentations?|segmented|gt|ground_?truth|truth|annotations?|annots?"
    r"|anno|targets?|(gtFine_|gtCoarse_)?label(Train)?Ids)$",
    re.IGNORECASE,
)
_IMAGE_ENDING = re.compile(r"[-_. ](leftImg8bit|images?|imgs?|rgb|sat|photo|input)$", re.IGNORECASE)
# Pictures of the labels, and instances, which Cityscapes keeps beside its label ids.
_BESIDE_IDS = re.compile(r"_gt(Fine|Coarse)_(color|instanceIds)$", re.IGNORECASE)


def normal(text: str) -> str:
    """The name with its accents composed: macOS writes them apart (NFD), other systems do not."""
    return unicodedata.normalize("NFC", text)


def is_hidden(name: str) -> bool:
    """Whether a file is no sample: ``.DS_Store``, macOS' ``._name``, ``Thumbs.db`` and other hidden ones."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def visible(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Files in a folder that have one of the suffixes, in any case, by name; none where it is none."""
    if not folder.is_dir():
        return []
    paths = sorted(folder.iterdir())
    return [
        path
        for path in paths
        if path.suffix.lower() in suffixes and not is_hidden(path.name) and not path.is_dir()
    ]


def folders(folder: Path) -> list[Path]:
    """Visible folders in a folder, by name; ``__MACOSX`` of archives is none of them."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not is_hidden(path.name) and path.name != "__MACOSX"
    ]


def stem_of(name: str) -> str:
    """The name without the suffix of an image, if it has one, and composed: ``a.b`` of ``a.b.JPG``."""
    path = PurePosixPath(name)
    return normal(path.stem if path.suffix.lower() in SUFFIXES else path.name)


def with_slashes(line: str) -> str:
    """A path in a list that may have been written on Windows."""
    return line.replace("\\", "/")


def listed(lines: Sequence[str]) -> list[str]:
    """The lines of a list without those that name files left behind by file managers."""
    return [line for line in lines if not is_hidden(PurePosixPath(with_slashes(line)).name)]


def in_either_form(path: Path) -> Path:
    """The path with its name composed or taken apart, whichever is there; as it is where neither is."""
    forms = (path, *(path.with_name(unicodedata.normalize(form, path.name)) for form in ("NFC", "NFD")))
    return next((form for form in forms if form.is_file()), path)


def sibling(folder: Path, stem: str, suffixes: Sequence[str], usual: str) -> Path:
    """The file of a stem: with the usual suffix, or else the only one with another; the usual path if none.

    Raises:
        InputError: Several files of the stem, none of which has the usual suffix.
    """
    path = folder / f"{stem}{usual}"
    if path.is_file():
        return path
    spellings = {suffix: None for other in suffixes for suffix in (other, other.upper())}
    forms = {stem: None, normal(stem): None, unicodedata.normalize("NFD", stem): None}
    found = [folder / f"{form}{suffix}" for form in forms for suffix in spellings]
    # A file system that ignores case, or composes accents, answers to several spellings of one file.
    there = {path.stat().st_ino: path for path in found if path.is_file()}
    if len(there) > 1:
        names = ", ".join(sorted(path.name for path in there.values()))
        raise InputError(f"{folder}: several files of one name: {names}; keep one")
    return next(iter(there.values()), path)


def without_mask_ending(stem: str) -> str | None:
    """``a`` of ``a_mask``, ``a-label``, ``a_gtFine_labelIds`` and the like; `None` without such an ending."""
    found = _MASK_ENDING.search(stem)
    return stem[: found.start()] if found and found.start() else None


def without_image_ending(stem: str) -> str | None:
    """``a`` of ``a_leftImg8bit``, ``a_sat`` and the like; `None` without such an ending."""
    found = _IMAGE_ENDING.search(stem)
    return stem[: found.start()] if found and found.start() else None


def is_beside_ids(stem: str) -> bool:
    """Whether a file is one that Cityscapes keeps beside label ids, and no mask of them."""
    return _BESIDE_IDS.search(stem) is not None
