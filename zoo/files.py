"""Atomic file writes: a file is replaced as a whole or stays as it was."""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from zoo.errors import InputError, ZooError

# A letter alone is a drive. `Path` has made one slash of two by the time that it is asked.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# What TensorFlow gives a meaning in patterns; where the backslash separates folders, it has none.
_PATTERN = "*?[]" if os.sep == "\\" else "*?[]\\"


def address_of(path: str | os.PathLike) -> str | None:
    """The address of a store or server, such as ``gs://bucket/run``; `None` of a path of this machine."""
    text = os.fspath(path)
    if not isinstance(text, str) or not _SCHEME.match(text):
        return None
    # `Path` makes one slash of two.
    return re.sub(r"^([^:]+):/+", r"\1://", text)


def refusal(address: str, *, hint: str = "") -> str:
    """The line for an address where a path is needed; `hint` says what would let it be read."""
    scheme, what = address.partition("://")[0], "give a path on a file system, such as a mounted bucket"
    return (
        f"{address}: {scheme}: addresses are not read or written here{f' {hint}, or' if hint else ';'} {what}"
    )


def check_local(path: str | os.PathLike) -> Path:
    """The path, if it is one on this machine's file systems.

    Raises:
        InputError: An address such as ``gs://bucket/run``, which would become a folder named ``gs:``.
    """
    address = address_of(path)
    if address is not None:
        raise InputError(refusal(address))
    # `Path` would make an ordinary path of one that lies inside of another file.
    return path if isinstance(path, InnerFile) else Path(path)


class InnerFile(type(Path())):
    """A file that lies inside of another one, such as an image in a shard of records.

    A path like others for whoever names, compares or sorts it; what is read comes from `content`. Paths that
    are derived from it, such as its parent, are plain.
    """

    holder: Path | None = None  # the file that it lies in

    def content(self) -> bytes:
        """All of it."""
        raise NotImplementedError

    def length(self) -> int:
        """Bytes of it."""
        raise NotImplementedError

    def with_segments(self, *parts: str | os.PathLike) -> Path:
        """A derived path; of the constructor's kind from Python 3.12 on."""
        return Path(*parts)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """State of the file that it lies in, with a length of its own."""
        if self.holder is None:
            return super().stat(follow_symlinks=follow_symlinks)
        whole = os.stat(self.holder)
        values = list(whole[:10])
        values[stat.ST_SIZE] = self.length()
        return os.stat_result(values, {"st_mtime_ns": whole.st_mtime_ns})

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether the file that it lies in does."""
        return os.path.exists(self.holder or self)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether the file that it lies in is one."""
        return os.path.isfile(self.holder or self)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Never, but for a derived path."""
        return self.holder is None and os.path.isdir(self)

    def open(self, mode: str = "r", *args, **options) -> IO:
        """Its bytes, to be read."""
        if self.holder is None:
            return super().open(mode, *args, **options)
        if mode != "rb":
            raise InputError(f"{self}: lies in {self.holder.name}, and is read as bytes only")
        return io.BytesIO(self.content())


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a path beside `path` to write to; at the end of the block that file takes the place of `path`.

    Where the block fails, nothing of it stays and an existing file is as it was.

    Args:
        path: Target, in a folder that exists. The path to write to has the same suffix.

    Raises:
        InputError: A file that cannot be written (folder, permission, full disk).
    """
    path = check_local(path)
    # A short name of its own: the target's name may be as long as the file system allows.
    part = path.with_name(f".{uuid.uuid4().hex[:16]}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except ZooError:
        raise
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or _first_line(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def literal_path(path: str | os.PathLike) -> Iterator[str]:
    """Yield a path to an existing folder that has no character of a glob pattern in it.

    TensorFlow takes the names of the files that it restores for patterns, and finds nothing in ``run[1]``.

    Raises:
        InputError: Such a folder, where neither a link to it nor a name without such characters can be made.
    """
    path = Path(path)
    if not _is_pattern(path):
        yield str(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "folder")
        if _is_pattern(link):
            raise InputError(f"{path}: give the folder a name without {_PATTERN}, or TMPDIR one")
        try:
            link.symlink_to(path.resolve(), target_is_directory=True)
        except OSError as error:
            what = f"give the folder a name without {_PATTERN}"
            raise InputError(f"{path}: {what} ({error.strerror})") from error
        yield str(link)


def _is_pattern(path: Path) -> bool:
    return any(character in os.fspath(path) for character in _PATTERN)


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write UTF-8 text with its line ends as they are, whole or not at all.

    Raises:
        InputError: A file that cannot be written.
    """
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
    return Path(path)


def _first_line(error: OSError) -> str:
    return str(error).strip().partition("\n")[0]


def cache_dir() -> Path:
    """Folder of everything the zoo stores: ``ZOO_CACHE`` or the user's cache folder.

    The variable is read at each call. The folder is not created here.
    """
    chosen = os.environ.get("ZOO_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("atrous-zoo"))
