"""Zip archives from outside: what they claim is checked against the file before memory is taken."""

from __future__ import annotations

import contextlib
import math
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from zoo.errors import FormatError

# What a file of any size may unpack to, and how many times its own size. Weights in 16 bits hardly
# compress, even pruned ones by less than twenty times; deflate itself could reach 1032.
_ALWAYS_ALLOWED = 64 << 20
_EXPANSION = 100
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
# All that zipfile raises for damaged archives; there is no common base.
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    RecursionError,
    MemoryError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
)


def allowed_bytes(size: int) -> int:
    """How many bytes a file of `size` bytes may unpack to."""
    return max(_ALWAYS_ALLOWED, _EXPANSION * size)


@contextlib.contextmanager
def opened(path: Path, *, kind: str) -> Iterator[zipfile.ZipFile]:
    """An archive whose members are checked; whatever goes wrong inside is one line.

    Args:
        path: The file.
        kind: What it should be, such as ``".npz"``, for messages.

    Raises:
        FormatError: A damaged archive; one that claims more than `allowed_bytes`; one with a link, a name
            twice or one that leads elsewhere, an encrypted member or one that is packed in an unusual way.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive.infolist(), allowed=allowed_bytes(path.stat().st_size))
            yield archive
    except FormatError as error:
        raise FormatError(f"{path.name}: {error}") from error
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"{path.name}: not a readable {kind} file: {reason}") from error


def _check(members: list[zipfile.ZipInfo], *, allowed: int) -> None:
    total, seen = 0, set()
    for member in members:
        # zipfile cuts a name at a NUL and turns backslashes on Windows; the stored one is what counts.
        name, shown = member.orig_filename, repr(member.orig_filename[:80])
        if stat.S_ISLNK(member.external_attr >> 16):
            raise FormatError(f"refused: member {shown} is a link")
        if name in seen:
            raise FormatError(f"refused: the archive has two members {shown}")
        if "\\" in name or "\0" in name or ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise FormatError(f"refused: the archive has a member {shown}")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _KINDS:
            raise FormatError(f"refused: member {shown} is encrypted or packed in an unusual way")
        seen.add(name)
        total += member.file_size
    if total > allowed:
        raise FormatError(f"claims {total:,} bytes of content; a file of its size may have {allowed:,}")


def read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """The array of one ``.npy`` member of an archive that `opened` gave.

    Raises:
        FormatError: An array that is not exactly as long as its member, or of objects (which are pickles).
        ValueError: No ``.npy`` file; it is one of `DAMAGE`.
    """
    shown = repr(member.filename[:80])
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise FormatError(f"{shown} is in version {version} of NumPy's format; 1.0 and 2.0 are read")
        shape, is_fortran, dtype = readers[version](stream)
        if dtype.kind not in "biufcSU":
            raise FormatError(f"{shown} holds {str(dtype)[:80]}, not plain numbers")
        claimed, held = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
        if min(shape, default=0) < 0 or claimed != held:
            raise FormatError(f"{shown} claims {claimed:,} bytes of numbers and holds {held:,}")
        content = stream.read(held + 1)  # one more, so that zipfile compares the checksum
    if len(content) != held:
        raise FormatError(f"{shown} is truncated, or longer than the archive says")
    if not dtype.itemsize:
        return np.zeros(shape, dtype)
    array = np.frombuffer(bytearray(content), dtype)
    return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)
