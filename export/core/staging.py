"""Staging of artifacts: written beside their target, and renamed once they are whole and proven."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import InputError
from zoo.files import check_local

# Names of files, which no folder may have.
_FILE_SUFFIXES = (".keras", ".h5", ".pb", ".json")


def report_path(path: Path) -> Path:
    """Where the report of the artifact at `path` stands."""
    return path.with_name(path.name + ".json")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the artifacts of a format look like on a disk.

    Attributes:
        title: In the middle of a sentence: ``".onnx file"``.
        suffix: That all have and nothing else has, or `None` for folders of any name.
        marker: File that stands in every artifact that is a folder; `None` for a format of single files.
    """

    title: str
    suffix: str | None = None
    marker: str | None = None

    def __post_init__(self):
        if self.suffix is None and self.marker is None:
            raise InputError(f"a {self.title} needs a suffix or a marker to be told by")

    def named(self, path: Path) -> bool:
        """Whether a path, which need not exist, is one of the format by its name or by what it holds."""
        return self.marked(path) if self.suffix is None else path.suffix == self.suffix

    def stands_at(self, path: Path) -> bool:
        """Whether there is a file or folder of the format."""
        return self.named(path) and (path.is_file() if self.marker is None else self.marked(path))

    def marked(self, path: Path) -> bool:
        """Whether a folder holds the marker."""
        return self.marker is not None and (path / self.marker).is_file()


def check_target(
    path: str | os.PathLike, *, format: str, shape: Shape, suffixes: Collection[str] = ()
) -> Path:
    """`path` when an artifact of that format may be written there.

    Args:
        path: File or folder to be.
        format: Its name.
        shape: Of the format.
        suffixes: Of all formats.

    Raises:
        InputError: A wrong suffix, a missing parent folder, or something else standing there that an export
            would destroy.
    """
    path = check_local(path)
    suffix, folder = shape.suffix, shape.marker is not None
    if suffix and path.suffix != suffix:
        raise InputError(f"{article(format)} artifact must be named *{suffix}, not {str(path)!r}")
    if not suffix and (path.suffix in (*suffixes, *_FILE_SUFFIXES) or path.name in ("", "..")):
        raise InputError(f"{article(format)} artifact is a folder and cannot be named {str(path)!r}")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {str(path.parent)!r}")
    if report_path(path).is_dir():
        raise InputError(f"cannot write the report: {report_path(path)} is a folder")
    if not folder and path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if folder and path.exists():
        _check_replaceable_folder(path, shape)
    return path


def _check_replaceable_folder(path: Path, shape: Shape) -> None:
    what = article(shape.title.removesuffix(" folder"))
    if not path.is_dir():
        raise InputError(f"cannot write {path}: a file stands there, and {what} is a folder")
    if any(path.iterdir()) and not shape.marked(path):
        raise InputError(f"cannot write {path}: the folder holds something other than {what}")


def article(word: str) -> str:
    """``a tflite``, ``an onnx``."""
    return f"{'an' if word.lstrip('.')[0].lower() in 'aeio' else 'a'} {word}"


@contextlib.contextmanager
def writing(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn a failure to write (disk full, read-only, `errors`) into one line about `path`."""
    try:
        yield
    except (OSError, *errors) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"cannot write {path}: {reason}") from error


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary path for the artifact, and beside it its report; both move to `path` at the end.

    The temporary folder stands in the folder of `path`, so that the moves are renames on one file system. It
    is removed whatever happens. What stood at `path` before is replaced only when the body succeeds.
    """
    with writing(path):
        folder = Path(tempfile.mkdtemp(prefix=".zoo-export-", dir=path.parent))
    try:
        work = folder / path.name
        yield work
        with writing(path):
            _replace(work, path, aside=folder / "previous")
            os.replace(report_path(work), report_path(path))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(new: Path, path: Path, *, aside: Path) -> None:
    if not path.is_dir():
        os.replace(new, path)
        return
    # A folder that is not empty cannot be renamed over: the old one steps aside, and back on failure.
    os.rename(path, aside)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(aside, path)
        raise
