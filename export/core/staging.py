"""Artifacts appear under their name whole and proven, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import InputError

SUFFIXES = {"saved_model": None, "tflite": ".tflite", "onnx": ".onnx"}
_FILE_SUFFIXES = (".tflite", ".onnx", ".keras", ".h5", ".pb", ".json")


def report_path(path: Path) -> Path:
    """Where the report of the artifact at `path` stands."""
    return path.with_name(path.name + ".json")


def check_target(path: str | os.PathLike, *, format: str) -> Path:
    """`path` when an artifact of that format may be written there.

    Raises:
        InputError: A wrong suffix, a missing parent folder, or something else standing there that an export
            would destroy.
    """
    path = Path(path)
    suffix = SUFFIXES[format]
    if suffix and path.suffix != suffix:
        raise InputError(f"a {format} artifact must be named *{suffix}, not {str(path)!r}")
    if not suffix and (path.suffix in _FILE_SUFFIXES or path.name in ("", "..")):
        raise InputError(f"a {format} artifact is a folder and cannot be named {str(path)!r}")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {str(path.parent)!r}")
    if report_path(path).is_dir():
        raise InputError(f"cannot write the report: {report_path(path)} is a folder")
    if suffix and path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if not suffix and path.exists():
        _check_replaceable_folder(path)
    return path


def _check_replaceable_folder(path: Path) -> None:
    if not path.is_dir():
        raise InputError(f"cannot write {path}: a file stands there, and a SavedModel is a folder")
    if any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise InputError(f"cannot write {path}: the folder holds something other than a SavedModel")


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
