"""The collections in which HDF5 keeps texts of any length, looked at before HDF5 walks through them.

It goes from object to object by the size that each states: one that states 0 holds it for ever.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from zoo.errors import FormatError

# HDF5 File Format Specification 3.0, sections II (superblock) and III.E (global heap).
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_START = b"GCOL\x01\0\0\0"
_HEADER = 16  # of a collection, and of an object in one
_CHUNK = 1 << 20
_LARGEST = 1 << 26  # bytes of a collection


def check_heaps(file: BinaryIO) -> None:
    """Refuse a file with a collection whose objects do not follow one another to its end.

    Args:
        file: An HDF5 file, at its beginning; it is read once from there to the end.

    Raises:
        FormatError: Such a file, or one with numbers of another width than is usual.
    """
    data = file.read(_CHUNK)
    width = data[14:15] if data[8:9] in (b"\0", b"\1") else data[10:11]
    if not data.startswith(_SIGNATURE) or width != b"\x08":
        raise FormatError(
            "refused: it does not begin as HDF5 files do, or its numbers are of an unusual width"
        )
    while data:
        place = data.find(_START)
        if place < 0:
            more = file.read(_CHUNK)
            data = data[-len(_START) :] + more if more else b""
            continue
        data = data[place:]
        if len(data) < _HEADER:
            data += file.read(_CHUNK)
        size = struct.unpack("<Q", data[8:_HEADER])[0] if len(data) >= _HEADER else 0
        if not _HEADER <= size <= _LARGEST:
            raise FormatError(f"damaged: a collection of texts of {size:,} bytes")
        while len(data) < size:
            more = file.read(max(_CHUNK, size - len(data)))
            if not more:
                raise FormatError("truncated: a collection of texts ends beyond the file")
            data += more
        _check_objects(memoryview(data)[:size])
        data = data[len(_START) :]


def _check_objects(collection: memoryview) -> None:
    place = _HEADER
    while len(collection) - place >= _HEADER:
        index, _, _, size = struct.unpack("<HHIQ", collection[place : place + _HEADER])
        step = _HEADER + -(-size // 8) * 8 if index else size
        if not _HEADER <= step <= len(collection) - place:
            raise FormatError("damaged: a collection of texts does not end where it says")
        place += step
