"""The frame of a record in a TFRecord file: its length, the length's checksum, its bytes, their checksum.

https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from zoo.errors import FormatError, InputError

LARGEST = 1 << 30  # bytes of one record
FRAME = 16  # bytes around a record
_HEAD = 12
_MASK = 0xA282EAD8


def checksum(data: bytes) -> int:
    """CRC-32C as the format masks it."""
    value = google_crc32c.value(data)
    return ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """A record in its frame.

    Raises:
        InputError: It is larger than `LARGEST`.
    """
    if len(record) > LARGEST:
        raise InputError(f"a record has up to {LARGEST:,} bytes, not {len(record):,}")
    length = struct.pack("<Q", len(record))
    return b"".join((length, _packed(checksum(length)), record, _packed(checksum(record))))


def _packed(number: int) -> bytes:
    return struct.pack("<I", number)


def read_at(path: Path, offset: int, length: int) -> bytes:
    """The record of so many bytes whose frame begins at an offset.

    Raises:
        FormatError: No such record stands there, or it is damaged.
        InputError: A file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            record = _next(file)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if record is None or len(record) != length:
        found = "nothing" if record is None else f"a record of {len(record):,} bytes"
        raise FormatError(f"the index names a record of {length:,} bytes, but there is {found}")
    return record


def read_all(path: Path) -> Iterator[tuple[int, bytes]]:
    """Offset and content of every record; errors are those of `read_at`."""
    with path.open("rb") as file:
        offset = 0
        while (record := _next(file)) is not None:
            yield offset, record
            offset += FRAME + len(record)


def _next(file: BinaryIO) -> bytes | None:
    """The record that begins here; `None` at the end of the file."""
    head = file.read(_HEAD)
    if not head:
        return None
    if len(head) < _HEAD:
        raise FormatError("the record is cut off")
    length, check = struct.unpack("<QI", head)
    if check != checksum(head[:8]):
        raise FormatError("the record is damaged: the checksum of its length is wrong")
    if length > LARGEST:
        raise FormatError(f"a record has up to {LARGEST:,} bytes, this one claims {length:,}")
    body = file.read(length + 4)
    if len(body) < length + 4:
        raise FormatError("the record is cut off")
    record = body[:-4]
    if struct.unpack("<I", body[-4:])[0] != checksum(record):
        raise FormatError("the record is damaged: its checksum is wrong")
    return record
