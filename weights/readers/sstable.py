"""TensorFlow's sorted tables (``.index`` files), which are LevelDB's: keys and values in checked blocks."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from zoo.errors import FormatError
from zoo.weights.readers.crc32c import crc32c, masked
from zoo.weights.readers.wire import varint

_MAGIC = 0xDB4775248B80FB57
FOOTER = 48
_TRAILER = 5  # kind of compression, checksum
# Keys share their beginnings, so that a small file can say much; a checkpoint has some thousands.
_MAX_ENTRIES, _MAX_KEY = 65_536, 1_024


def is_table(data: bytes) -> bool:
    """Whether a file ends as a table does."""
    return len(data) >= FOOTER and struct.unpack("<Q", data[-8:])[0] == _MAGIC


def entries(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Keys and values in their order.

    Raises:
        FormatError: No such table, a damaged or a compressed one, or one with unreasonably many or long keys.
    """
    if not is_table(data):
        raise FormatError("no table of TensorFlow (its end is missing: truncated, or another kind of file)")
    view = memoryview(data)
    # Two places, each an offset and a size: of a block that is not used here, and of the index.
    _, place = varint(view, len(data) - FOOTER)
    _, place = varint(view, place)
    count = 0
    for _, handle in _block(view, *_handle(view[place:])):
        for key, value in _block(view, *_handle(handle)):
            count += 1
            if count > _MAX_ENTRIES:
                raise FormatError(f"refused: more than {_MAX_ENTRIES:,} entries")
            yield key, value


def _handle(data: memoryview) -> tuple[int, int]:
    offset, place = varint(data, 0)
    return offset, varint(data, place)[0]


def _block(data: memoryview, offset: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    if offset + size + _TRAILER > len(data):
        raise FormatError("truncated or damaged: a block ends beyond the file")
    kind, stored = struct.unpack("<BI", data[offset + size : offset + size + _TRAILER])
    if kind:
        raise FormatError("its index is compressed, which TensorFlow's own are not")
    if masked(crc32c(data[offset : offset + size + 1])) != stored:
        raise FormatError("damaged: the checksum of its index is another")
    block = data[offset : offset + size]
    restarts = struct.unpack("<I", block[-4:])[0] if size >= 4 else size
    end = size - 4 * (restarts + 1)
    if end < 0:
        raise FormatError("damaged: a block without entries")
    return _entries_of(block[:end])


def _entries_of(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    key, place = b"", 0
    while place < len(block):
        shared, place = varint(block, place)
        own, place = varint(block, place)
        length, place = varint(block, place)
        if shared > len(key) or own + length > len(block) - place:
            raise FormatError("damaged: an entry ends beyond its block")
        if shared + own > _MAX_KEY:
            raise FormatError(f"refused: a name of more than {_MAX_KEY:,} bytes")
        key = key[:shared] + bytes(block[place : place + own])
        place += own
        yield key, block[place : place + length]
        place += length
