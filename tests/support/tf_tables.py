"""Writes files of TensorFlow 1 without TensorFlow: the table of a checkpoint, and messages field by field."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from zoo.weights.readers.crc32c import crc32c, masked

MAGIC = 0xDB4775248B80FB57
FLOAT = 1


def number(value: int) -> bytes:
    """A varint."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(key: int, value: int | bytes) -> bytes:
    """A field of a message: a number, or a piece of bytes."""
    if isinstance(value, int):
        return number(key << 3) + number(value)
    return number(key << 3 | 2) + number(len(value)) + value


def entry(shape: Iterable[int], *, offset=0, size=None, kind=FLOAT, shard=0, checksum=None) -> bytes:
    """Where a tensor of a checkpoint is."""
    sides = b"".join(field(2, field(1, side)) for side in shape)
    if size is None:
        size = 4
        for side in shape:
            size *= side
    message = field(1, kind) + field(2, sides) + field(3, shard) + field(4, offset) + field(5, size)
    return message + (b"" if checksum is None else number(6 << 3 | 5) + struct.pack("<I", checksum))


def header(shards: int = 1) -> tuple[bytes, bytes]:
    """The first entry of an index."""
    return b"", field(1, shards)


def entries_block(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A block whose keys share nothing."""
    body = b"".join(number(0) + number(len(k)) + number(len(v)) + k + v for k, v in pairs)
    return body + struct.pack("<II", 0, 1)


def table_around(block: bytes, *, kind: int = 0) -> bytes:
    """A table with one block of data, whose checksums are right."""
    written = b""

    def add(content: bytes, kind: int = 0) -> bytes:
        nonlocal written
        place = number(len(written)) + number(len(content))
        tail = bytes([kind])
        written += content + tail + struct.pack("<I", masked(crc32c(content + tail)))
        return place

    data = add(block, kind)
    other = add(entries_block([]))
    index = add(entries_block([(b"\xff", data)]))
    return written + (other + index).ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def table(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """An index with these entries."""
    return table_around(entries_block(pairs))


def constant(name: str, shape: Iterable[int], content: bytes, *, key: int = 4) -> bytes:
    """A node of a graph: a constant of floats, whose values are in the field `key` of its tensor."""
    sides = b"".join(field(2, field(1, side)) for side in shape)
    tensor = field(8, field(1, FLOAT) + field(2, sides) + field(key, content))
    return field(
        1, field(1, name.encode()) + field(2, b"Const") + field(5, field(1, b"value") + field(2, tensor))
    )
