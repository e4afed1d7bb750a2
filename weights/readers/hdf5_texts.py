"""Attributes of HDF5 objects that are texts of any length, looked at before HDF5 makes room for them.

Each text is a length and a place; HDF5 takes memory for the length before it looks at the place. So the
headers of objects are read here, as the HDF5 File Format Specification 3.0 has them (sections IV.A.1 and 2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from zoo.errors import FormatError

_ATTRIBUTE, _CONTINUATION, _ELSEWHERE = 0x0C, 0x10, 0x15
_TEXTS = 9  # class of a datatype: of any length
_REFERENCE = 16  # bytes of a length, a place and a number there
_MAX_BLOCKS = 1_000
_LARGEST = 1 << 24  # bytes of a block of messages


def check_texts(file: BinaryIO, address: int, *, room: int) -> int:
    """Refuse an object of whose attributes a text says that it is longer than there is room.

    Args:
        file: The file.
        address: Where the header of the object is.
        room: Bytes that all texts may have together.

    Returns:
        The room that is left.

    Raises:
        FormatError: Such an object, one whose header is damaged, or that keeps its attributes elsewhere.
    """
    try:
        for kind, content in _messages(file, address):
            if kind == _ELSEWHERE and _is_kept(content):
                raise FormatError("refused: an object keeps attributes in a heap, which weights do not need")
            if kind == _ATTRIBUTE:
                room -= sum(_lengths(content))
                if room < 0:
                    raise FormatError("its texts claim far more than the file has")
    except struct.error as error:
        raise FormatError("damaged: the header of an object is cut off") from error
    return room


def _is_kept(info: bytes) -> bool:
    """Whether an attribute info message names a heap."""
    place = 4 if info[1:2] and info[1] & 1 else 2
    return info[place : place + 8] != b"\xff" * 8


def _is_kept(info: bytes) -> bool:
    """Whether an attribute info message names a heap."""
    place = 4 if info[1:2] and info[1] & 1 else 2
    return info[place : place + 8] != b"\xff" * 8


def _messages(file: BinaryIO, address: int) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each message of a header, wherever it is continued."""
    start = _read(file, address, 32)
    blocks, count = [], 0
    is_new = start.startswith(b"OHDR")
    if is_new:
        flags, place = start[5], 6 + (16 if start[5] & 0x20 else 0) + (4 if start[5] & 0x10 else 0)
        width = 1 << (flags & 3)
        length = int.from_bytes(_read(file, address + place, width), "little")
        tracked = bool(flags & 4)
        blocks.append((address + place + width, length))
    else:
        (length,) = struct.unpack("<I", start[8:12])
        tracked = False
        blocks.append((address + 16, length))
    while blocks:
        count += 1
        if count > _MAX_BLOCKS:
            raise FormatError("refused: the header of an object lies in more than 1,000 places")
        for kind, content in _of_block(_read(file, *blocks.pop()), is_new=is_new, tracked=tracked):
            if kind == _CONTINUATION:
                place, size = struct.unpack("<QQ", content[:16])
                blocks.append((place + 4, size - 8) if is_new else (place, size))
            else:
                yield kind, content


def _of_block(block: bytes, *, is_new: bool, tracked: bool) -> Iterator[tuple[int, bytes]]:
    place, head = 0, (4 + 2 * tracked) if is_new else 8
    while len(block) - place >= head:
        if is_new:
            kind, size = struct.unpack("<BH", block[place : place + 3])
        else:
            kind, size = struct.unpack("<HH", block[place : place + 4])
        place += head
        if size > len(block) - place:
            raise FormatError("damaged: a message ends beyond the header of its object")
        yield kind, block[place : place + size]
        place += size


def _lengths(attribute: bytes) -> Iterator[int]:
    """The lengths of the texts of an attribute; of one that is of another type, none."""
    version, flags, name, kind, space = struct.unpack("<BBHHH", attribute[:8])
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise FormatError("refused: an attribute of an unusual kind")
    place = 9 if version == 3 else 8
    name, kind_room, space = (-(-n // 8) * 8 if version == 1 else n for n in (name, kind, space))
    datatype = attribute[place + name : place + name + kind]
    if not datatype:
        raise FormatError("damaged: an attribute without a type")
    if datatype[0] & 0x0F != _TEXTS:
        return
    values = attribute[place + name + kind_room + space :]
    for start in range(0, len(values) - _REFERENCE + 1, _REFERENCE):
        yield struct.unpack("<I", values[start : start + 4])[0]


def _read(file: BinaryIO, address: int, size: int) -> bytes:
    if not 0 <= size <= _LARGEST or not 0 <= address < 1 << 62:
        raise FormatError(f"damaged: the header of an object has {size:,} bytes at {address:,}")
    file.seek(address)
    return file.read(size)
