"""The folder that is written: pictures, masks, classes and lists, whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from zoo.datasets.convert.pictures import header_of, suffix_of
from zoo.errors import InputError
from zoo.files import check_local
from zoo.images import SUFFIXES, read_image, write_png
from zoo.labels import Color

_ORIENTATION = 274
# As `PIL.ImageOps.exif_transpose`.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path`, which takes that name in the end; nothing stays of a failure.

    Raises:
        InputError: Something is there already, or the folder cannot be written.
    """
    path = check_local(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: is there already; give a new folder")
    part = path.absolute().with_name(f".{uuid.uuid4().hex[:16]}")
    try:
        part.mkdir(parents=True)
        yield part
        if path.exists():
            path.rmdir()
        part.rename(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


class Names:
    """Names without a suffix for the pictures of the result; no two differ in upper case only."""

    def __init__(self, paths: Iterable[str]):
        self._stems: dict[str, int] = {}
        for path in paths:
            key = _folded(PurePosixPath(path).stem)
            self._stems[key] = self._stems.get(key, 0) + 1
        self._given: set[str] = set()

    def of(self, path: str) -> str:
        """The file's own stem, with the folders above it where several files have that stem."""
        pure = PurePosixPath(path)
        stem = pure.stem
        if self._stems.get(_folded(stem), 0) > 1:
            folders = [part for part in pure.parts[:-1] if part not in ("/", "..", ".")]
            stem = "-".join([*folders, stem])
        stem = stem.lstrip(".") or "picture"
        name, number = stem, 1
        while _folded(name) in self._given:
            number += 1
            name = f"{stem}-{number}"
        self._given.add(_folded(name))
        return name


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def put_picture(source: Path | bytes, folder: Path, name: str) -> Path:
    """Copy a picture as it is, under a suffix that is read here.

    Raises:
        FormatError: It is no picture.
        InputError: The file cannot be read.
    """
    usual = isinstance(source, Path) and source.suffix.lower() in SUFFIXES
    suffix = source.suffix if isinstance(source, Path) and usual else suffix_of(source)
    target = folder / f"{name}{suffix}"
    if isinstance(source, bytes):
        target.write_bytes(source)
    else:
        header_of(source)
        shutil.copyfile(source, target)
    return target


def turn_upright(path: Path, mask: np.ndarray, *, stored: bool) -> tuple[Path, np.ndarray]:
    """Replace a picture that EXIF turns by one that is stored as it is seen, so that its mask fits one way.

    Args:
        path: Of the picture.
        mask: Its mask.
        stored: Whether the mask is that of the pixels as they are stored.

    Returns:
        The new file, PNG, and the mask that goes with it.
    """
    with Image.open(path) as image:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    pixels = read_image(path)
    path.unlink()
    target = write_png(path.with_suffix(".png"), pixels)
    if stored and turn is not None:
        mask = np.asarray(Image.fromarray(mask).transpose(turn))
    return target, mask


def put_lists(folder: Path, splits: Mapping[str, Sequence[str]]) -> None:
    """``train.txt`` and so on, where the source has two parts or more; one part is split by its reader."""
    if len(splits) > 1:
        for split, names in splits.items():
            (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), "utf-8", newline="")


def put_classes(folder: Path, names: Sequence[str], palette: Sequence[Color]) -> None:
    """``classes.txt``, and ``colors.csv``, which `read_table` reads."""
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), "utf-8", newline="")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["name", "red", "green", "blue"])
    rows.writerows([name, *color] for name, color in zip(names, palette, strict=True))
    (folder / "colors.csv").write_text(text.getvalue(), "utf-8", newline="")
